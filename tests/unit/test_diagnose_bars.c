/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why nothing can be done: where a mapping lies, and what bars all of it. */
#include "diagnose_bench.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
