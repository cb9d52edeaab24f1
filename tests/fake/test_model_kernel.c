/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The model kernel against the tables of KERNEL.md 1.4, 1.5, 2.1, 2.4 and 2.6: every other test of
 * this folder rests on it, and on what test_model_scan.c says of 7.1. */
#include "model_bench.h"

#include <errno.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("model_kernel", tests, NULL, NULL);
}
