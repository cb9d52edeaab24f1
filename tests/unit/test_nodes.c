/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nodes of the host, and on which of them blocks lie: of a made-up tree, on a kernel that
 * answers by a script, and on the real one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	/* A tree. */
	char path[64];
	struct sys sys;
	struct host host;
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

/* ---- The tree ---- */

static void put(struct world *w, const char *path, const char *text)
{
	char copy[256];
	int fd;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdirat(w->sys.rootfd, copy, 0755);
		*slash = '/';
	}
	fd = openat(w->sys.rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void put_node(struct world *w, int node, const char *file, const char *text)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/%s", node, file);
	put(w, path, text);
}

static void have_nodes(struct world *w, const int *ids, uint16_t n)
{
	memset(&w->host, 0, sizeof(w->host));
	w->host.n_nodes = n;
	for (uint16_t i = 0; i < n; i++)
		w->host.nodes[i].id = (int16_t)ids[i];
}

static void everything_of_a_node_is_read(void **state)
{
	static const int ids[] = {0, 1};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0-1\n");
	put(w, "proc/sys/kernel/numa_balancing", "1\n");
	put_node(w, 0, "cpulist", "0-3\n");
	put_node(w, 0, "meminfo",
		 "Node 0 MemTotal:       24683444 kB\nNode 0 MemFree:        1 kB\n");
	put_node(w, 0, "distance", "10 21\n");
	put_node(w, 1, "cpulist", "\n");
	put_node(w, 1, "meminfo", "Node 1 MemTotal:       100 kB\n");
	put_node(w, 1, "distance", "21 10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.is_numa_balancing);
	assert_true(w->host.nodes[0].has_cpus);
	assert_false(w->host.nodes[1].has_cpus);
	assert_int_equal(w->host.nodes[0].total_bytes, UINT64_C(24683444) * 1024);
	assert_int_equal(w->host.nodes[1].total_bytes, 100 * 1024);
	assert_string_equal(w->host.nodes[0].distances, "10 21");
	assert_int_equal(host_distance(&w->host, 0, 1), 21);
	assert_int_equal(host_distance(&w->host, 1, 0), 21);
	assert_int_equal(host_distance(&w->host, 1, 1), 10);
	/* Modes: 2 is tiering, and it moves memory as well. */
	put(w, "proc/sys/kernel/numa_balancing", "2\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.is_numa_balancing);
	put(w, "proc/sys/kernel/numa_balancing", "0\n");
	host_read_nodes(&w->sys, &w->host);
	assert_false(w->host.is_numa_balancing);
}

static void first_line_of_meminfo_is_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"Node 0 MemTotal:       24683444 kB\nNode 0 MemFree: 1 kB\n", 24683444 * 1024ULL},
		{"Node 0 MemTotal: 18446744073709551615 kB\n", 0},
		{"Node 0 MemTotal: 18446744073709551616 kB\n", 0},
		{"Node 0 MemTotal: 18014398509481983 kB\n", 18014398509481983 * 1024ULL},
		{"Node 0 MemTotal: 18014398509481984 kB\n", 0},
		{"Node 0 MemTotal: x kB\n", 0},
		{"Node 0 MemTotal:\n5 kB\n", 0},
		{"Node 0 MemFree: 5 kB\n", 0},
		{"", 0},
		{"MemTotal:", 0},
	};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		have_nodes(w, ids, 2);
		put_node(w, 0, "meminfo", cases[i].text);
		host_read_nodes(&w->sys, &w->host);
		if (w->host.nodes[0].total_bytes != cases[i].bytes)
			fail_msg("\"%s\": %llu", cases[i].text,
				 (unsigned long long)w->host.nodes[0].total_bytes);
	}
}

static void one_node_costs_nothing(void **state)
{
	static const int ids[] = {0};
	struct world *w = *state;

	have_nodes(w, ids, 1);
	put_node(w, 0, "cpulist", "0-3\n");
	put(w, "proc/sys/kernel/numa_balancing", "1\n");
	host_read_nodes(&w->sys, &w->host);
	assert_false(w->host.nodes[0].has_cpus);
	assert_false(w->host.is_numa_balancing);
}

static void without_files_nothing_is_known(void **state)
{
	static const int ids[] = {0, 1, 64, 32767};
	struct world *w = *state;

	have_nodes(w, ids, 4);
	host_read_nodes(&w->sys, &w->host);
	for (uint16_t i = 0; i < 4; i++) {
		assert_false(w->host.nodes[i].has_cpus);
		assert_int_equal(w->host.nodes[i].total_bytes, 0);
		assert_int_equal(host_distance(&w->host, 0, ids[i]), 0);
	}
	assert_false(w->host.is_numa_balancing);
}

/* Rows go by the nodes that are online; the host has those with memory. */
static void nodes_without_memory_are_left_out_of_rows(void **state)
{
	static const int ids[] = {0, 3, 5};
	struct world *w = *state;

	have_nodes(w, ids, 3);
	put(w, "sys/devices/system/node/online", "0-1,3,5\n");
	put_node(w, 0, "distance", "10 11 13 15\n");
	put_node(w, 3, "distance", "30 31 10 35\n");
	put_node(w, 5, "distance", "50 51 53 10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "10 13 15");
	assert_string_equal(w->host.nodes[1].distances, "30 10 35");
	assert_string_equal(w->host.nodes[2].distances, "50 53 10");
	assert_int_equal(host_distance(&w->host, 0, 3), 13);
	assert_int_equal(host_distance(&w->host, 5, 3), 53);
	assert_int_equal(host_distance(&w->host, 0, 1), 0);
}

static void broken_rows_are_unknown(void **state)
{
	static const char *const rows[] = {
		"10\n",
		"",
		"\n",
		"10 x\n",
		"x\n",
		"10,20\n",
		"-10 20\n",
		"99999999999999999999 10\n",
		"10 4294967306\n",
		"10 256\n",
	};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	put(w, "sys/devices/system/node/online", "0-1\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		have_nodes(w, ids, 2);
		put_node(w, 0, "distance", rows[i]);
		host_read_nodes(&w->sys, &w->host);
		if (host_distance(&w->host, 0, 1) != 0)
			fail_msg("\"%s\": taken for \"%s\"", rows[i], w->host.nodes[0].distances);
	}
	/* A row that grew between two files: what there is of it is right. */
	have_nodes(w, ids, 2);
	put_node(w, 0, "distance", "10 20 30 40\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 20);
}

static void row_that_was_read_before_is_forgotten(void **state)
{
	static const int ids[] = {0, 1};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0-1\n");
	put_node(w, 0, "distance", "10 20\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 20);
	put_node(w, 0, "distance", "10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 0);
}

static void many_nodes_fit_or_are_unknown(void **state)
{
	int ids[HOST_NODES_MAX];
	struct world *w = *state;
	char row[512] = "";

	put(w, "sys/devices/system/node/online", "0-63\n");
	for (int i = 0; i < HOST_NODES_MAX; i++) {
		ids[i] = i;
		(void)strcat(row, "255 ");
	}
	have_nodes(w, ids, HOST_NODES_MAX);
	put_node(w, 0, "distance", row);
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "");
	have_nodes(w, ids, 16); /* 63 characters, and the NUL */
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(strlen(w->host.nodes[0].distances), 63);
	assert_int_equal(host_distance(&w->host, 0, 15), 255);
	have_nodes(w, ids, 17);
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "");
}

/* In no set of nodes, so nothing is moved there; but nothing else is disturbed by it. */
static void nodes_beyond_the_set_are_unknown(void **state)
{
	static const int ids[] = {0, 64};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0,64\n");
	put_node(w, 0, "distance", "10 20\n");
	put_node(w, 64, "distance", "20 10\n");
	put_node(w, 64, "cpulist", "7\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.nodes[1].has_cpus);
	assert_int_equal(host_distance(&w->host, 0, 0), 10);
	assert_int_equal(host_distance(&w->host, 0, 64), 0);
}

static void offline_list_of_any_form_is_survived(void **state)
{
	static const char *const lists[] = {"", "\n", "x\n", "1-0\n", "0-4294967295\n", "0-\n"};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	put_node(w, 0, "distance", "10 20\n");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		have_nodes(w, ids, 2);
		put(w, "sys/devices/system/node/online", lists[i]);
		host_read_nodes(&w->sys, &w->host);
		assert_int_equal(host_distance(&w->host, 0, 1), 0);
	}
}

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
	(void)snprintf(w->path, sizeof(w->path), "/tmp/thpd-nodes-XXXXXX");
	if (!mkdtemp(w->path))
		return -1;
	w->sys = (struct sys){
		.rootfd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.kpageflags_fd = -EBADF,
		.ops = &ops,
		.userdata = w,
	};
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int stop(void **state)
{
	struct world *w = *state;

	free(w->list);
	sys_close(&w->sys);
	(void)nftw(w->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
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
		NODES_TEST(everything_of_a_node_is_read),
		NODES_TEST(first_line_of_meminfo_is_read),
		NODES_TEST(one_node_costs_nothing),
		NODES_TEST(without_files_nothing_is_known),
		NODES_TEST(nodes_without_memory_are_left_out_of_rows),
		NODES_TEST(broken_rows_are_unknown),
		NODES_TEST(row_that_was_read_before_is_forgotten),
		NODES_TEST(many_nodes_fit_or_are_unknown),
		NODES_TEST(nodes_beyond_the_set_are_unknown),
		NODES_TEST(offline_list_of_any_form_is_survived),
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
