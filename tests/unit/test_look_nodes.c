/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On which nodes blocks lie: on a kernel that answers by a script, and on the real one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "features.h"
#include "hostfacts.h"
#include "look.h"
#include "memnode.h"
#include "memstate.h"
#include "place.h"

#define BLOCK UINT64_C(2097152)
#define PAGE  UINT64_C(4096)

enum { PAGES = 512, BLOCKS_MAX = 1200, CALLS_MAX = 64 };

struct world {
	struct sys sys;
	/* A process whose blocks, from address 0 on, are as letters say: h huge, s small, z half of
	 * it swapped, - nothing. */
	struct process process;
	struct look look;
	const char *blocks;
	int (*node_of)(hva_t page);
	unsigned calls, failing_call; /* the one that fails, from 1 on; 0: none */
	size_t asked[CALLS_MAX], n_asked;
	struct sight *list;
	size_t n;
};

/* ---- The made-up process ---- */

static char kind_of(const struct world *w, hva_t address)
{
	return address / BLOCK < strlen(w->blocks) ? w->blocks[address / BLOCK] : '-';
}

static uint64_t categories_of(const struct world *w, hva_t address)
{
	switch (kind_of(w, address)) {
	case 'h':
		return PAGE_PRESENT | PAGE_HUGE;
	case 's':
		return PAGE_PRESENT;
	case 'z':
		return address % BLOCK < BLOCK / 2 ? PAGE_PRESENT : PAGE_SWAPPED;
	default:
		return 0;
	}
}

/* As the kernel does it, half a block at a time; it merges nothing but what is huge. */
static int scripted_scan(struct sys *sys, int fd, pid_t pid, struct pm_scan_arg *arg)
{
	struct world *w = sys->userdata;
	struct page_region *regions = (struct page_region *)(uintptr_t)arg->vec;
	int n = 0;

	(void)fd, (void)pid;
	for (hva_t at = arg->start; at < arg->end; at += BLOCK / 2) {
		uint64_t c = categories_of(w, at) & arg->return_mask;

		arg->walk_end = at;
		if (!(categories_of(w, at) & arg->category_anyof_mask))
			continue;
		if (n > 0 && regions[n - 1].end == at && regions[n - 1].categories == c &&
		    arg->max_pages == 0) {
			regions[n - 1].end = at + BLOCK / 2;
			continue;
		}
		if (n == (int)arg->vec_len)
			return n;
		regions[n++] = (struct page_region){at, at + BLOCK / 2, c};
		if (arg->max_pages == 1)
			return n;
	}
	arg->walk_end = arg->end;
	return n;
}

static ssize_t scripted_read(struct sys *sys, int fd, pid_t pid, uint64_t first, uint64_t *entries,
			     size_t n)
{
	(void)fd, (void)pid;
	for (size_t i = 0; i < n; i++)
		entries[i] = categories_of(sys->userdata, (first + i) * PAGE) & PAGE_PRESENT
				     ? UINT64_C(1) << 63
				     : 0;
	return (ssize_t)n;
}

static long scripted_move(struct sys *sys, pid_t pid, size_t n, const hva_t *pages,
			  const int *nodes, int *status, int flags)
{
	struct world *w = sys->userdata;

	assert_int_equal(pid, 7);
	assert_null(nodes);
	assert_int_equal(flags, 0);
	assert_true(n > 0 && n <= 512);
	assert_true(w->n_asked < CALLS_MAX);
	w->asked[w->n_asked++] = n;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pages[i] % PAGE, 0);
		assert_true(i == 0 || pages[i] > pages[i - 1]);
		status[i] = w->node_of(pages[i]);
	}
	return ++w->calls == w->failing_call ? -EPERM : 0;
}

static const struct sys_ops ops = {
	.pagemap_scan = scripted_scan,
	.pagemap_read = scripted_read,
	.move_pages = scripted_move,
};

static int node_0(hva_t page)
{
	(void)page;
	return 0;
}

static int start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->sys = (struct sys)SYS_INIT;
	w->sys.ops = &ops;
	w->sys.userdata = w;
	w->process = (struct process)PROCESS_INIT;
	w->process.pid = 7;
	w->blocks = "";
	w->node_of = node_0;
	w->look = (struct look){
		.sys = &w->sys,
		.process = &w->process,
		.geometry = {12, 9, 18},
		.features = FEATURE_PAGEMAP_SCAN,
		.want_nodes = true,
	};
	*state = w;
	return 0;
}

static int stop(void **state)
{
	struct world *w = *state;

	free(w->list);
	free(w);
	return 0;
}

static void forget(struct world *w)
{
	free(w->list);
	w->list = NULL;
	w->n = w->n_asked = w->calls = 0;
}

static void look_at(struct world *w, const char *blocks)
{
	forget(w);
	w->blocks = blocks;
	assert_int_equal(look_blocks(&w->look, 0, strlen(blocks) * BLOCK, &w->list, &w->n), 0);
}

static void count(struct world *w, const char *blocks)
{
	forget(w);
	w->blocks = blocks;
	assert_int_equal(look_pages(&w->look, 0, strlen(blocks) * BLOCK, &w->list, &w->n), 0);
}

static const struct sight *sight_of(const struct world *w, uint64_t block)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].start <= block * BLOCK &&
		    block * BLOCK < w->list[i].start + w->list[i].blocks * BLOCK)
			return &w->list[i];
	fail_msg("block %u has no sight", (unsigned)block);
	return NULL;
}

/* "00-11": the node of each block, - if it is not known. */
static void expect_nodes(const struct world *w, const char *nodes)
{
	for (unsigned i = 0; nodes[i]; i++) {
		int expected = nodes[i] == '-' ? -1 : nodes[i] - '0';

		if (sight_of(w, i)->node != expected)
			fail_msg("block %u: node %d, expected %d", i, sight_of(w, i)->node,
				 expected);
	}
}

static int by_block(hva_t page)
{
	return page / BLOCK < 2 ? 0 : 1;
}

static void huge_blocks_are_asked_by_one_page(void **state)
{
	struct world *w = *state;

	w->node_of = by_block;
	look_at(w, "hhhh");
	expect_nodes(w, "0011");
	assert_int_equal(w->n, 2);
	assert_int_equal(w->n_asked, 1);
	assert_int_equal(w->asked[0], 4);
	assert_int_equal(w->list[0].seen, SEEN_HUGE);
	assert_int_equal(w->list[0].fill, FILL_FULL);
	assert_int_equal(w->list[0].present_pages, 2 * PAGES);
	assert_int_equal(w->list[1].present_pages, 2 * PAGES);
}

static void nobody_asks_where_it_is_not_wanted(void **state)
{
	struct world *w = *state;

	w->look.want_nodes = false;
	look_at(w, "hhss");
	expect_nodes(w, "----");
	assert_int_equal(w->n_asked, 0);
}

/* Samples of a block, in their order. */
static int sample_nodes[8];

static int by_sample(hva_t page)
{
	return sample_nodes[page % BLOCK / (BLOCK / 8)];
}

static void most_samples_decide(void **state)
{
	static const struct {
		int nodes[8];
		int node;
	} cases[] = {
		{{0, 0, 0, 0, 0, 0, 0, 0}, 0},
		{{1, 1, 1, 1, 1, 0, 0, 0}, 1},
		{{0, 0, 0, 1, 1, 1, 1, 1}, 1},
		{{1, 1, 1, 1, 0, 0, 0, 0}, 0}, /* as many: the lower */
		{{2, 2, 2, 0, 0, 1, 1, 1}, 1},
		{{-ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT, 1}, 1},
		{{-ENOENT, -EFAULT, -EACCES, -EBUSY, -EIO, -ENOENT, -EFAULT, -ENOENT}, -1},
		{{64, 64, 64, 64, 64, 64, 64, 64}, -1},
		{{64, 1023, INT32_MAX, 64, 64, 64, 64, 63}, 63},
		{{INT32_MIN, INT32_MIN, -1, -1, 5, -1, -1, -1}, 5},
	};
	struct world *w = *state;

	w->node_of = by_sample;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(sample_nodes, cases[i].nodes, sizeof(sample_nodes));
		look_at(w, "s");
		assert_int_equal(w->asked[0], 8);
		if (w->list[0].node != cases[i].node)
			fail_msg("case %u: node %d", (unsigned)i, w->list[0].node);
	}
}

static int odd_blocks(hva_t page)
{
	return (int)(page / BLOCK % 2);
}

static uint64_t present_pages(const struct world *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++)
		sum += w->list[i].present_pages;
	return sum;
}

static uint64_t swapped_pages(const struct world *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++)
		sum += w->list[i].swapped_pages;
	return sum;
}

/* Cutting a counted sight shares its pages out: none is lost, none is made. */
static void counts_survive_cutting(void **state)
{
	static const char *const blocks[] = {"zzzz", "zzzzzzz", "sszzhh--zs", "hhhzzz", "z"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		uint64_t present, swapped;

		w->look.want_nodes = false;
		count(w, blocks[i]);
		present = present_pages(w);
		swapped = swapped_pages(w);
		assert_true(present > 0);
		w->look.want_nodes = true;
		w->node_of = odd_blocks;
		count(w, blocks[i]);
		assert_int_equal(present_pages(w), present);
		assert_int_equal(swapped_pages(w), swapped);
		for (size_t k = 0; k < w->n; k++) {
			if (w->list[k].seen == SEEN_NOTHING)
				continue;
			assert_int_equal(w->list[k].node, w->list[k].start / BLOCK % 2);
			assert_int_equal(w->list[k].blocks, 1);
		}
	}
	count(w, "zzzz");
	assert_int_equal(w->n, 4);
	for (size_t k = 0; k < 4; k++) {
		assert_int_equal(w->list[k].present_pages, PAGES / 2);
		assert_int_equal(w->list[k].swapped_pages, PAGES / 2);
		assert_int_equal(w->list[k].fill, 8);
	}
}

static void what_holds_nothing_is_not_asked(void **state)
{
	struct world *w = *state;

	look_at(w, "----");
	assert_int_equal(w->n_asked, 0);
	assert_int_equal(w->n, 1);
	look_at(w, "h--s");
	expect_nodes(w, "0--0");
	assert_int_equal(w->n_asked, 2);
	assert_int_equal(w->asked[0], 1);
	assert_int_equal(w->asked[1], 8);
}

static void errors_leave_it_unknown(void **state)
{
	struct world *w = *state;

	w->failing_call = 1;
	look_at(w, "hh-s");
	expect_nodes(w, "---0");
	assert_int_equal(sight_of(w, 0)->seen, SEEN_HUGE);
	assert_int_equal(sight_of(w, 0)->present_pages, 2 * PAGES);
	w->failing_call = 2;
	look_at(w, "hh-s");
	expect_nodes(w, "00--");
	count(w, "hh-z");
	expect_nodes(w, "00--");
	assert_int_equal(sight_of(w, 3)->swapped_pages, PAGES / 2);
}

static int changes_at_700(hva_t page)
{
	return page / BLOCK < 700 ? 0 : 1;
}

/* More than one call has room for: equal pieces become one sight again. */
static void large_sights_are_asked_in_pieces(void **state)
{
	struct world *w = *state;
	char blocks[BLOCKS_MAX + 1];

	memset(blocks, 'h', BLOCKS_MAX);
	blocks[BLOCKS_MAX] = '\0';
	look_at(w, blocks);
	assert_int_equal(w->n_asked, 3); /* 512, 512, 176 */
	assert_int_equal(w->asked[2], BLOCKS_MAX - 1024);
	assert_int_equal(w->n, 1);
	assert_int_equal(w->list[0].blocks, BLOCKS_MAX);
	assert_int_equal(w->list[0].present_pages, (uint64_t)BLOCKS_MAX * PAGES);
	w->node_of = changes_at_700;
	look_at(w, blocks);
	assert_int_equal(w->n, 2);
	assert_int_equal(w->list[0].blocks, 700);
	assert_int_equal(w->list[1].blocks, BLOCKS_MAX - 700);
	/* One call that fails takes the rest of its piece only. */
	w->node_of = node_0;
	w->failing_call = 2;
	look_at(w, blocks);
	assert_int_equal(w->n, 3);
	assert_int_equal(w->list[1].node, -1);
	assert_int_equal(w->list[1].start, 512 * BLOCK);
	assert_int_equal(w->list[1].blocks, 512);
	assert_int_equal(present_pages(w), (uint64_t)BLOCKS_MAX * PAGES);
	w->failing_call = 0;
	memset(blocks, 's', BLOCKS_MAX);
	blocks[200] = '\0';
	look_at(w, blocks);
	assert_int_equal(w->n_asked, 4); /* 64 blocks at once */
	assert_int_equal(w->asked[0], 512);
	assert_int_equal(w->asked[3], 8 * 8);
	assert_int_equal(w->n, 1);
}

/* ---- The real kernel ---- */

struct real {
	struct sys sys;
	struct process process;
	struct host host;
	struct look look;
	struct sight *list;
	size_t n;
};

static bool real_start(struct real *r)
{
	*r = (struct real){.process = PROCESS_INIT};
	assert_int_equal(sys_open_host(&r->sys), 0);
	if (host_read_geometry(&r->sys, &r->look.geometry) < 0)
		return false;
	(void)features_probe(&r->sys, &r->look.geometry, &r->host, NULL);
	assert_int_equal(process_open(&r->sys, getpid(), &r->process), 0);
	r->look.sys = &r->sys;
	r->look.process = &r->process;
	r->look.features = r->host.features;
	r->look.want_nodes = true;
	return true;
}

static void real_stop(struct real *r)
{
	free(r->list);
	process_close(&r->process);
	sys_close(&r->sys);
}

/* Where it is, is where it shall be. */
static void stays_there(const struct real *r, hva_t start, int16_t node)
{
	struct action a = {
		.kind = ACTION_PLACE,
		.node = node,
		.target = {.pid = getpid(),
			   .starttime = r->process.starttime,
			   .start = start,
			   .bytes = block_bytes(&r->look.geometry)},
	};
	struct outcome o =
		place_act(r->look.sys, &r->process, &a, r->list, r->n, &r->look.geometry);

	assert_int_equal(o.err, 0);
	assert_int_equal(o.took_ns, 0);
}

/* Blocks: a small one, one that was never touched, another small one. */
static void real_memory_is_on_a_node(void **state)
{
	const uint64_t block = memstate_block_bytes();
	memstate_map m = MEMSTATE_MAP_INIT;
	struct real r;
	hva_t start;
	int64_t node;

	(void)state;
	if (!real_start(&r)) {
		real_stop(&r);
		skip();
	}
	assert_int_equal(memstate_map_memfd(&m, 3 * block, 0), 0);
	assert_int_equal(memstate_fill_small(m.addr, block, 1), 0);
	assert_int_equal(memstate_fill_small(m.addr + 2 * block, block, 1), 0);
	node = memnode_of(0, m.addr);
	assert_true(node >= 0);
	start = (hva_t)(uintptr_t)m.addr;
	assert_int_equal(look_blocks(&r.look, start, start + m.bytes, &r.list, &r.n), 0);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.list[0].node, node);
	assert_int_equal(r.list[1].node, -1);
	assert_int_equal(r.list[1].seen, SEEN_NOTHING);
	assert_true(r.list[2].node >= 0);
	stays_there(&r, start, (int16_t)node);
	memstate_unmap(&m);
	real_stop(&r);
}

int main(void)
{
#define NODES_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		NODES_TEST(huge_blocks_are_asked_by_one_page),
		NODES_TEST(nobody_asks_where_it_is_not_wanted),
		NODES_TEST(most_samples_decide),
		NODES_TEST(counts_survive_cutting),
		NODES_TEST(what_holds_nothing_is_not_asked),
		NODES_TEST(errors_leave_it_unknown),
		NODES_TEST(large_sights_are_asked_in_pieces),
		NODES_TEST(real_memory_is_on_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
