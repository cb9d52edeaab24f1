/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot_builder.h"

struct bench {
	struct snapshot s;
	struct diagnosis d;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	diagnosis_clear(&b->d);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static void run(struct bench *b)
{
	const char *why = "";

	if (snapshot_validate(&b->s, &why) < 0)
		fail_msg("the test's snapshot is not lawful: %s", why);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &b->d), 0);
}

/* One region of 4 blocks at BASE, all blocks seen alike; the only run must say so. */
static void expect_one(struct bench *b, enum block_state state, enum reason reason,
		       uint64_t resident)
{
	run(b);
	assert_int_equal(b->d.n_runs, 1);
	assert_string_equal(reason_slug(b->d.runs[0].reason), reason_slug(reason));
	assert_string_equal(block_state_name(b->d.runs[0].state), block_state_name(state));
	assert_int_equal(b->d.runs[0].start, b->s.regions[0].start);
	assert_int_equal(b->d.runs[0].bytes, b->s.regions[0].end - b->s.regions[0].start);
	assert_int_equal(b->d.runs[0].resident_bytes, resident);
}

static struct region *four_blocks(struct bench *b, enum backing backing, enum seen seen,
				  uint8_t fill)
{
	struct region *r = build_region(&b->s, BASE, 4 * BLOCK, backing);

	build_sight(&b->s, BASE, 4, seen, fill);
	return r;
}

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

/* ---- Geometry ---- */

/* QEMU's memory-backend-memfd: 4 KiB below a block boundary (KERNEL 0.3). */
static void test_misaligned_mapping(void **state)
{
	struct bench *b = *state;
	struct region *r = build_region(&b->s, BASE + BLOCK - PAGE, 4 * BLOCK, BACKING_SHMEM);

	r->edge_present_pages = 512;
	build_sight(&b->s, BASE + BLOCK, 3, SEEN_SMALL, FILL_FULL);
	expect_one(b, BLOCK_BARRED, REASON_MISALIGNED_MAPPING, 4 * BLOCK);
	assert_int_equal(b->d.totals.by_reason[REASON_MISALIGNED_MAPPING], 4 * BLOCK);
}

static void test_misaligned_uncounted_is_counted_for_the_report(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN)->file_offset = PAGE;
	b->s.sights[0].seen = SEEN_SMALL;
	run(b);
	assert_int_equal(b->d.runs[0].reason, REASON_MISALIGNED_MAPPING);
	assert_int_equal(b->d.runs[0].misaligned_bytes,
			 region_misalignment(&b->s.regions[0], &b->s.geometry));
	assert_true(b->d.runs[0].misaligned_bytes > 0);
	assert_int_equal(b->d.n_wants, 1);
	assert_false(b->d.wants[0].is_for_action);
	assert_int_equal(b->d.totals.uncounted_bytes, 4 * BLOCK);
}

/* Two VMAs side by side (one split by an advice, or two memfds): equal blocks are one sight. */
static void test_a_sight_over_two_regions_judges_both(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_SHMEM);
	build_region(&b->s, BASE + 4 * BLOCK, 4 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_SMALL, FILL_FULL);
	run(b);
	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(b->d.n_runs, 2);
	assert_int_equal(b->d.runs[1].state, BLOCK_COPYABLE);
	assert_int_equal(b->d.runs[1].bytes, 4 * BLOCK);
	assert_int_equal(b->d.totals.by_state[BLOCK_COPYABLE], 8 * BLOCK);
}

static void test_what_is_never_looked_at_is_accounted_by_its_range(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_HUGETLB);
	run(b);
	assert_int_equal(b->d.totals.uncounted_barred_bytes, 4 * BLOCK);
	assert_int_equal(b->d.totals.uncounted_by_reason[REASON_HUGETLB], 4 * BLOCK);
}

static void test_edges_are_too_short(void **state)
{
	struct bench *b = *state;
	struct region *r = build_region(&b->s, BASE + BLOCK - PAGE, 2 * PAGE + BLOCK, BACKING_ANON);

	r->edge_present_pages = 1;
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_HUGE, FILL_FULL);
	run(b);
	assert_int_equal(b->d.n_runs, 3);
	assert_int_equal(b->d.runs[0].reason, REASON_HVA_TOO_SHORT);
	assert_int_equal(b->d.runs[0].bytes, PAGE);
	assert_int_equal(b->d.runs[0].resident_bytes, PAGE);
	assert_int_equal(b->d.runs[1].state, BLOCK_HUGE);
	assert_int_equal(b->d.runs[2].reason, REASON_HVA_TOO_SHORT);
	assert_int_equal(b->d.runs[2].resident_bytes, 0);
	assert_int_equal(b->d.totals.resident_bytes, BLOCK + PAGE);
}

static void test_vma_without_a_whole_block(void **state)
{
	struct bench *b = *state;
	struct region *r = build_region(&b->s, BASE + PAGE, BLOCK / 2, BACKING_ANON);

	r->edge_present_pages = UINT64_MAX;
	expect_one(b, BLOCK_BARRED, REASON_HVA_TOO_SHORT, UINT64_MAX);
	assert_int_equal(b->d.totals.uncounted_bytes, BLOCK / 2);
}

/* ---- Bars of the whole VMA ---- */

static void test_backings_that_are_never_touched(void **state)
{
	static const struct {
		enum backing backing;
		enum reason reason;
	} rows[] = {
		{BACKING_SPECIAL, REASON_SPECIAL_MAPPING},
		{BACKING_SECRET, REASON_SECRET_OR_GUEST_MEMFD},
		{BACKING_DEVDAX, REASON_DAX},
		{BACKING_FSDAX, REASON_DAX_COLOUR},
		{BACKING_HUGETLB, REASON_HUGETLB},
		{BACKING_FILE, REASON_READONLY_FILE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bench *b = *state;
		struct region *r = build_region(&b->s, BASE + PAGE, 4 * BLOCK, rows[i].backing);

		r->edge_present_pages = UINT64_MAX;
		expect_one(b, BLOCK_BARRED, rows[i].reason, UINT64_MAX);
		assert_int_equal(b->d.n_wants, 0);
		b->s.n_regions = 0;
	}
}

static void test_secret_memory_is_not_even_counted(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SECRET, SEEN_SMALL, FILL_UNKNOWN);
	expect_one(b, BLOCK_BARRED, REASON_SECRET_OR_GUEST_MEMFD, UINT64_MAX);
	assert_int_equal(b->d.n_wants, 0);
}

static void test_device_dax_1g(void **state)
{
	struct bench *b = *state;
	uint64_t gib = UINT64_C(1) << 30;

	build_region(&b->s, BASE, gib, BACKING_DEVDAX);
	b->s.vm.has_device_dax_1g = true;
	expect_one(b, BLOCK_BARRED, REASON_DEVICE_DAX_1G, UINT64_MAX);
}

static void test_huge_is_huge_in_a_barred_region(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_HUGE, FILL_FULL)->flags = VMA_FLAG_NH;
	expect_one(b, BLOCK_HUGE, REASON_NONE, 4 * BLOCK);
}

static void expect_bar(struct bench *b, enum reason reason)
{
	expect_one(b, BLOCK_BARRED, reason, 4 * BLOCK);
}

static void test_flags(void **state)
{
	static const struct {
		uint32_t flag;
		enum reason reason;
	} rows[] = {
		{VMA_FLAG_NH, REASON_NOHUGEPAGE},      {VMA_FLAG_UM, REASON_USERFAULTFD},
		{VMA_FLAG_UW, REASON_USERFAULTFD},     {VMA_FLAG_UI, REASON_USERFAULTFD},
		{VMA_FLAG_GU, REASON_GUARD_REGION},    {VMA_FLAG_PF, REASON_SPECIAL_MAPPING},
		{VMA_FLAG_IO, REASON_SPECIAL_MAPPING}, {VMA_FLAG_MM, REASON_SPECIAL_MAPPING},
		{VMA_FLAG_DE, REASON_SPECIAL_MAPPING}, {VMA_FLAG_HT, REASON_HUGETLB},
	};
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		b->s.regions[0].flags = rows[i].flag;
		expect_bar(b, rows[i].reason);
	}
	b->s.regions[0].flags = VMA_FLAG_LO | VMA_FLAG_HG | VMA_FLAG_MG;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
}

static void test_flags_that_were_not_read_say_nothing(void **state)
{
	struct bench *b = *state;
	struct region *r = four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);

	r->flags = VMA_FLAG_NH;
	r->are_flags_known = false;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
}

/* Paged in one place, or restored there: left alone everywhere. */
static void test_userfaultfd_on_one_mapping_bars_the_vm(void **state)
{
	struct bench *b = *state;
	struct region *other;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	other = build_region(&b->s, BASE + 8 * BLOCK, BLOCK, BACKING_ANON);
	run(b);
	assert_int_equal(b->d.runs[0].state, BLOCK_REMAPPABLE);
	other->flags = VMA_FLAG_UM;
	run(b);
	assert_int_equal(b->d.runs[0].state, BLOCK_BARRED);
	assert_int_equal(b->d.runs[0].reason, REASON_USERFAULTFD);
}

static void test_userfaultfd_possible(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	b->s.host.is_uffd_seen = true;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK); /* flags rule it out */
	b->s.regions[0].are_flags_known = false;
	expect_bar(b, REASON_UFFD_POSSIBLE);
	b->s.host.is_uffd_seen = false;
	b->s.vm.has_uffd = true;
	expect_bar(b, REASON_UFFD_POSSIBLE);
}

static void test_userfaultfd_bars_all_before_6_4(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);
	b->s.host.features &= ~(uint32_t)FEATURE_UFFD_SAFE;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
	b->s.vm.has_uffd = true;
	expect_bar(b, REASON_UFFD_POSSIBLE);
}

static void test_ksm(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL)->flags = VMA_FLAG_MG;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK); /* the flag alone */
	b->s.host.is_ksm_running = true;
	expect_bar(b, REASON_KSM);
	b->s.host.is_ksm_running = false;
	b->s.vm.ksm_merged_pages = 1;
	expect_bar(b, REASON_KSM);
	b->s.regions[0].are_flags_known = false;
	expect_bar(b, REASON_KSM);
	b->s.policy.may_ksm = true;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_ksm_leaves_shared_memory(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_SMALL, FILL_FULL)->flags = VMA_FLAG_MG;
	b->s.host.is_ksm_running = true;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_private_file(void **state)
{
	static const enum backing backings[] = {BACKING_SHMEM, BACKING_FILE};

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		struct bench *b = *state;

		four_blocks(b, backings[i], SEEN_SMALL, FILL_FULL)->is_shared = false;
		b->s.policy.may_private_file = false;
		expect_bar(b, REASON_PRIVATE_FILE);
		b->s.policy.may_private_file = true;
		expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
		b->s.n_regions = b->s.n_sights = 0;
	}
}

static void test_thp_disabled(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL)->eligibility = ELIGIBILITY_NO;
	b->s.vm.is_thp_disabled = true;
	expect_bar(b, REASON_THP_DISABLED_BY_PRCTL);
	/* PR_THP_DISABLE_EXCEPT_ADVISED does not stop a collapse: the kernel says so (KERNEL 1.1).
	 */
	b->s.regions[0].eligibility = ELIGIBILITY_YES;
	expect_one(b, BLOCK_COPYABLE, REASON_SMALL_FOLIOS, 4 * BLOCK);
}

static void test_shmem_deny(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN)->eligibility = ELIGIBILITY_UNKNOWN;
	b->s.host.shmem_global = SHMEM_KNOB_DENY;
	expect_bar(b, REASON_SHMEM_DENY);
	b->s.host.shmem_global = SHMEM_KNOB_NEVER;
	expect_one(b, BLOCK_REMAPPABLE, REASON_REMAPPABLE, 4 * BLOCK);
}

static void test_shmem_knob(void **state)
{
	struct bench *b = *state;
	struct region *r = four_blocks(b, BACKING_SHMEM, SEEN_FOLIO, FILL_UNKNOWN);

	r->eligibility = ELIGIBILITY_NO;
	r->is_unlinked_or_memfd = true;
	b->s.host.shmem_block = SHMEM_KNOB_NEVER;
	expect_bar(b, REASON_SHMEM_KNOB_NEVER);
	b->s.host.shmem_block = SHMEM_KNOB_ADVISE;
	expect_bar(b, REASON_SHMEM_KNOB_NEVER);
	r->flags = VMA_FLAG_HG;
	expect_bar(b, REASON_KERNEL_REFUSED);
	b->s.host.shmem_block = SHMEM_KNOB_NEVER;
	r->is_unlinked_or_memfd = false;
	expect_bar(b, REASON_KERNEL_REFUSED); /* a named file does not obey the knob */
}

static void test_kernel_refused(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 2 * BLOCK, BACKING_ANON)->eligibility = ELIGIBILITY_NO;
	build_sight(&b->s, BASE, 1, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_NOTHING, 0);
	run(b);
	assert_int_equal(b->d.runs[0].reason, REASON_KERNEL_REFUSED);
	assert_int_equal(b->d.runs[1].reason, REASON_NEVER_TOUCHED); /* explains itself */
}

static void test_private_file_refused_by_the_kernel(void **state)
{
	struct bench *b = *state;
	struct region *r = four_blocks(b, BACKING_FILE, SEEN_SMALL, FILL_FULL);

	r->is_shared = false;
	r->eligibility = ELIGIBILITY_NO;
	b->s.policy.may_private_file = true;
	expect_bar(b, REASON_READONLY_FILE);
}

static void test_no_permission(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL)->eligibility = ELIGIBILITY_NO_RIGHT;
	expect_bar(b, REASON_NO_PERMISSION);
	b->s.regions[0].eligibility = ELIGIBILITY_UNKNOWN;
	b->s.host.features &= ~(uint32_t)FEATURE_COLLAPSE;
	expect_bar(b, REASON_NO_PERMISSION);
}

static void test_kernel_too_old(void **state)
{
	struct bench *b = *state;

	four_blocks(b, BACKING_ANON, SEEN_SMALL, FILL_FULL);
	b->s.host.features &= ~(uint32_t)FEATURE_COLLAPSE;
	strcpy(b->s.host.kernel_release, "5.15.0-91-generic");
	expect_bar(b, REASON_KERNEL_TOO_OLD);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
		TEST(test_copies_that_are_held_up_say_why),
		TEST(test_anon_pages_are_copied_whatever_they_are),
		TEST(test_pinned_suspected),
		TEST(test_memcg_limit),
		TEST(test_memcg_limit_leaves_remaps),
		TEST(test_misaligned_mapping),
		TEST(test_misaligned_uncounted_is_counted_for_the_report),
		TEST(test_a_sight_over_two_regions_judges_both),
		TEST(test_what_is_never_looked_at_is_accounted_by_its_range),
		TEST(test_edges_are_too_short),
		TEST(test_vma_without_a_whole_block),
		TEST(test_backings_that_are_never_touched),
		TEST(test_secret_memory_is_not_even_counted),
		TEST(test_device_dax_1g),
		TEST(test_huge_is_huge_in_a_barred_region),
		TEST(test_flags),
		TEST(test_flags_that_were_not_read_say_nothing),
		TEST(test_userfaultfd_on_one_mapping_bars_the_vm),
		TEST(test_userfaultfd_possible),
		TEST(test_userfaultfd_bars_all_before_6_4),
		TEST(test_ksm),
		TEST(test_ksm_leaves_shared_memory),
		TEST(test_private_file),
		TEST(test_thp_disabled),
		TEST(test_shmem_deny),
		TEST(test_shmem_knob),
		TEST(test_kernel_refused),
		TEST(test_private_file_refused_by_the_kernel),
		TEST(test_no_permission),
		TEST(test_kernel_too_old),
		TEST(test_hold_splits_runs),
		TEST(test_hold_leaves_huge_blocks),
		TEST(test_lost_pages),
		TEST(test_held_and_uncounted_is_counted_for_the_report),
		TEST(test_policy_and_pause_change_the_reason_only),
		TEST(test_runs_split_by_node_and_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
