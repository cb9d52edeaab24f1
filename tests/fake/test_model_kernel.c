/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The model kernel against the tables of KERNEL.md 1.4, 1.5, 2.1, 2.4, 2.6 and 7.1: every other
 * test of this folder rests on it. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "model_kernel.h"
#include "page_runs.h"

enum { PID = 100 };

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)

struct fixture {
	struct model *m;
	struct sys sys;
	int pidfd, pagemap;
};

static int open_pagemap(struct fixture *f)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "proc/%d/pagemap", PID);
	return openat(f->sys.rootfd, path, O_RDONLY | O_CLOEXEC);
}

static int setup_with(void **state, const struct model_options *o)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->m = model_new(o);
	assert_int_equal(model_open_sys(f->m, &f->sys), 0);
	(void)model_spawn(f->m, &(struct model_vm){.pid = PID});
	f->pidfd = f->sys.ops->pidfd_open(&f->sys, PID);
	assert_true(f->pidfd >= 0);
	f->pagemap = open_pagemap(f);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, &(struct model_options)MODEL_OPTIONS_INIT);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close_fd(f->pidfd);
	(void)close_fd(f->pagemap);
	sys_close(&f->sys);
	model_free(f->m);
	free(f);
	return 0;
}

static void map(struct fixture *f, enum model_backing backing, uint64_t blocks)
{
	model_mmap(f->m, PID,
		   &(struct model_map){.start = RAM, .bytes = blocks * BLOCK, .backing = backing});
}

static ssize_t collapse(struct fixture *f, uint64_t offset, uint64_t bytes)
{
	return f->sys.ops->collapse(&f->sys, f->pidfd, PID, RAM + offset, bytes);
}

static uint64_t huge(struct fixture *f, uint64_t block)
{
	return model_huge_bytes(f->m, PID, RAM + block * BLOCK, BLOCK) / BLOCK;
}

static void touch(struct fixture *f, uint64_t offset, uint64_t bytes)
{
	model_touch(f->m, PID, RAM + offset, bytes);
}

/* ---- page_runs ---- */

static void test_runs_split_and_merge(void **state)
{
	struct page_runs r = {0};
	struct page_run run = {
		.first = 0, .pages = 10, .kind = PAGES_SMALL, .pfn = 100, .pfn_step = 2};

	(void)state;
	page_runs_set(&r, &run);
	page_runs_remove(&r, 3, 2);
	assert_int_equal(r.n_items, 2);
	assert_int_equal(page_runs_at(&r, 6, 10).pfn, 112);
	assert_int_equal(page_runs_at(&r, 3, 10).kind, PAGES_NONE);
	assert_int_equal(page_runs_at(&r, 3, 10).pages, 2);
	run = (struct page_run){
		.first = 3, .pages = 2, .kind = PAGES_SMALL, .pfn = 106, .pfn_step = 2};
	page_runs_set(&r, &run);
	assert_int_equal(r.n_items, 1);
	assert_int_equal(page_runs_count(&r, PAGES_SMALL, 0, 100), 10);
	assert_int_equal(page_runs_count(&r, PAGES_NONE, 0, 100), 90);
	page_runs_free(&r);
}

/* Every operation compared with an array of pages. */
static void test_runs_are_like_an_array(void **state)
{
	enum { PAGES = 64 };
	uint8_t truth[PAGES] = {0};
	struct page_runs r = {0};
	uint64_t seed = 1;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		struct page_run run = {0};

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		run.first = (seed >> 33) % PAGES;
		run.pages = (seed >> 43) % (PAGES - run.first) + 1;
		run.kind = (enum page_kind)((seed >> 53) % 4);
		page_runs_set(&r, &run);
		memset(&truth[run.first], (int)run.kind, run.pages);
		for (uint64_t i = 0; i < PAGES; i++)
			assert_int_equal(page_runs_at(&r, i, PAGES).kind, truth[i]);
		for (size_t i = 1; i < r.n_items; i++)
			assert_true(r.items[i - 1].first + r.items[i - 1].pages <
					    r.items[i].first ||
				    r.items[i - 1].kind != r.items[i].kind);
	}
	page_runs_free(&r);
}

/* ---- 1.4: the range and the abort rule ---- */

static void test_block_of_small_folios_is_copied(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(huge(f, 1), 0);
	assert_int_equal(model_stats(f->m).copied_bytes, BLOCK);
	assert_int_equal(model_check_data(f->m), 0);
}

static void test_less_than_a_block_does_nothing(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	assert_int_equal(collapse(f, 0, BLOCK / 2), BLOCK / 2);
	assert_int_equal(collapse(f, 0, PAGE), PAGE);
	assert_int_equal(collapse(f, PAGE, BLOCK / 2), -EINVAL);
	assert_int_equal(huge(f, 0), 0);
	/* From inside the first block to inside the third: only whole blocks are done. */
	assert_int_equal(collapse(f, BLOCK - PAGE, BLOCK + PAGE), BLOCK + PAGE);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(huge(f, 1), 1);
}

static void test_empty_block_ends_the_call(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 5);
	touch(f, 0, BLOCK);
	touch(f, 3 * BLOCK, PAGE);
	touch(f, 4 * BLOCK, BLOCK);
	assert_int_equal(collapse(f, 0, 5 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(huge(f, 3), 0);
	assert_int_equal(huge(f, 4), 0);
	assert_int_equal(model_stats(f->m).empty_block_calls, 2);
}

static void test_busy_block_does_not_end_the_call(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	model_pin(f->m, PID, RAM, PAGE, true);
	assert_int_equal(collapse(f, 0, 2 * BLOCK), -EAGAIN);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(huge(f, 1), 1);
}

static void test_last_failure_is_returned(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 3);
	touch(f, 0, 2 * BLOCK);
	model_pin(f->m, PID, RAM, PAGE, true);
	assert_int_equal(collapse(f, 0, 3 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 1), 1);
}

static void test_one_page_fills_a_block(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 5 * PAGE, PAGE);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_present_bytes(f->m, PID, RAM, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).refilled_pages, 511);
	assert_int_equal(model_check_data(f->m), 0);
}

static void test_holes_made_in_a_race_are_counted_apart(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	model_race_begin(f->m);
	model_discard(f->m, PID, RAM, 10 * PAGE);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).refilled_pages, 0);
	assert_int_equal(model_stats(f->m).raced_refilled_pages, 10);
	model_race_end(f->m);
}

static void test_a_call_is_cut_at_max_rw_count(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1025);
	model_make_huge(f->m, PID, RAM, 1025 * BLOCK);
	model_split(f->m, PID, RAM, 1025 * BLOCK);
	assert_int_equal(collapse(f, 0, 1025 * BLOCK), 0x7ffff000);
	assert_int_equal(huge(f, 1022), 1);
	assert_int_equal(huge(f, 1023), 0);
	assert_int_equal(huge(f, 1024), 0);
}

static void test_a_gap_is_enomem(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	assert_int_equal(collapse(f, 0, 2 * BLOCK), -ENOMEM);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(collapse(f, 8 * BLOCK, BLOCK), -ENOMEM);
}

/* ---- 1.2, 1.3: mappings that are refused ---- */

static void test_refused_backings(void **state)
{
	static const enum model_backing refused[] = {MODEL_REGULAR_FILE, MODEL_FSDAX, MODEL_HUGETLB,
						     MODEL_DEVICE, MODEL_SECRETMEM};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		map(f, refused[i], 1);
		assert_int_equal(collapse(f, 0, PAGE), -EINVAL);
		model_munmap(f->m, PID, RAM);
	}
	assert_int_equal(model_stats(f->m).secret_calls, 1);
}

static void test_refused_mappings(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 1);
	assert_int_equal(collapse(f, 0, PAGE), -EINVAL); /* never faulted */
	touch(f, 0, PAGE);
	assert_int_equal(collapse(f, 0, PAGE), PAGE);
	model_change_flags(f->m, PID, RAM, VMA_FLAG_NH, 0);
	assert_int_equal(collapse(f, 0, PAGE), -EINVAL);
	model_munmap(f->m, PID, RAM);
	/* 4 KiB off (KERNEL.md 0.3). */
	model_mmap(f->m, PID,
		   &(struct model_map){
			   .start = RAM - PAGE, .bytes = 4 * BLOCK, .backing = MODEL_MEMFD});
	assert_int_equal(collapse(f, 0, PAGE), -EINVAL);
	model_munmap(f->m, PID, RAM - PAGE);
	/* Off in address and file alike: congruent. */
	model_mmap(f->m, PID,
		   &(struct model_map){.start = RAM - PAGE,
				       .bytes = 4 * BLOCK,
				       .backing = MODEL_MEMFD,
				       .file_offset = BLOCK - PAGE});
	assert_int_equal(collapse(f, 0, PAGE), PAGE);
	model_munmap(f->m, PID, RAM - PAGE);
	/* Too short. */
	model_mmap(
		f->m, PID,
		&(struct model_map){.start = RAM, .bytes = BLOCK - PAGE, .backing = MODEL_MEMFD});
	assert_int_equal(collapse(f, 0, PAGE), -EINVAL);
}

static void test_knobs(void **state)
{
	static const struct {
		const char *global, *per_size;
		enum model_backing backing;
		uint32_t flags;
		ssize_t expected;
	} rows[] = {
		{"never", "inherit", MODEL_MEMFD, 0, PAGE},
		{"deny", "inherit", MODEL_MEMFD, 0, -EINVAL},
		{"deny", "inherit", MODEL_TMPFS, 0, -EINVAL},
		{"never", "never", MODEL_MEMFD, 0, -EINVAL},
		{"never", "never", MODEL_TMPFS, 0, PAGE},
		{"never", "advise", MODEL_MEMFD, 0, -EINVAL},
		{"never", "advise", MODEL_MEMFD, VMA_FLAG_HG, PAGE},
		{"never", "within_size", MODEL_MEMFD, 0, PAGE},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		model_set_shmem_knobs(f->m, rows[i].global, rows[i].per_size);
		map(f, rows[i].backing, 1);
		model_change_flags(f->m, PID, RAM, rows[i].flags, 0);
		assert_int_equal(collapse(f, 0, PAGE), rows[i].expected);
		model_munmap(f->m, PID, RAM);
	}
}

/* ---- 1.5, 1.6: errnos ---- */

static void test_no_memory(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 3);
	touch(f, 0, 3 * BLOCK);
	model_set_free_blocks(f->m, 1);
	assert_int_equal(collapse(f, 0, 3 * BLOCK), -ENOMEM);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(huge(f, 1), 0);
}

static void test_full_cgroup(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	model_set_memcg_max(f->m, PID, 2 * BLOCK + PAGE);
	assert_int_equal(collapse(f, 0, BLOCK), -EBUSY);
	model_set_memcg_max(f->m, PID, 3 * BLOCK);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
}

static void test_dead_and_recycled(void **state)
{
	struct fixture *f = *state;

	model_exit(f->m, PID);
	assert_int_equal(f->sys.ops->pidfd_is_alive(&f->sys, f->pidfd), 0);
	assert_int_equal(collapse(f, 0, BLOCK), -ESRCH);
	(void)model_spawn(f->m, &(struct model_vm){.pid = PID});
	assert_int_equal(f->sys.ops->pidfd_is_alive(&f->sys, f->pidfd), 0);
	assert_int_equal(collapse(f, 0, BLOCK), -ESRCH);
	assert_int_equal(model_stats(f->m).dead_process_calls, 2);
	assert_int_equal(f->sys.ops->pidfd_open(&f->sys, 4711), -ESRCH);
}

static void test_no_right(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(collapse(f, 0, PAGE), -EPERM);
}

static int setup_no_right(void **state)
{
	struct model_options o = MODEL_OPTIONS_INIT;

	o.has_collapse_right = false;
	o.has_pfn_right = false;
	o.has_scan = false;
	return setup_with(state, &o);
}

/* ---- 2.1: kinds of blocks ---- */

static void test_folio_is_remapped_even_if_pinned(void **state)
{
	struct fixture *f = *state;
	uint64_t before, after;

	map(f, MODEL_MEMFD, 1);
	model_make_huge(f->m, PID, RAM, BLOCK);
	assert_int_equal(huge(f, 0), 1);
	model_split(f->m, PID, RAM, BLOCK);
	assert_int_equal(huge(f, 0), 0);
	model_pin(f->m, PID, RAM, BLOCK, true);
	assert_int_equal(f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, RAM / PAGE, &before, 1),
			 1);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, RAM / PAGE, &after, 1),
			 1);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(before, after);
	assert_int_equal(model_stats(f->m).copied_bytes, 0);
	assert_int_equal(model_stats(f->m).remapped_bytes, BLOCK);
}

static void test_anon_folio_is_copied(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 2);
	model_make_huge(f->m, PID, RAM, 2 * BLOCK);
	model_split(f->m, PID, RAM, 2 * BLOCK);
	model_pin(f->m, PID, RAM, PAGE, true);
	assert_int_equal(collapse(f, 0, 2 * BLOCK), -EAGAIN);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(huge(f, 1), 1);
	assert_int_equal(model_stats(f->m).copied_bytes, BLOCK);
}

static void test_anon_holes_and_zero_pages(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 4);
	touch(f, 0, 100 * PAGE);
	model_read_zero(f->m, PID, RAM + BLOCK, BLOCK);
	assert_int_equal(collapse(f, 0, 2 * BLOCK), 2 * BLOCK);
	assert_int_equal(model_stats(f->m).refilled_pages, 412);
	assert_int_equal(model_stats(f->m).zero_filled_pages, 512);
	/* No page table: EINVAL, and the call goes on. */
	touch(f, 3 * BLOCK, BLOCK);
	assert_int_equal(collapse(f, 2 * BLOCK, 2 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 3), 1);
	assert_int_equal(huge(f, 2), 0);
	/* A page table, and nothing in it: filled. */
	touch(f, 2 * BLOCK, BLOCK);
	model_discard(f->m, PID, RAM + 2 * BLOCK, BLOCK);
	assert_int_equal(collapse(f, 2 * BLOCK, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).refilled_pages, 412 + 512);
}

static void test_swap_is_read_back(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 1);
	touch(f, 0, BLOCK);
	model_swap_out(f->m, PID, RAM, 7 * PAGE);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).swapped_in_pages, 7);
	assert_int_equal(model_check_data(f->m), 0);
}

static void test_guard_is_refused(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 1);
	touch(f, 0, BLOCK);
	model_guard(f->m, PID, RAM + BLOCK / 2, PAGE);
	assert_int_equal(collapse(f, 0, BLOCK), -EINVAL);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(model_stats(f->m).barred_calls, 1);
}

static void test_private_file(void **state)
{
	struct fixture *f = *state;

	model_mmap(f->m, PID,
		   &(struct model_map){.start = RAM,
				       .bytes = 2 * BLOCK,
				       .backing = MODEL_MEMFD,
				       .is_private = true});
	touch(f, 0, 2 * BLOCK);
	model_copy_on_write(f->m, PID, RAM + BLOCK, PAGE);
	assert_int_equal(collapse(f, 0, 2 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 0), 1);
	assert_int_equal(huge(f, 1), 0);
}

static void test_second_mapper_loses_its_table_and_faults_huge(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	(void)model_spawn(f->m, &(struct model_vm){.pid = 200});
	model_mmap(f->m, 200,
		   &(struct model_map){
			   .start = RAM, .bytes = BLOCK, .share_pid = PID, .share_start = RAM});
	model_touch(f->m, 200, RAM, BLOCK);
	assert_int_equal(model_present_bytes(f->m, 200, RAM, BLOCK), BLOCK);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_present_bytes(f->m, 200, RAM, BLOCK), 0);
	model_touch(f->m, 200, RAM, PAGE);
	assert_int_equal(model_huge_bytes(f->m, 200, RAM, BLOCK), BLOCK);
	assert_int_equal(model_check_data(f->m), 0);
}

/* ---- 2.4, 2.6 ---- */

static void test_userfaultfd(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 3);
	touch(f, 0, 2 * BLOCK);
	model_discard(f->m, PID, RAM + BLOCK, PAGE);
	touch(f, BLOCK + PAGE, PAGE);
	model_change_flags(f->m, PID, RAM, VMA_FLAG_UM, 0);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK); /* full */
	assert_int_equal(collapse(f, BLOCK, BLOCK), -EBUSY);
	model_change_flags(f->m, PID, RAM, VMA_FLAG_UW, VMA_FLAG_UM);
	touch(f, 2 * BLOCK, BLOCK);
	assert_int_equal(collapse(f, 2 * BLOCK, BLOCK), -EINVAL);
	assert_int_equal(huge(f, 2), 0);
	assert_int_equal(model_stats(f->m).barred_calls, 3);
}

static void test_old_kernel_loses_data_under_userfaultfd(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	model_change_flags(f->m, PID, RAM, VMA_FLAG_UM, 0);
	model_expect_remote(f->m, PID, RAM, 3 * PAGE);
	assert_int_equal(model_check_data(f->m), 0);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_check_data(f->m), 3);
}

static int setup_uffd_unsafe(void **state)
{
	struct model_options o = MODEL_OPTIONS_INIT;

	o.is_uffd_safe = false;
	return setup_with(state, &o);
}

static void test_punching_a_folio_drops_the_whole_mapping(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	model_make_huge(f->m, PID, RAM, BLOCK);
	model_discard(f->m, PID, RAM + 3 * PAGE, PAGE);
	assert_int_equal(model_present_bytes(f->m, PID, RAM, BLOCK), 0);
	touch(f, 0, 2 * PAGE);
	assert_int_equal(model_present_bytes(f->m, PID, RAM, BLOCK), 2 * PAGE);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).refilled_pages, 1);
}

static void test_discarding_half_an_anon_folio(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_ANON, 1);
	model_make_huge(f->m, PID, RAM, BLOCK);
	model_discard(f->m, PID, RAM, BLOCK / 2);
	assert_int_equal(huge(f, 0), 0);
	assert_int_equal(model_present_bytes(f->m, PID, RAM, BLOCK), BLOCK / 2);
}

/* ---- 7.1: PAGEMAP_SCAN ---- */

struct scan_row {
	uint64_t len, max, inverted, mask, anyof, returned;
	int n;
	uint64_t walk_end;
	const char *regions;
};

/* Small shmem 0-2, 5; anon 8, 9, zero page 10; 12, 13 unmapped; shmem 14, 15. The expected side was
 * taken from a live Linux 6.18.44. */
static const struct scan_row scan_rows[] = {
	{64, 0, 0, 8, 0, 0x7f, 5, 16, "[0,3)e [5,6)e [8,10)a [10,11)2a [14,16)e "},
	{64, 2, 0, 8, 0, 0x7f, 1, 2, "[0,2)e "},
	{64, 3, 0, 8, 0, 0x7f, 1, 5, "[0,3)e "},
	{64, 4, 0, 8, 0, 0x7f, 2, 8, "[0,3)e [5,6)e "},
	{64, 5, 0, 8, 0, 0x7f, 3, 9, "[0,3)e [5,6)e [8,9)a "},
	{64, 6, 0, 8, 0, 0x7f, 3, 10, "[0,3)e [5,6)e [8,10)a "},
	{2, 0, 0, 8, 0, 0x7f, 2, 8, "[0,3)e [5,6)e "},
	{1, 0, 0, 8, 0, 8, 1, 5, "[0,3)8 "},
	{64, 0, 8, 8, 0, 8, 3, 16, "[3,5)0 [6,8)0 [11,12)0 "},
	{64, 0, 64, 64, 0, 8, 7, 16, "[0,3)8 [3,5)0 [5,6)8 [6,8)0 [8,11)8 [11,12)0 [14,16)8 "},
	{64, 0, 64, 72, 0, 8, 4, 16, "[0,3)8 [5,6)8 [8,11)8 [14,16)8 "},
	{64, 0, 0, 0, 0, 0, 2, 16, "[0,12)0 [14,16)0 "},
	{64, 0, 0, 0, 0, 255, 8, 16,
	 "[0,3)e [3,5)2 [5,6)e [6,8)2 [8,10)a [10,11)2a [11,12)2 [14,16)e "},
	{0, 3, 0, 8, 0, 8, 0, 16, ""},
	{64, 1, 64, 72, 0, 8, 1, 1, "[0,1)8 "},
	{64, 0, 8, 0, 8 | 32, 255, 4, 16, "[3,5)2 [6,8)2 [10,11)2a [11,12)2 "},
};

static void map_page(struct fixture *f, uint64_t page, uint64_t pages, enum model_backing backing)
{
	model_mmap(f->m, PID,
		   &(struct model_map){
			   .start = RAM + page * PAGE, .bytes = pages * PAGE, .backing = backing});
}

static void check_scan(struct fixture *f, const struct scan_row *row)
{
	struct page_region regions[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = RAM,
		.end = RAM + 16 * PAGE,
		.vec = row->len ? (uint64_t)(uintptr_t)regions : 0,
		.vec_len = row->len,
		.max_pages = row->max,
		.category_inverted = row->inverted,
		.category_mask = row->mask,
		.category_anyof_mask = row->anyof,
		.return_mask = row->returned,
	};
	char text[512] = "";
	int n = f->sys.ops->pagemap_scan(&f->sys, f->pagemap, PID, &arg);

	assert_int_equal(n, row->n);
	assert_int_equal((arg.walk_end - RAM) / PAGE, row->walk_end);
	for (int i = 0; i < n; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%u,%u)%x ",
			       (unsigned)((regions[i].start - RAM) / PAGE),
			       (unsigned)((regions[i].end - RAM) / PAGE),
			       (unsigned)regions[i].categories);
	assert_string_equal(text, row->regions);
}

static void test_scan_is_as_on_linux(void **state)
{
	struct fixture *f = *state;

	map_page(f, 0, 8, MODEL_MEMFD);
	map_page(f, 8, 4, MODEL_ANON);
	map_page(f, 14, 2, MODEL_MEMFD);
	touch(f, 0, 3 * PAGE);
	touch(f, 5 * PAGE, PAGE);
	touch(f, 8 * PAGE, 2 * PAGE);
	model_read_zero(f->m, PID, RAM + 10 * PAGE, PAGE);
	touch(f, 14 * PAGE, 2 * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(scan_rows); i++)
		check_scan(f, &scan_rows[i]);
}

static int scan_with(struct fixture *f, uint64_t start, uint64_t size, uint64_t mask)
{
	struct page_region region;
	struct pm_scan_arg arg = {.size = size,
				  .start = start,
				  .end = RAM + BLOCK,
				  .vec = (uint64_t)(uintptr_t)&region,
				  .vec_len = 1,
				  .category_mask = mask,
				  .return_mask = mask};

	return f->sys.ops->pagemap_scan(&f->sys, f->pagemap, PID, &arg);
}

static void test_scan_checks_its_argument(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	model_make_huge(f->m, PID, RAM, BLOCK);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_HUGE), 1);
	assert_int_equal(scan_with(f, RAM + 1, sizeof(struct pm_scan_arg), PAGE_HUGE), -EINVAL);
	assert_int_equal(scan_with(f, RAM, 8, PAGE_HUGE), -EINVAL);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), 1 << 20), -EINVAL);
	model_fail_scans(f->m, 1, 1, -EIO);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_HUGE), 1);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_HUGE), -EIO);
}

static void test_dead_mm_shows_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t entry;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	assert_int_equal(f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, 0, &entry, 1), 1);
	model_exec(f->m, PID);
	assert_int_equal(f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, 0, &entry, 1), 0);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_PRESENT), -ESRCH);
	assert_int_equal(f->sys.ops->pidfd_is_alive(&f->sys, f->pidfd), 1);
}

static void test_walk_over_device_dax_splits(void **state)
{
	struct fixture *f = *state;

	model_mmap(f->m, PID,
		   &(struct model_map){.start = UINT64_C(1) << 40,
				       .bytes = UINT64_C(1) << 30,
				       .backing = MODEL_DEVDAX_1G});
	map(f, MODEL_MEMFD, 1);
	(void)scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_HUGE);
	assert_int_equal(model_stats(f->m).split_puds, 0);
	(void)scan_with(f, UINT64_C(1) << 40, sizeof(struct pm_scan_arg), PAGE_HUGE);
	assert_int_equal(model_stats(f->m).split_puds, 1);
}

static uint64_t flags_of(struct fixture *f, uint64_t page)
{
	uint64_t entry, flags;

	assert_int_equal(
		f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, RAM / PAGE + page, &entry, 1),
		1);
	assert_int_equal(
		f->sys.ops->kpageflags_read(&f->sys, entry & ((UINT64_C(1) << 55) - 1), &flags, 1),
		1);
	return flags & (1 << 15 | 1 << 16);
}

static void test_kpageflags(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 3);
	model_make_huge(f->m, PID, RAM, BLOCK);
	touch(f, BLOCK, 2 * BLOCK);
	model_make_large(f->m, PID, RAM + 2 * BLOCK, BLOCK);
	assert_int_equal(flags_of(f, 0), 1 << 15);
	assert_int_equal(flags_of(f, 511), 1 << 16);
	assert_int_equal(flags_of(f, 512), 0);
	assert_int_equal(flags_of(f, 1024), 1 << 15);
	assert_int_equal(flags_of(f, 1025), 1 << 16);
	assert_int_equal(flags_of(f, 1024 + 16), 1 << 15);
}

static void test_frames_are_hidden_without_the_right(void **state)
{
	struct fixture *f = *state;
	uint64_t entry, flags;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, PAGE);
	assert_int_equal(f->sys.ops->pagemap_read(&f->sys, f->pagemap, PID, RAM / PAGE, &entry, 1),
			 1);
	assert_int_equal(entry, UINT64_C(5) << 61);
	assert_true(f->sys.ops->kpageflags_read(&f->sys, 1, &flags, 1) < 0);
	assert_int_equal(scan_with(f, RAM, sizeof(struct pm_scan_arg), PAGE_HUGE), -ENOTTY);
}

/* ---- Faults ---- */

static void fault(struct fixture *f, enum model_fault_kind kind, uint32_t skip, uint32_t calls)
{
	model_add_fault(f->m, &(struct model_fault){.kind = kind, .skip = skip, .calls = calls});
}

static void test_fault_counts_calls(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 4);
	touch(f, 0, 4 * BLOCK);
	fault(f, MODEL_FAULT_EAGAIN, 1, 2);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(collapse(f, BLOCK, PAGE), PAGE); /* a question is not a call */
	assert_int_equal(collapse(f, BLOCK, BLOCK), -EAGAIN);
	assert_int_equal(collapse(f, BLOCK, BLOCK), -EAGAIN);
	assert_int_equal(collapse(f, BLOCK, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).fired[MODEL_FAULT_EAGAIN], 2);
}

static void test_fault_until(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	model_add_fault(f->m, &(struct model_fault){.kind = MODEL_FAULT_ENOMEM,
						    .until_ns = model_now(f->m) + MODEL_MINUTE});
	assert_int_equal(collapse(f, 0, BLOCK), -ENOMEM);
	assert_int_equal(collapse(f, 0, BLOCK), -ENOMEM);
	model_advance(f->m, MODEL_MINUTE);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
}

static void test_faults_in_the_middle(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 4);
	touch(f, 0, 4 * BLOCK);
	fault(f, MODEL_FAULT_HALF_EINVAL, 0, 1);
	assert_int_equal(collapse(f, 0, 4 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 1), 1);
	assert_int_equal(huge(f, 2), 0);
	fault(f, MODEL_FAULT_VANISH, 0, 1);
	assert_int_equal(collapse(f, 2 * BLOCK, 2 * BLOCK), -EINVAL);
	assert_null(model_find(f->m, PID));
	assert_int_equal(collapse(f, 2 * BLOCK, 2 * BLOCK), -ESRCH);
}

static void test_faults_before_the_call(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	fault(f, MODEL_FAULT_PUNCH, 0, 1);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).raced_refilled_pages, 32);
	assert_int_equal(model_stats(f->m).refilled_pages, 0);
	fault(f, MODEL_FAULT_SWAP, 0, 1);
	assert_int_equal(collapse(f, BLOCK, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).swapped_in_pages, 512);
	fault(f, MODEL_FAULT_EXEC, 0, 1);
	assert_int_equal(collapse(f, BLOCK, BLOCK), -ENOMEM);
	assert_int_equal(model_check_data(f->m), 0);
}

/* ---- The tree ---- */

static void read_process_file(struct fixture *f, const char *name, char *buffer, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/%s", PID, name);
	assert_true(sys_read_at(f->sys.rootfd, path, buffer, size) >= 0);
}

static void test_tree(void **state)
{
	struct fixture *f = *state;
	char text[4096];
	int statm;

	map(f, MODEL_MEMFD, 4);
	model_make_huge(f->m, PID, RAM, BLOCK);
	touch(f, BLOCK, 10 * PAGE);
	read_process_file(f, "maps", text, sizeof(text));
	assert_non_null(strstr(text, "7f0000000000-7f0000800000 rw-s 00000000 00:01 "));
	assert_non_null(strstr(text, " /memfd:memory-backend-memfd (deleted)\n"));
	read_process_file(f, "smaps", text, sizeof(text));
	assert_non_null(strstr(text, "Rss:                2088 kB\n"));
	assert_non_null(strstr(text, "ShmemPmdMapped:     2048 kB\n"));
	statm = openat(f->sys.rootfd, "proc/100/statm", O_RDONLY | O_CLOEXEC);
	assert_true(pread(statm, text, 64, 0) > 0);
	assert_int_equal(strncmp(text, "2048 522 ", 9), 0);
	model_exit(f->m, PID);
	assert_int_equal(pread(statm, text, 64, 0), 0);
	assert_int_equal(faccessat(f->sys.rootfd, "proc/100", F_OK, 0), -1);
	(void)close_fd(statm);
}

static void test_other_geometry(void **state)
{
	struct model_options o = MODEL_OPTIONS_INIT;
	uint64_t block = UINT64_C(512) << 20;
	struct sys sys;
	int pidfd;

	(void)state;
	o.geometry = (struct mmu_geometry){16, 13, 26};
	struct model *m = model_new(&o);

	assert_int_equal(model_open_sys(m, &sys), 0);
	(void)model_spawn(m, &(struct model_vm){.pid = 7});
	model_mmap(m, 7,
		   &(struct model_map){.start = block, .bytes = 2 * block, .backing = MODEL_MEMFD});
	model_touch(m, 7, block, 2 * block);
	pidfd = sys.ops->pidfd_open(&sys, 7);
	assert_int_equal(sys.ops->collapse(&sys, pidfd, 7, block, block), block);
	assert_int_equal(model_huge_bytes(m, 7, block, 2 * block), block);
	(void)close_fd(pidfd);
	sys_close(&sys);
	model_free(m);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_split_and_merge),
		cmocka_unit_test(test_runs_are_like_an_array),
		T(test_block_of_small_folios_is_copied),
		T(test_less_than_a_block_does_nothing),
		T(test_empty_block_ends_the_call),
		T(test_busy_block_does_not_end_the_call),
		T(test_last_failure_is_returned),
		T(test_one_page_fills_a_block),
		T(test_holes_made_in_a_race_are_counted_apart),
		T(test_a_call_is_cut_at_max_rw_count),
		T(test_a_gap_is_enomem),
		T(test_refused_backings),
		T(test_refused_mappings),
		T(test_knobs),
		T(test_no_memory),
		T(test_full_cgroup),
		T(test_dead_and_recycled),
		cmocka_unit_test_setup_teardown(test_no_right, setup_no_right, teardown),
		T(test_folio_is_remapped_even_if_pinned),
		T(test_anon_folio_is_copied),
		T(test_anon_holes_and_zero_pages),
		T(test_swap_is_read_back),
		T(test_guard_is_refused),
		T(test_private_file),
		T(test_second_mapper_loses_its_table_and_faults_huge),
		T(test_userfaultfd),
		cmocka_unit_test_setup_teardown(test_old_kernel_loses_data_under_userfaultfd,
						setup_uffd_unsafe, teardown),
		T(test_punching_a_folio_drops_the_whole_mapping),
		T(test_discarding_half_an_anon_folio),
		T(test_scan_is_as_on_linux),
		T(test_scan_checks_its_argument),
		T(test_dead_mm_shows_nothing),
		T(test_walk_over_device_dax_splits),
		T(test_kpageflags),
		cmocka_unit_test_setup_teardown(test_frames_are_hidden_without_the_right,
						setup_no_right, teardown),
		T(test_fault_counts_calls),
		T(test_fault_until),
		T(test_faults_in_the_middle),
		T(test_faults_before_the_call),
		T(test_tree),
		cmocka_unit_test(test_other_geometry),
	};

	return cmocka_run_group_tests_name("model_kernel", tests, NULL, NULL);
}
