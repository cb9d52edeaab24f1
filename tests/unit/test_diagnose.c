/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of blocks by their state, by what stands in the way of copies, by holds and policy.
 */
#include "diagnose_bench.h"

/* ---- States of blocks ---- */

static void test_huge(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_HUGE, FILL_FULL);
	expect_one(b, BLOCK_HUGE, REASON_NONE, 4 * BLOCK);
	assert_int_equal(b->d.totals.huge_bytes, 4 * BLOCK);
	assert_int_equal(b->d.totals.resident_bytes, 4 * BLOCK);
	assert_int_equal(b->d.totals.ram_bytes, 4 * BLOCK);
}

static void test_remappable(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
	assert_int_equal(b->d.n_wants, 0);
}

static void test_remappable_counted_is_whole(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, 3);
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
}

static void test_anon_folio_is_a_copy(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_FOLIO, FILL_FULL);
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_mixed_folio_is_a_copy(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_FULL);
	b->s.sights[0].flags = SIGHT_FOLIO_MIXED;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_small_folios(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL);
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
	assert_int_equal(b->d.n_wants, 0);
}

static void test_small_uncounted_is_wanted(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_UNKNOWN);
	expect_one(b, BLOCK_UNKNOWN, REASON_NOT_LOOKED_YET, UINT64_MAX);
	assert_int_equal(b->d.n_wants, 1);
	assert_int_equal(b->d.wants[0].start, BASE);
	assert_int_equal(b->d.wants[0].end, BASE + 4 * BLOCK);
	assert_true(b->d.wants[0].is_for_action);
	assert_int_equal(b->d.totals.uncounted_bytes, 4 * BLOCK);
	assert_int_equal(b->d.totals.resident_bytes, 0);
}

static void test_small_uncounted_is_for_report_where_copies_are_off(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_UNKNOWN);
	b->s.policy.may_copy = false;
	run(b);
	assert_int_equal(b->d.n_wants, 1);
	assert_false(b->d.wants[0].is_for_action);
}

static void test_sparse(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, 15);
	expect_one(b, BLOCK_SPARSE, REASON_SPARSE, 4 * BLOCK / 16 * 15);
	assert_int_equal(b->d.totals.by_state[BLOCK_SPARSE], 4 * BLOCK / 16 * 15);
}

static void test_min_populated_is_obeyed(void **state)
{
	struct bench *b = *state;

	b->s.policy.min_populated_bp = 5000;
	build_region(&b->s, BASE, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 1, SEEN_SMALL, 7);
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_SMALL, 8);
	run(b);
	assert_int_equal(b->d.n_runs, 2);
	assert_int_equal(b->d.runs[0].state, BLOCK_SPARSE);
	assert_int_equal(b->d.runs[1].state, BLOCK_COPYABLE);
}

static void test_zero_pages_are_holes(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL);
	b->s.sights[0].flags = SIGHT_ZERO;
	expect_one(b, BLOCK_SPARSE, REASON_SPARSE, 4 * BLOCK);
}

static void test_counted_and_empty(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, 0);
	expect_one(b, BLOCK_EMPTY, REASON_NEVER_TOUCHED, 0);
}

static void test_never_touched(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_NOTHING, 0);
	expect_one(b, BLOCK_EMPTY, REASON_NEVER_TOUCHED, 0);
	assert_int_equal(b->d.totals.by_state[BLOCK_EMPTY], 4 * BLOCK);
	assert_int_equal(b->d.totals.by_reason[REASON_NEVER_TOUCHED], 4 * BLOCK);
	assert_int_equal(b->d.totals.resident_bytes, 0);
}

static void test_swapped(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SWAPPED, 0);
	b->s.sights[0].swapped_pages = 100;
	expect_one(b, BLOCK_SWAPPED, REASON_SWAPPED, 0);
	assert_int_equal(b->d.totals.by_state[BLOCK_SWAPPED], 100 * PAGE);
}

static void test_partly_swapped(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, 8);
	b->s.sights[0].swapped_pages = 100;
	b->s.sights[0].flags = SIGHT_SWAP;
	expect_one(b, BLOCK_SWAPPED, REASON_SWAPPED, 2 * BLOCK);
	assert_int_equal(b->d.totals.by_state[BLOCK_SWAPPED], 2 * BLOCK + 100 * PAGE);
	assert_int_equal(b->d.totals.resident_bytes, 2 * BLOCK);
}

static void test_guard_pages_in_block(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL);
	b->s.sights[0].flags = SIGHT_GUARD;
	expect_one(b, BLOCK_BARRED, REASON_GUARD_REGION, 4 * BLOCK);
}

/* Firecracker says so of itself. Less is done for it, never more. */
static void test_log_for_life(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL);
	b->s.vm.is_logged_for_life = ANSWER_YES;
	expect_one(b, BLOCK_BARRED, REASON_DIRTY_LOGGING_FOR_LIFE, 4 * BLOCK);
	b->s.policy.may_dirty_logged = true;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
	b->s.policy.may_dirty_logged = false;
	b->s.vm.is_logged_for_life = ANSWER_NO;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
	b->s.vm.is_logged_for_life = ANSWER_UNKNOWN;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
	b->s.vm.is_logged_for_life = ANSWER_YES;
	b->s.sights[0].seen = SEEN_HUGE;
	expect_one(b, BLOCK_HUGE, REASON_NONE, 4 * BLOCK);
}

/* All of it is pinned, and let be even where a pin is no obstacle (a remap). */
static void test_guest_of_sev(void **state)
{
	static const struct {
		enum backing backing;
		enum seen seen;
	} cases[] = {
		{BACKING_SHMEM, SEEN_SMALL}, {BACKING_SHMEM, SEEN_FOLIO},
		{BACKING_SHMEM, SEEN_PAGES}, {BACKING_SHMEM, SEEN_NOTHING},
		{BACKING_ANON, SEEN_SMALL},  {BACKING_ANON, SEEN_PAGES},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool is_empty = cases[i].seen == SEEN_NOTHING;

		snapshot_clear(&b->s);
		build_begin(&b->s);
		four_blocks(b, cases[i].backing, cases[i].seen, is_empty ? 0 : FILL_FULL);
		b->s.vm.has_sev = true;
		expect_one(b, BLOCK_BARRED, REASON_SEV_OR_GUEST_MEMFD, is_empty ? 0 : 4 * BLOCK);
	}
	b->s.sights[0].seen = SEEN_HUGE;
	expect_one(b, BLOCK_HUGE, REASON_NONE, 4 * BLOCK);
	/* What is wrong with the mapping is wrong from the start, and can be mended for the next.
	 */
	b->s.sights[0].seen = SEEN_SMALL;
	b->s.regions[0].file_offset = PAGE;
	b->s.regions[0].backing = BACKING_SHMEM;
	expect_one(b, BLOCK_BARRED, REASON_MISALIGNED_MAPPING, 4 * BLOCK);
}

static void test_cow_page(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL)->is_shared = false;
	b->s.policy.may_private_file = true;
	b->s.sights[0].flags = SIGHT_ANON_COPY;
	expect_one(b, BLOCK_BARRED, REASON_COW_PAGE, 4 * BLOCK);
}

static void test_not_looked_yet(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_SHMEM);
	expect_one(b, BLOCK_UNKNOWN, REASON_NOT_LOOKED_YET, UINT64_MAX);
	assert_int_equal(b->d.n_wants, 0);
}

static void test_table_full(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_SHMEM);
	b->s.is_truncated = true;
	expect_one(b, BLOCK_UNKNOWN, REASON_TABLE_FULL, UINT64_MAX);
}

static void test_table_full_begins_where_the_account_ends(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 3, SEEN_HUGE, FILL_FULL);
	b->s.is_truncated = true;
	run(b);
	assert_int_equal(b->d.n_runs, 2);
	assert_int_equal(b->d.runs[0].reason, REASON_NONE);
	assert_int_equal(b->d.runs[1].start, BASE + 3 * BLOCK);
	assert_int_equal(b->d.runs[1].bytes, BLOCK);
	assert_int_equal(b->d.runs[1].reason, REASON_TABLE_FULL);
	assert_int_equal(b->d.n_wants, 0);
}

/* ---- Folio size not readable ---- */

static void test_folio_unknown_is_unknown(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_PAGES, FILL_FULL);
	expect_one(b, BLOCK_UNKNOWN, REASON_FOLIO_UNKNOWN, 4 * BLOCK);
	assert_int_equal(b->d.n_wants, 0);
}

static void test_folio_unknown_bars_with_vfio(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_PAGES, FILL_FULL);
	b->s.vm.has_vfio = true;
	expect_one(b, BLOCK_BARRED, REASON_FOLIO_UNKNOWN, 4 * BLOCK);
}

static void test_copies_that_are_held_up_say_why(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL);
	b->s.copies_held = REASON_NO_FREE_HUGE_PAGE;
	expect_one(b, BLOCK_COPYABLE, REASON_NO_FREE_HUGE_PAGE, 4 * BLOCK);
	b->s.policy.mode = MODE_REPORT;
	expect_one(b, BLOCK_COPYABLE, REASON_POLICY_OFF, 4 * BLOCK);
}

static void test_anon_pages_are_copied_whatever_they_are(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_PAGES, FILL_FULL);
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

/* ---- What stands in the way of copies only ---- */

static void test_pinned_suspected(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 1, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN);
	b->s.vm.has_vfio = true;
	run(b);
	assert_int_equal(b->d.n_runs, 2);
	assert_int_equal(b->d.runs[0].reason, REASON_PINNED_SUSPECTED);
	assert_int_equal(b->d.runs[0].state, BLOCK_BARRED);
	assert_int_equal(b->d.runs[1].state, BLOCK_REMAPPABLE);
}

static void test_memcg_limit(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL);
	b->s.vm.memcg_headroom_bytes = 64 * MIB + BLOCK - 1;
	expect_one(b, BLOCK_BARRED, REASON_MEMCG_LIMIT, 4 * BLOCK);
	b->s.vm.memcg_headroom_bytes++;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_memcg_limit_leaves_remaps(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	b->s.vm.memcg_headroom_bytes = 0;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
}

/* ---- Holds, policy ---- */

static void test_hold_splits_runs(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL);
	build_hold(&b->s, BASE + BLOCK, BASE + 2 * BLOCK, 2000, REASON_BUSY_RETRY);
	build_hold(&b->s, BASE + 3 * BLOCK, BASE + 9 * BLOCK, 999, REASON_KERNEL_REFUSED);
	run(b);
	assert_int_equal(b->d.n_runs, 3);
	assert_int_equal(b->d.runs[0].state, BLOCK_COPYABLE);
	assert_int_equal(b->d.runs[1].state, BLOCK_BARRED);
	assert_int_equal(b->d.runs[1].reason, REASON_BUSY_RETRY);
	assert_int_equal(b->d.runs[1].bytes, BLOCK);
	assert_int_equal(b->d.runs[1].resident_bytes, BLOCK);
	assert_int_equal(b->d.runs[2].state, BLOCK_COPYABLE);
	assert_int_equal(b->d.runs[2].bytes, 2 * BLOCK); /* the other hold is over */
}

static void test_hold_leaves_huge_blocks(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_HUGE, FILL_FULL);
	build_hold(&b->s, BASE, BASE + 4 * BLOCK, UINT64_MAX, REASON_BUSY_RETRY);
	expect_one(b, BLOCK_HUGE, REASON_NONE, 4 * BLOCK);
}

static void test_lost_pages(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, 8);
	build_hold(&b->s, BASE, BASE + 4 * BLOCK, 2000, REASON_LOST_PAGES);
	expect_one(b, BLOCK_SPARSE, REASON_LOST_PAGES, 2 * BLOCK);
	b->s.sights[0].seen = SEEN_NOTHING;
	b->s.sights[0].present_pages = b->s.sights[0].fill = 0;
	expect_one(b, BLOCK_EMPTY, REASON_LOST_PAGES, 0);
	b->s.sights[0].seen = SEEN_FOLIO;
	b->s.sights[0].fill = FILL_UNKNOWN;
	expect_one(b, BLOCK_BARRED, REASON_LOST_PAGES, 4 * BLOCK);
}

static void test_held_and_uncounted_is_counted_for_the_report(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_UNKNOWN);
	build_hold(&b->s, BASE, BASE + 4 * BLOCK, 2000, REASON_PINNED_SUSPECTED);
	expect_one(b, BLOCK_BARRED, REASON_PINNED_SUSPECTED, UINT64_MAX);
	assert_int_equal(b->d.n_wants, 1);
	assert_false(b->d.wants[0].is_for_action);
}

static void test_policy_and_pause_change_the_reason_only(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	b->s.policy.may_remap = false;
	expect_one(b, BLOCK_REMAPPABLE, REASON_POLICY_OFF, 4 * BLOCK);
	b->s.policy = (struct policy)POLICY_INIT;
	b->s.policy.mode = MODE_REPORT;
	expect_one(b, BLOCK_REMAPPABLE, REASON_POLICY_OFF, 4 * BLOCK);
	b->s.policy.is_paused = true;
	expect_one(b, BLOCK_REMAPPABLE, REASON_PAUSED, 4 * BLOCK);
	b->s.sights[0].seen = SEEN_SMALL;
	b->s.sights[0].fill = FILL_FULL;
	b->s.sights[0].present_pages = 4 * 512;
	b->s.policy = (struct policy)POLICY_INIT;
	b->s.policy.may_copy = false;
	expect_one(b, BLOCK_COPYABLE, REASON_POLICY_OFF, 4 * BLOCK);
}

static void test_runs_split_by_node_and_region(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_HUGE, FILL_FULL);
	build_region(&b->s, BASE + 4 * BLOCK, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE + 4 * BLOCK, 1, SEEN_HUGE, FILL_FULL);
	build_sight(&b->s, BASE + 5 * BLOCK, 1, SEEN_HUGE, FILL_FULL)->node = 1;
	run(b);
	assert_int_equal(b->d.n_runs, 3);
	assert_int_equal(b->d.runs[1].region, 1);
	assert_int_equal(b->d.runs[2].node, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_huge),
		TEST(test_remappable),
		TEST(test_remappable_counted_is_whole),
		TEST(test_anon_folio_is_a_copy),
		TEST(test_mixed_folio_is_a_copy),
		TEST(test_small_folios),
		TEST(test_small_uncounted_is_wanted),
		TEST(test_small_uncounted_is_for_report_where_copies_are_off),
		TEST(test_sparse),
		TEST(test_min_populated_is_obeyed),
		TEST(test_zero_pages_are_holes),
		TEST(test_counted_and_empty),
		TEST(test_never_touched),
		TEST(test_swapped),
		TEST(test_partly_swapped),
		TEST(test_guard_pages_in_block),
		TEST(test_log_for_life),
		TEST(test_cow_page),
		TEST(test_not_looked_yet),
		TEST(test_table_full),
		TEST(test_table_full_begins_where_the_account_ends),
		TEST(test_folio_unknown_is_unknown),
		TEST(test_folio_unknown_bars_with_vfio),
		TEST(test_guest_of_sev),
		TEST(test_copies_that_are_held_up_say_why),
		TEST(test_anon_pages_are_copied_whatever_they_are),
		TEST(test_pinned_suspected),
		TEST(test_memcg_limit),
		TEST(test_memcg_limit_leaves_remaps),
		TEST(test_hold_splits_runs),
		TEST(test_hold_leaves_huge_blocks),
		TEST(test_lost_pages),
		TEST(test_held_and_uncounted_is_counted_for_the_report),
		TEST(test_policy_and_pause_change_the_reason_only),
		TEST(test_runs_split_by_node_and_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
