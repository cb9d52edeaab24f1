/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the model kernel shows of page tables: KERNEL.md 7.1. */
#include "model_bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_scan_is_as_on_linux),
		T(test_scan_checks_its_argument),
		T(test_dead_mm_shows_nothing),
		T(test_walk_over_device_dax_splits),
		T(test_kpageflags),
		cmocka_unit_test_setup_teardown(test_frames_are_hidden_without_the_right,
						setup_no_right, teardown),
	};

	return cmocka_run_group_tests_name("model_scan", tests, NULL, NULL);
}
