/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ladder against real memory: this process makes blocks of every kind and looks at itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "features.h"
#include "hostfacts.h"
#include "look.h"
#include "memstate.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct bench {
	struct sys sys;
	struct process process;
	struct look look;
	struct host host;
	struct sight *list;
	size_t n;
};

static int start(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || sys_open_host(&b->sys) < 0 || host_read_geometry(&b->sys, &b->look.geometry) < 0)
		return -1;
	(void)features_probe(&b->sys, &b->look.geometry, &b->host, NULL);
	if (process_open(&b->sys, getpid(), &b->process) < 0)
		return -1;
	b->look.sys = &b->sys;
	b->look.process = &b->process;
	b->look.features = b->host.features;
	*state = b;
	return 0;
}

static int stop(void **state)
{
	struct bench *b = *state;

	process_close(&b->process);
	sys_close(&b->sys);
	free(b->list);
	free(b);
	return 0;
}

/* A missing right or kernel is a skip that says so. */
static void need(const struct bench *b, uint32_t features, const char *what)
{
	if ((b->host.features & features) == features)
		return;
	print_message("SKIP: %s\n", what);
	skip();
}

static void forget(struct bench *b)
{
	free(b->list);
	b->list = NULL;
	b->n = 0;
}

static hva_t address_of(const memstate_map *m)
{
	return (hva_t)(uintptr_t)m->addr;
}

static void look_at(struct bench *b, const memstate_map *m)
{
	forget(b);
	assert_int_equal(
		look_blocks(&b->look, address_of(m), address_of(m) + m->bytes, &b->list, &b->n), 0);
}

static void count(struct bench *b, const memstate_map *m)
{
	forget(b);
	assert_int_equal(
		look_pages(&b->look, address_of(m), address_of(m) + m->bytes, &b->list, &b->n), 0);
}

/* The sight of block i of the map; fails if there is none. */
static const struct sight *sight_of(const struct bench *b, const memstate_map *m, unsigned i)
{
	hva_t at = address_of(m) + i * block_bytes(&b->look.geometry);

	for (size_t k = 0; k < b->n; k++)
		if (b->list[k].start <= at &&
		    at < b->list[k].start + b->list[k].blocks * block_bytes(&b->look.geometry))
			return &b->list[k];
	fail_msg("block %u has no sight", i);
	return NULL;
}

static void expect_seen(const struct bench *b, const memstate_map *m, unsigned i, enum seen seen)
{
	const struct sight *s = sight_of(b, m, i);

	if (s->seen != seen)
		fail_msg("block %u: seen %s, expected %s", i, seen_name(s->seen), seen_name(seen));
}

/* One small page, whatever the host's knobs say. */
static void touch(uint8_t *page)
{
	assert_int_equal(memstate_fill_small(page, memstate_page_bytes(), 1), 0);
}

/* Blocks: 0 huge, 1 huge, 2 nothing, 3 huge, 4 small, 5 folio, 6 one page in the middle, 7 small
 * with holes. */
static void make_states(const struct bench *b, memstate_map *m)
{
	uint64_t block = block_bytes(&b->look.geometry), page = page_bytes(&b->look.geometry);

	assert_int_equal(memstate_fill_small(m->addr, 2 * block, 1), 0);
	assert_int_equal(memstate_fill_small(m->addr + 3 * block, 3 * block, 1), 0);
	assert_int_equal(memstate_make_huge(m->addr, 2 * block), 0);
	assert_int_equal(memstate_make_huge(m->addr + 3 * block, block), 0);
	assert_int_equal(memstate_make_huge(m->addr + 5 * block, block), 0);
	assert_int_equal(memstate_make_pte_mapped(m->addr + 5 * block, block), 0);
	touch(m->addr + 6 * block + block / 2);
	for (uint64_t i = 0; i < block / page; i++)
		if (i % 4 != 3)
			touch(m->addr + 7 * block + i * page);
}

static void check_states(struct bench *b, const memstate_map *m, enum seen folio, enum seen small)
{
	static const uint8_t huge[] = {0, 1, 3};

	for (size_t i = 0; i < 3; i++) {
		expect_seen(b, m, huge[i], SEEN_HUGE);
		assert_int_equal(sight_of(b, m, huge[i])->fill, FILL_FULL);
	}
	expect_seen(b, m, 2, SEEN_NOTHING);
	assert_int_equal(sight_of(b, m, 2)->fill, 0);
	expect_seen(b, m, 4, small);
	expect_seen(b, m, 5, folio);
	expect_seen(b, m, 6, small);
	expect_seen(b, m, 7, small);
}

static void expect_count(const struct bench *b, const memstate_map *m, unsigned i, uint8_t fill,
			 uint64_t pages)
{
	const struct sight *s = sight_of(b, m, i);

	if (s->fill != fill || s->present_pages != pages * s->blocks)
		fail_msg("block %u: fill %u, %u pages in %u blocks", i, s->fill,
			 (unsigned)s->present_pages, s->blocks);
}

static void check_counts(const struct bench *b, const memstate_map *m)
{
	uint64_t pages = block_pages(&b->look.geometry);

	expect_count(b, m, 0, FILL_FULL, pages);
	expect_count(b, m, 2, 0, 0);
	expect_count(b, m, 4, FILL_FULL, pages);
	expect_count(b, m, 5, FILL_FULL, pages);
	expect_count(b, m, 6, 0, 1);
	expect_count(b, m, 7, 12, pages / 4 * 3);
}

typedef int (*map_function)(memstate_map *m, uint64_t bytes, uint64_t skew_bytes);

static void check_ladder(struct bench *b, map_function map)
{
	memstate_map m = MEMSTATE_MAP_INIT;

	need(b, FEATURE_PAGEMAP_SCAN | FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM,
	     "PAGEMAP_SCAN and MADV_COLLAPSE");
	need(b, FEATURE_PFN | FEATURE_KPAGEFLAGS, "CAP_SYS_ADMIN for PFNs");
	assert_int_equal(map(&m, 8 * memstate_block_bytes(), 0), 0);
	make_states(b, &m);
	look_at(b, &m);
	check_states(b, &m, SEEN_FOLIO, SEEN_SMALL);
	assert_int_equal(sight_of(b, &m, 4)->fill, FILL_UNKNOWN);
	count(b, &m);
	check_states(b, &m, SEEN_FOLIO, SEEN_SMALL);
	check_counts(b, &m);
	b->look.features &= ~(uint32_t)FEATURE_PFN;
	look_at(b, &m);
	check_states(b, &m, SEEN_PAGES, SEEN_PAGES);
	count(b, &m);
	check_states(b, &m, SEEN_PAGES, SEEN_PAGES);
	check_counts(b, &m);
	memstate_unmap(&m);
}

static void shmem_is_told_apart(void **state)
{
	check_ladder(*state, memstate_map_memfd);
}

static void anon_is_told_apart(void **state)
{
	check_ladder(*state, memstate_map_anon);
}

static void equal_neighbours_are_one_sight(void **state)
{
	struct bench *b = *state;
	memstate_map m = MEMSTATE_MAP_INIT;

	need(b, FEATURE_PAGEMAP_SCAN | FEATURE_COLLAPSE, "PAGEMAP_SCAN and MADV_COLLAPSE");
	assert_int_equal(memstate_map_memfd(&m, 8 * memstate_block_bytes(), 0), 0);
	look_at(b, &m);
	assert_int_equal(b->n, 1);
	expect_seen(b, &m, 7, SEEN_NOTHING);
	assert_int_equal(memstate_fill_small(m.addr, m.bytes, 1), 0);
	look_at(b, &m);
	assert_int_equal(b->n, 1);
	assert_int_equal(memstate_make_huge(m.addr, m.bytes), 0);
	look_at(b, &m);
	assert_int_equal(b->n, 1);
	assert_int_equal(b->list[0].blocks, 8);
	expect_seen(b, &m, 0, SEEN_HUGE);
	memstate_unmap(&m);
}

/* Below Linux 6.7: never "huge" by guess. */
static void old_kernels_are_served_honestly(void **state)
{
	struct bench *b = *state;
	memstate_map m = MEMSTATE_MAP_INIT;
	uint64_t block = memstate_block_bytes();

	need(b, FEATURE_PFN | FEATURE_KPAGEFLAGS | FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM,
	     "CAP_SYS_ADMIN for PFNs");
	b->look.features &= ~(uint32_t)(FEATURE_PAGEMAP_SCAN | FEATURE_SCAN_GUARD);
	assert_int_equal(memstate_map_memfd(&m, 8 * block, 0), 0);
	make_states(b, &m);
	look_at(b, &m);
	/* One folio more than smaps knows huge blocks: which one it is cannot be told. */
	expect_seen(b, &m, 0, SEEN_FOLIO);
	expect_seen(b, &m, 2, SEEN_NOTHING);
	expect_seen(b, &m, 4, SEEN_SMALL);
	expect_seen(b, &m, 5, SEEN_FOLIO);
	check_counts(b, &m);
	assert_int_equal(memstate_make_huge(m.addr + 5 * block, block), 0);
	look_at(b, &m);
	/* As many as smaps knows: certain. */
	check_states(b, &m, SEEN_HUGE, SEEN_SMALL);
	memstate_unmap(&m);
}

static void guards_are_seen(void **state)
{
	struct bench *b = *state;
	memstate_map m = MEMSTATE_MAP_INIT;
	uint64_t block = memstate_block_bytes();

	need(b, FEATURE_PAGEMAP_SCAN | FEATURE_SCAN_GUARD, "guard regions (Linux 6.15)");
	assert_int_equal(memstate_map_anon(&m, 3 * block, 0), 0);
	assert_int_equal(memstate_fill_small(m.addr, block, 1), 0);
	assert_int_equal(madvise(m.addr, memstate_page_bytes(), MADV_GUARD_INSTALL), 0);
	assert_int_equal(madvise(m.addr + block, memstate_page_bytes(), MADV_GUARD_INSTALL), 0);
	look_at(b, &m);
	expect_seen(b, &m, 1, SEEN_NOTHING);
	expect_seen(b, &m, 2, SEEN_NOTHING);
	assert_int_equal(sight_of(b, &m, 0)->flags, SIGHT_GUARD);
	assert_int_equal(sight_of(b, &m, 1)->flags, SIGHT_GUARD);
	assert_int_equal(sight_of(b, &m, 2)->flags, 0);
	assert_int_equal(sight_of(b, &m, 0)->present_pages, block_pages(&b->look.geometry) - 1);
	memstate_unmap(&m);
}

/* The shared zero page is mapped, but nobody's memory: a collapse would allocate it. */
static void zero_pages_are_not_memory(void **state)
{
	struct bench *b = *state;
	memstate_map m = MEMSTATE_MAP_INIT;
	uint64_t block = memstate_block_bytes(), present;

	need(b, FEATURE_PAGEMAP_SCAN, "PAGEMAP_SCAN");
	assert_int_equal(memstate_map_anon(&m, 2 * block, 0), 0);
	assert_int_equal(madvise(m.addr, block, MADV_NOHUGEPAGE), 0);
	for (uint64_t i = 0; i < block; i += memstate_page_bytes())
		(void)*(volatile uint8_t *)(m.addr + i);
	(void)madvise(m.addr + block, block, MADV_HUGEPAGE);
	(void)*(volatile uint8_t *)(m.addr + block);
	look_at(b, &m);
	expect_seen(b, &m, 0, SEEN_NOTHING);
	expect_seen(b, &m, 1, SEEN_NOTHING);
	count(b, &m);
	expect_seen(b, &m, 0, SEEN_NOTHING);
	assert_int_equal(sight_of(b, &m, 0)->flags, SIGHT_ZERO);
	touch(m.addr + block / 2);
	look_at(b, &m);
	assert_int_not_equal(sight_of(b, &m, 0)->seen, SEEN_NOTHING);
	assert_int_equal(look_count(&b->look, address_of(&m), address_of(&m) + block, &present), 0);
	assert_int_equal(present, 1);
	memstate_unmap(&m);
}

static void copied_pages_of_private_files_are_flagged(void **state)
{
	struct bench *b = *state;
	memstate_map shared = MEMSTATE_MAP_INIT, m = MEMSTATE_MAP_INIT;
	uint64_t block = memstate_block_bytes();

	need(b, FEATURE_PAGEMAP_SCAN, "PAGEMAP_SCAN");
	assert_int_equal(memstate_map_memfd(&shared, 3 * block, 0), 0);
	assert_int_equal(memstate_fill_small(shared.addr, 3 * block, 1), 0);
	assert_int_equal(memstate_map_fd(&m, shared.fd, 0, 3 * block, 0, MAP_PRIVATE), 0);
	for (uint64_t i = 0; i < 3 * block; i += memstate_page_bytes())
		(void)*(volatile uint8_t *)(m.addr + i);
	touch(m.addr);
	touch(m.addr + block + block / 2);
	b->look.is_file = true;
	look_at(b, &m);
	assert_int_equal(sight_of(b, &m, 0)->flags, SIGHT_ANON_COPY);
	count(b, &m);
	assert_int_equal(sight_of(b, &m, 0)->flags, SIGHT_ANON_COPY);
	assert_int_equal(sight_of(b, &m, 1)->flags, SIGHT_ANON_COPY);
	assert_int_equal(sight_of(b, &m, 2)->flags, 0);
	memstate_unmap(&m);
	memstate_unmap(&shared);
}

static void edges_are_counted(void **state)
{
	struct bench *b = *state;
	memstate_map m = MEMSTATE_MAP_INIT;
	uint64_t block = memstate_block_bytes(), page = memstate_page_bytes(), present = 99;

	assert_int_equal(memstate_map_memfd(&m, block, 0), 0);
	touch(m.addr);
	touch(m.addr + 5 * page);
	touch(m.addr + 6 * page);
	assert_int_equal(look_count(&b->look, address_of(&m), address_of(&m) + 6 * page, &present),
			 0);
	assert_int_equal(present, 2);
	b->look.features = 0;
	assert_int_equal(look_count(&b->look, address_of(&m), address_of(&m) + 8 * page, &present),
			 0);
	assert_int_equal(present, 3);
	assert_int_equal(look_count(&b->look, address_of(&m), address_of(&m), &present), 0);
	assert_int_equal(present, 0);
	memstate_unmap(&m);
}

static void ranges_that_are_no_blocks_are_refused(void **state)
{
	struct bench *b = *state;
	uint64_t block = memstate_block_bytes();

	forget(b);
	assert_int_equal(look_blocks(&b->look, 4096, block, &b->list, &b->n), -EINVAL);
	assert_int_equal(look_blocks(&b->look, 0, block + 4096, &b->list, &b->n), -EINVAL);
	assert_int_equal(look_blocks(&b->look, 2 * block, block, &b->list, &b->n), -EINVAL);
	assert_int_equal(b->n, 0);
	assert_int_equal(look_blocks(&b->look, block, block, &b->list, &b->n), 0);
	assert_int_equal(b->n, 0);
}

/* A scan of a dead mm finds nothing: that must not pass for an empty guest. */
static void dead_memory_is_not_empty_memory(void **state)
{
	struct bench *b = *state;
	uint64_t block = memstate_block_bytes(), present;
	struct process child = PROCESS_INIT;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			(void)pause();
	assert_true(pid > 0);
	assert_int_equal(process_open(&b->sys, pid, &child), 0);
	b->look.process = &child;
	assert_int_equal(look_blocks(&b->look, block, 2 * block, &b->list, &b->n), 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	forget(b);
	assert_int_equal(look_blocks(&b->look, block, 2 * block, &b->list, &b->n), -ESRCH);
	assert_int_equal(look_pages(&b->look, block, 2 * block, &b->list, &b->n), -ESRCH);
	assert_int_equal(look_count(&b->look, block, 2 * block, &present), -ESRCH);
	assert_int_equal(b->n, 0);
	process_close(&child);
}

static void without_a_pagemap_nothing_is_claimed(void **state)
{
	struct bench *b = *state;
	struct process blind = b->process;
	uint64_t block = memstate_block_bytes();

	blind.pagemap_fd = -EBADF;
	b->look.process = &blind;
	forget(b);
	assert_int_equal(look_blocks(&b->look, block, 2 * block, &b->list, &b->n), -EACCES);
	b->look.features = 0;
	assert_int_equal(look_blocks(&b->look, block, 2 * block, &b->list, &b->n), -EACCES);
	assert_int_equal(b->n, 0);
}

/* Blocks of one map by letters: f a folio mapped by pages, s small, h huge, - nothing. */
static void make_pattern(memstate_map *m, const char *pattern)
{
	uint64_t block = memstate_block_bytes();

	for (size_t i = 0; pattern[i]; i++) {
		uint8_t *at = m->addr + i * block;

		if (pattern[i] == '-')
			continue;
		assert_int_equal(memstate_fill_small(at, block, 1), 0);
		if (pattern[i] != 's')
			assert_int_equal(memstate_make_huge(at, block), 0);
		if (pattern[i] == 'f')
			assert_int_equal(memstate_make_pte_mapped(at, block), 0);
	}
}

static enum seen seen_of(char letter)
{
	return letter == 'f'   ? SEEN_FOLIO
	       : letter == 's' ? SEEN_SMALL
	       : letter == 'h' ? SEEN_HUGE
			       : SEEN_NOTHING;
}

/* Two alike blocks make the look ask two at a time: what comes next differs, at either
 * place of the two. */
static void runs_end_at_every_place(void **state)
{
	static const char *const patterns[] = {
		"fffs", "ffffs", "sssf", "ssssf", "fffh",  "ffffh", "sssh",	"ssssh",
		"fff-", "ffff-", "sss-", "ssss-", "ffsfs", "ssfsf", "hfffhsss", "ffsffs",
	};
	struct bench *b = *state;

	need(b, FEATURE_PAGEMAP_SCAN | FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM,
	     "PAGEMAP_SCAN and MADV_COLLAPSE");
	need(b, FEATURE_PFN | FEATURE_KPAGEFLAGS, "CAP_SYS_ADMIN for PFNs");
	for (size_t k = 0; k < sizeof(patterns) / sizeof(*patterns); k++) {
		const char *pattern = patterns[k];
		memstate_map m = MEMSTATE_MAP_INIT;

		assert_int_equal(
			memstate_map_memfd(&m, strlen(pattern) * memstate_block_bytes(), 0), 0);
		make_pattern(&m, pattern);
		look_at(b, &m);
		for (unsigned i = 0; pattern[i]; i++)
			expect_seen(b, &m, i, seen_of(pattern[i]));
		memstate_unmap(&m);
	}
}

int main(void)
{
#define LOOK_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		LOOK_TEST(shmem_is_told_apart),
		LOOK_TEST(anon_is_told_apart),
		LOOK_TEST(equal_neighbours_are_one_sight),
		LOOK_TEST(old_kernels_are_served_honestly),
		LOOK_TEST(guards_are_seen),
		LOOK_TEST(zero_pages_are_not_memory),
		LOOK_TEST(copied_pages_of_private_files_are_flagged),
		LOOK_TEST(edges_are_counted),
		LOOK_TEST(ranges_that_are_no_blocks_are_refused),
		LOOK_TEST(dead_memory_is_not_empty_memory),
		LOOK_TEST(without_a_pagemap_nothing_is_claimed),
		LOOK_TEST(runs_end_at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
