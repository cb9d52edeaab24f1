/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM on DAX: what diagnose() says of files that are mapped directly, and of DAX devices. */
#include <errno.h>

#include "snapshot_builder.h"

#define GIB (UINT64_C(1) << 30)

struct bench {
	struct snapshot s;
	struct diagnosis d;
	struct region *r;
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

/* Four blocks of a file that is as long as its mapping, all seen alike; extents are the test's. */
static void map_file(struct bench *b, enum seen seen, uint8_t fill)
{
	b->r = build_region(&b->s, BASE, 4 * BLOCK, BACKING_FSDAX);
	b->r->is_dax = ANSWER_YES;
	b->r->are_extents_known = true;
	b->r->file_bytes = 4 * BLOCK;
	build_sight(&b->s, BASE, 4, seen, fill);
}

static void expect(const struct bench *b, size_t i, uint64_t blocks, enum block_state state,
		   enum reason reason)
{
	assert_true(i < b->d.n_runs);
	assert_string_equal(reason_slug(b->d.runs[i].reason), reason_slug(reason));
	assert_string_equal(block_state_name(b->d.runs[i].state), block_state_name(state));
	assert_int_equal(b->d.runs[i].bytes, blocks * BLOCK);
}

static void expect_one(struct bench *b, enum block_state state, enum reason reason)
{
	run(b);
	assert_int_equal(b->d.n_runs, 1);
	expect(b, 0, 4, state, reason);
}

static void what_is_huge_is_huge(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_HUGE, FILL_FULL);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_HUGE, REASON_NONE);
	assert_int_equal(b->d.totals.huge_bytes, 4 * BLOCK);
}

static void what_is_huge_is_huge_whatever_the_extents_say(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_HUGE, FILL_FULL);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK + PAGE, 0);
	expect_one(b, BLOCK_HUGE, REASON_NONE);
}

static void small_pages_on_aligned_extents(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_BARRED, REASON_DAX_PTE_ENTRIES);
	assert_int_equal(b->d.totals.by_reason[REASON_DAX_PTE_ENTRIES], 4 * BLOCK);
}

/* The page table does not tell there: not claimed to be small, not claimed to be huge. */
static void aligned_extents_without_a_scan(void **state)
{
	struct bench *b = *state;

	b->s.host.features &= ~(uint32_t)FEATURE_PAGEMAP_SCAN;
	map_file(b, SEEN_PAGES, FILL_FULL);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_UNKNOWN, REASON_DAX_LIKELY_HUGE);
	assert_int_equal(b->d.totals.huge_bytes, 0);
}

static void what_is_not_touched_is_empty(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_NOTHING, 0);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_EMPTY, REASON_NEVER_TOUCHED);
}

static void what_was_not_looked_at_is_unknown(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_UNKNOWN, FILL_UNKNOWN);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_UNKNOWN, REASON_NOT_LOOKED_YET);
}

static void misaligned_even_where_not_touched(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_NOTHING, 0);
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK + 3 * PAGE, 0);
	expect_one(b, BLOCK_BARRED, REASON_DAX_EXTENT_MISALIGNED);
	assert_int_equal(b->d.runs[0].misaligned_bytes, 3 * PAGE);
	assert_int_equal(b->d.totals.by_reason[REASON_DAX_EXTENT_MISALIGNED], 0);
}

static void each_piece_has_its_own_reason(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE, BLOCK, 100 * BLOCK + PAGE, 0);
	build_extent(&b->s, BASE + BLOCK, PAGE, 7 * BLOCK, 0);
	build_extent(&b->s, BASE + BLOCK + PAGE, BLOCK - PAGE, 9 * BLOCK + PAGE, 0);
	build_extent(&b->s, BASE + 3 * BLOCK, BLOCK, 50 * BLOCK, EXTENT_UNPLACED);
	run(b);
	assert_int_equal(b->d.n_runs, 4);
	expect(b, 0, 1, BLOCK_BARRED, REASON_DAX_EXTENT_MISALIGNED);
	expect(b, 1, 1, BLOCK_BARRED, REASON_DAX_SPLIT_EXTENT);
	expect(b, 2, 1, BLOCK_BARRED, REASON_DAX_HOLE);
	expect(b, 3, 1, BLOCK_BARRED, REASON_DAX_UNPLACED);
}

static void pieces_off_by_different_amounts_are_told_apart(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE, 2 * BLOCK, 100 * BLOCK + PAGE, 0);
	build_extent(&b->s, BASE + 2 * BLOCK, 2 * BLOCK, 200 * BLOCK + 2 * PAGE, 0);
	run(b);
	assert_int_equal(b->d.n_runs, 2);
	assert_int_equal(b->d.runs[0].misaligned_bytes, PAGE);
	assert_int_equal(b->d.runs[1].misaligned_bytes, 2 * PAGE);
}

static void the_end_of_the_file(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->file_bytes = 2 * BLOCK + PAGE;
	build_extent(&b->s, BASE, 3 * BLOCK, 100 * BLOCK, 0);
	run(b);
	assert_int_equal(b->d.n_runs, 2);
	expect(b, 0, 2, BLOCK_BARRED, REASON_DAX_PTE_ENTRIES);
	expect(b, 1, 2, BLOCK_BARRED, REASON_DAX_TAIL);
}

/* A mapping from the middle of a file on, and of blocks that do not begin with it. */
static void a_mapping_that_begins_within_a_block(void **state)
{
	struct bench *b = *state;

	b->r = build_region(&b->s, BASE + BLOCK / 2, 3 * BLOCK, BACKING_FSDAX);
	b->r->file_offset = 8 * BLOCK + BLOCK / 2;
	b->r->is_dax = ANSWER_YES;
	b->r->are_extents_known = true;
	b->r->file_bytes = 100 * BLOCK;
	build_sight(&b->s, BASE + BLOCK, 2, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE + BLOCK / 2, 3 * BLOCK, 100 * BLOCK + BLOCK / 2, 0);
	run(b);
	assert_int_equal(b->d.n_runs, 3);
	expect(b, 1, 2, BLOCK_BARRED, REASON_DAX_PTE_ENTRIES);
	assert_string_equal(reason_slug(b->d.runs[0].reason), "dax");
	assert_string_equal(reason_slug(b->d.runs[2].reason), "dax");
}

static void an_address_that_is_off(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->file_offset = PAGE;
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_BARRED, REASON_DAX_COLOUR);
	assert_int_equal(b->d.runs[0].misaligned_bytes, BLOCK - PAGE);
}

static void a_private_mapping(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->is_shared = false;
	build_extent(&b->s, BASE, 4 * BLOCK, 100 * BLOCK, 0);
	expect_one(b, BLOCK_BARRED, REASON_PRIVATE_FILE);
}

static void extents_that_are_not_known(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->are_extents_known = false;
	expect_one(b, BLOCK_BARRED, REASON_DAX);
}

static void a_file_that_could_be_mapped_directly(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->backing = BACKING_FILE;
	b->r->is_dax = ANSWER_NO;
	b->r->can_dax = ANSWER_YES;
	expect_one(b, BLOCK_BARRED, REASON_DAX_NOT_DAX);
}

static void a_file_of_a_disk(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	b->r->backing = BACKING_FILE;
	b->r->is_dax = ANSWER_NO;
	b->r->can_dax = ANSWER_NO;
	expect_one(b, BLOCK_BARRED, REASON_READONLY_FILE);
}

static void devices_that_could_map_larger(void **state)
{
	static const struct {
		uint64_t mapped, align, bytes, address;
		enum reason reason;
	} cases[] = {
		{2 * GIB, 2 * MIB, 2 * GIB, 4 * GIB, REASON_DEVDAX_ALIGN_SMALL},
		{2 * GIB, 2 * MIB, 2 * GIB, 4 * GIB + 2 * MIB, REASON_DAX},
		{2 * GIB, 2 * MIB, 2 * GIB + 2 * MIB, 4 * GIB, REASON_DAX},
		{512 * MIB, 2 * MIB, 2 * GIB, 4 * GIB, REASON_DAX},
		{512 * MIB, PAGE, 2 * GIB, 4 * GIB, REASON_DEVDAX_ALIGN_SMALL},
		{512 * MIB, PAGE, 2 * GIB + PAGE, 4 * GIB, REASON_DAX},
		{2 * GIB, 1 * GIB, 2 * GIB, 4 * GIB, REASON_DAX},
		{2 * GIB, 0, 2 * GIB, 4 * GIB, REASON_DAX},
		{2 * GIB, 2 * MIB, 0, 0, REASON_DAX},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snapshot_clear(&b->s);
		build_begin(&b->s);
		b->r = build_region(&b->s, BASE, cases[i].mapped, BACKING_DEVDAX);
		b->r->device.align_bytes = cases[i].align;
		b->r->device.bytes = cases[i].bytes;
		b->r->device.address = cases[i].address;
		run(b);
		assert_int_equal(b->d.n_runs, 1);
		if (b->d.runs[0].reason != cases[i].reason)
			fail_msg("case %zu: %s", i, reason_slug(b->d.runs[0].reason));
		assert_int_equal(b->d.runs[0].state, BLOCK_BARRED);
	}
}

/* ---- Laws of what a file may bring ---- */

static void expect_unlawful(const struct bench *b)
{
	assert_int_equal(snapshot_validate(&b->s, NULL), -EINVAL);
}

static void extents_outside_of_regions(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE + 3 * BLOCK, 2 * BLOCK, 0, 0);
	expect_unlawful(b);
}

static void extents_that_overlap(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE, 2 * BLOCK, 0, 0);
	build_extent(&b->s, BASE + BLOCK, BLOCK, 0, 0);
	expect_unlawful(b);
}

static void an_extent_beyond_every_device(void **state)
{
	struct bench *b = *state;

	map_file(b, SEEN_SMALL, FILL_FULL);
	build_extent(&b->s, BASE, BLOCK, UINT64_MAX - PAGE, 0);
	expect_unlawful(b);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_huge_is_huge),
		TEST(what_is_huge_is_huge_whatever_the_extents_say),
		TEST(small_pages_on_aligned_extents),
		TEST(aligned_extents_without_a_scan),
		TEST(what_is_not_touched_is_empty),
		TEST(what_was_not_looked_at_is_unknown),
		TEST(misaligned_even_where_not_touched),
		TEST(each_piece_has_its_own_reason),
		TEST(pieces_off_by_different_amounts_are_told_apart),
		TEST(the_end_of_the_file),
		TEST(a_mapping_that_begins_within_a_block),
		TEST(an_address_that_is_off),
		TEST(a_private_mapping),
		TEST(extents_that_are_not_known),
		TEST(a_file_that_could_be_mapped_directly),
		TEST(a_file_of_a_disk),
		TEST(devices_that_could_map_larger),
		TEST(extents_outside_of_regions),
		TEST(extents_that_overlap),
		TEST(an_extent_beyond_every_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
