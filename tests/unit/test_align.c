/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "align.h"
#include "array.h"
#include "bits.h"
#include "layout_checkup.h"
#include "relocate.h"
#include "shape.h"

/* Small numbers: a piece is 8 blocks of 1 byte. */
enum { UNIT = 8, ROUNDS = 30000, FILE_MAX = 200 };

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void add(struct layout *l, uint64_t logical, uint64_t physical, uint64_t bytes,
		uint32_t flags)
{
	struct extent x = {logical, physical, bytes, flags};

	assert_int_equal(ARRAY_APPEND(&l->extents, &l->n_extents, &x), 0);
}

static void expect(const struct layout *l, const struct piece *want, size_t n)
{
	struct alignment a;

	assert_int_equal(align_judge(l, UNIT, &a), 0);
	assert_int_equal(a.n_pieces, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a.pieces[i].offset, want[i].offset);
		assert_int_equal(a.pieces[i].bytes, want[i].bytes);
		assert_int_equal(a.pieces[i].state, want[i].state);
		assert_int_equal(a.pieces[i].off_by, want[i].off_by);
		assert_int_equal(a.pieces[i].is_unwritten, want[i].is_unwritten);
		assert_int_equal(a.pieces[i].is_shared, want[i].is_shared);
		assert_int_equal(a.pieces[i].has_data, want[i].has_data);
	}
	alignment_clear(&a);
}

static void every_state_is_told(void **state)
{
	struct layout l = {.size_bytes = 68};
	const struct piece want[] = {
		{.offset = 0, .bytes = 16, .state = PIECE_ALIGNED, .has_data = true},
		{.offset = 16,
		 .bytes = 8,
		 .state = PIECE_MISALIGNED,
		 .off_by = 3,
		 .has_data = true},
		{.offset = 24,
		 .bytes = 8,
		 .state = PIECE_SPLIT,
		 .is_unwritten = true,
		 .has_data = true},
		{.offset = 32, .bytes = 8, .state = PIECE_ALIGNED, .is_unwritten = true},
		{.offset = 40, .bytes = 8, .state = PIECE_HOLE},
		{.offset = 48,
		 .bytes = 8,
		 .state = PIECE_ALIGNED,
		 .is_shared = true,
		 .has_data = true},
		{.offset = 56, .bytes = 8, .state = PIECE_UNPLACED, .has_data = true},
		{.offset = 64, .bytes = 4, .state = PIECE_TAIL},
	};

	(void)state;
	add(&l, 0, 800, 16, 0);
	add(&l, 16, 403, 12, 0);
	add(&l, 28, 4, 12, EXTENT_UNWRITTEN);
	add(&l, 48, 1600, 8, EXTENT_SHARED);
	add(&l, 56, 0, 12, EXTENT_UNPLACED);
	expect(&l, want, ARRAY_SIZE(want));
	layout_clear(&l);
}

/* The kernel maps what one record holds, even if the next one follows without a gap. */
static void neighbours_are_not_merged(void **state)
{
	struct layout l = {.size_bytes = 16};
	const struct piece want[] = {
		{.offset = 0, .bytes = 8, .state = PIECE_SPLIT, .has_data = true},
		{.offset = 8, .bytes = 8, .state = PIECE_ALIGNED, .has_data = true},
	};

	(void)state;
	add(&l, 0, 64, 4, 0);
	add(&l, 4, 68, 12, 0);
	expect(&l, want, ARRAY_SIZE(want));
	layout_clear(&l);
}

static void size_does_not_cost_time(void **state)
{
	struct layout l = {.size_bytes = UINT64_MAX - 3};
	const struct piece want[] = {
		{.offset = 0, .bytes = UINT64_MAX - 7, .state = PIECE_HOLE},
		{.offset = UINT64_MAX - 7, .bytes = 4, .state = PIECE_TAIL},
	};

	(void)state;
	expect(&l, want, ARRAY_SIZE(want));
}

static void random_layout(struct layout *l, uint32_t *seed)
{
	uint64_t at = random_next(seed) % 10, physical = random_next(seed) % 1000;

	l->size_bytes = random_next(seed) % FILE_MAX;
	while (at < l->size_bytes + 20) {
		uint64_t n = 1 + random_next(seed) % 40;

		/* Every other one follows the last in the device, too. */
		if (random_next(seed) % 2)
			physical = random_next(seed) % 1000;
		add(l, at, physical, n, random_next(seed) % 4 ? 0 : random_next(seed) % 8);
		at += n + (random_next(seed) % 3 ? 0 : random_next(seed) % 30);
		physical += n;
	}
}

static const struct extent *find(const struct layout *l, uint64_t offset)
{
	for (size_t i = 0; i < l->n_extents; i++)
		if (offset >= l->extents[i].logical &&
		    offset < l->extents[i].logical + l->extents[i].bytes)
			return &l->extents[i];
	return NULL;
}

/* The same, byte by byte. */
static enum piece_state plainly(const struct layout *l, uint64_t offset)
{
	const struct extent *first = find(l, offset);
	bool is_hole = true, is_one = true, is_unplaced = false;

	if (offset + UNIT > l->size_bytes)
		return PIECE_TAIL;
	for (uint64_t i = 0; i < UNIT; i++) {
		const struct extent *x = find(l, offset + i);

		is_hole &= !x;
		is_one &= x && x == first;
		is_unplaced |= x && (x->flags & EXTENT_UNPLACED);
	}
	if (is_hole)
		return PIECE_HOLE;
	if (is_unplaced)
		return PIECE_UNPLACED;
	if (!is_one)
		return PIECE_SPLIT;
	return (first->physical + offset - first->logical) % UNIT ? PIECE_MISALIGNED
								  : PIECE_ALIGNED;
}

static void check_pieces(const struct layout *l, const struct alignment *a)
{
	uint64_t offset = 0, sum = 0;

	for (size_t i = 0; i < a->n_pieces; i++) {
		const struct piece *p = &a->pieces[i];

		assert_int_equal(p->offset, offset);
		for (uint64_t at = 0; at < p->bytes; at += UNIT)
			assert_int_equal(p->state, plainly(l, offset + at));
		assert_true((p->off_by > 0) == (p->state == PIECE_MISALIGNED));
		offset += p->bytes;
	}
	assert_int_equal(offset, l->size_bytes);
	for (unsigned int i = 0; i < PIECE_STATE_MAX; i++)
		sum += a->by_state[i];
	assert_int_equal(sum, l->size_bytes);
}

static void random_layouts_match_plain_counting(void **state)
{
	uint32_t seed = 20261127;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct layout l = LAYOUT_INIT;
		struct alignment a;

		random_layout(&l, &seed);
		assert_int_equal(align_judge(&l, UNIT, &a), 0);
		check_pieces(&l, &a);
		alignment_clear(&a);
		layout_clear(&l);
	}
}

/* What the file system does at a cut: extents behind it move up. */
static void apply(struct layout *l, uint64_t offset, uint64_t bytes)
{
	struct layout after = {.size_bytes = l->size_bytes - bytes};

	for (size_t i = 0; i < l->n_extents; i++) {
		struct extent x = l->extents[i];
		uint64_t end = x.logical + x.bytes, cut_end = offset + bytes;

		if (x.logical < offset)
			add(&after, x.logical, x.physical, min_u64(end, offset) - x.logical,
			    x.flags);
		if (end > cut_end) {
			uint64_t from = max_u64(x.logical, cut_end);

			add(&after, from - bytes, x.physical + (from - x.logical), end - from,
			    x.flags);
		}
	}
	layout_clear(l);
	*l = after;
}

static void check_shape(struct layout *l, uint64_t wanted)
{
	struct alignment a;
	struct shape s;

	assert_int_equal(shape_plan(l, UNIT, wanted, &s), 0);
	assert_true(s.aligned_bytes <= wanted);
	for (size_t i = s.n_cuts; i > 0; i--) {
		if (i < s.n_cuts)
			assert_true(s.cuts[i - 1].offset + s.cuts[i - 1].bytes < s.cuts[i].offset);
		apply(l, s.cuts[i - 1].offset, s.cuts[i - 1].bytes);
	}
	assert_int_equal(l->size_bytes, s.aligned_bytes);
	assert_int_equal(align_judge(l, UNIT, &a), 0);
	assert_int_equal(a.by_state[PIECE_ALIGNED], s.aligned_bytes);
	alignment_clear(&a);
	shape_clear(&s);
}

/* Extents do not reach beyond the end of the file, as when it is made by fallocate(). */
static void cut_to_size(struct layout *l)
{
	while (l->n_extents > 0 && l->extents[l->n_extents - 1].logical >= l->size_bytes)
		l->n_extents--;
	if (l->n_extents > 0) {
		struct extent *x = &l->extents[l->n_extents - 1];

		x->bytes = min_u64(x->bytes, l->size_bytes - x->logical);
	}
}

static void what_is_cut_to_shape_is_aligned(void **state)
{
	uint32_t seed = 4711;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct layout l = LAYOUT_INIT;

		random_layout(&l, &seed);
		cut_to_size(&l);
		check_shape(&l, random_next(&seed) % 12 * UNIT);
		layout_clear(&l);
	}
}

static void all_of_one_extent_is_used(void **state)
{
	struct layout l = {.size_bytes = 41};
	struct shape s;

	(void)state;
	add(&l, 0, 805, 41, EXTENT_UNWRITTEN);
	assert_int_equal(shape_plan(&l, UNIT, 1000, &s), 0);
	assert_int_equal(s.aligned_bytes, 32);
	assert_int_equal(s.n_cuts, 2);
	assert_int_equal(s.cuts[0].bytes, 3);
	assert_int_equal(s.cuts[1].offset, 35);
	shape_clear(&s);
	layout_clear(&l);
}

/* Every wanted piece is moved once, in order; no batch and no move is larger than it may be, and
 * the moves of a batch lie in its donor one behind the other. */
static void check_moves(const struct alignment *a, enum relocation what,
			const struct relocation_limits *limits, const struct moves *m)
{
	uint64_t wanted = what == RELOCATE_HOLES
				  ? a->by_state[PIECE_HOLE]
				  : a->by_state[PIECE_MISALIGNED] + a->by_state[PIECE_SPLIT];
	uint64_t end = 0, sum = 0, filled = 0;

	for (size_t i = 0; i < m->n_items; i++) {
		const struct move *move = &m->items[i];

		if (i == 0 || move->batch != m->items[i - 1].batch)
			filled = 0;
		assert_true(move->batch == (i == 0 ? 0 : m->items[i - 1].batch + (filled == 0)));
		assert_int_equal(move->donor_offset, filled);
		assert_true(move->offset >= end);
		assert_true(move->bytes > 0 && move->bytes % UNIT == 0 && move->offset % UNIT == 0);
		assert_true(move->bytes <= max_u64(limits->move_bytes, UNIT));
		filled += move->bytes;
		assert_true(filled <= max_u64(limits->batch_bytes, UNIT));
		end = move->offset + move->bytes;
		sum += move->bytes;
	}
	assert_int_equal(sum, wanted);
	assert_int_equal(m->bytes, wanted);
	assert_int_equal(m->n_batches, m->n_items ? m->items[m->n_items - 1].batch + 1 : 0);
}

static void what_is_misplaced_is_moved_once(void **state)
{
	uint32_t seed = 1234567;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		const struct relocation_limits limits = {.batch_bytes = random_next(&seed) % 60,
							 .move_bytes = random_next(&seed) % 30};
		enum relocation what = random_next(&seed) % 2 ? RELOCATE_HOLES : RELOCATE_MISPLACED;
		struct layout l = LAYOUT_INIT;
		struct alignment a;
		struct moves m;

		random_layout(&l, &seed);
		assert_int_equal(align_judge(&l, UNIT, &a), 0);
		assert_int_equal(relocate_plan(&a, what, &limits, &m), 0);
		check_moves(&a, what, &limits, &m);
		moves_clear(&m);
		alignment_clear(&a);
		layout_clear(&l);
	}
}

/* --- what is said of it ------------------------------------------------------------------------
 */

static const struct storage pmem = {
	.filesystem = FILESYSTEM_XFS,
	.filesystem_name = "xfs",
	.device = "pmem0p1",
	.block_bytes = 4096,
	.stripe_bytes = 2 << 20,
	.is_dax = ANSWER_YES,
	.can_dax = ANSWER_YES,
	.is_base_known = true,
	.base_bytes = 0x180000000,
	.partition_start_bytes = 2 << 20,
	.namespace_align_bytes = 2 << 20,
};

static const struct check *find_check(const struct check_list *list, const char *id)
{
	for (size_t i = 0; i < list->n_items; i++)
		if (strcmp(list->items[i].id, id) == 0)
			return &list->items[i];
	return NULL;
}

static void expect_finding(const struct storage *s, const struct alignment *a, const char *id,
			   enum check_result result)
{
	struct check_list list;
	const struct check *check;

	layout_checkup(s, a, &(struct mapping_list){NULL, 0}, &list);
	check = find_check(&list, id);
	if (!check)
		fail_msg("there is no check %s", id);
	assert_int_equal(check->result, result);
	assert_string_not_equal(check->text, "");
	if (result >= CHECK_WARN)
		assert_string_not_equal(check->cure, "");
}

static void a_good_file_is_all_right(void **state)
{
	const struct mapping good = {.pid = 7,
				     .start = 0x7f0000600000,
				     .end = 0x7f0000800000,
				     .offset = 2 << 20,
				     .is_shared = true};
	struct alignment a = {.unit = 2 << 20, .by_state = {[PIECE_ALIGNED] = 64 << 20}};
	struct check_list list;

	(void)state;
	layout_checkup(&pmem, &a, &(struct mapping_list){&good, 1}, &list);
	assert_int_equal(list.n_items, 4);
	for (size_t i = 0; i < list.n_items; i++)
		if (list.items[i].result != CHECK_OK)
			fail_msg("%s: %s", list.items[i].id, list.items[i].text);
	assert_true(layout_decides_mappings(&pmem));
	assert_true(alignment_is_whole(&a));
}

static void each_hindrance_is_said(void **state)
{
	struct alignment a = {.unit = 2 << 20};
	struct storage s = pmem;

	(void)state;
	s.is_dax = ANSWER_NO;
	expect_finding(&s, &a, "dax", CHECK_WARN);
	s.can_dax = ANSWER_NO;
	expect_finding(&s, &a, "dax", CHECK_NOTE);
	assert_false(layout_decides_mappings(&s));
	s = pmem;
	s.namespace_align_bytes = 4096;
	expect_finding(&s, &a, "namespace-align", CHECK_WARN);
	s.namespace_align_bytes = 0;
	expect_finding(&s, &a, "namespace-align", CHECK_NOTE);
	s = pmem;
	s.partition_start_bytes = 17 << 10;
	expect_finding(&s, &a, "partition-start", CHECK_WARN);
	s.is_base_known = false;
	expect_finding(&s, &a, "base", CHECK_NOTE);
	s.stripe_bytes = 64 << 10;
	expect_finding(&s, &a, "stripe", CHECK_NOTE);
	s.filesystem = FILESYSTEM_OTHER;
	expect_finding(&s, &a, "filesystem", CHECK_NOTE);
	for (unsigned int i = PIECE_ALIGNED + 1; i < PIECE_STATE_MAX; i++) {
		struct alignment bad = {.unit = 2 << 20};
		bool is_fault = i != PIECE_HOLE && i != PIECE_TAIL;

		bad.by_state[i] = 2 << 20;
		expect_finding(&pmem, &bad, reason_slug(piece_state_reason(i)),
			       is_fault ? CHECK_WARN : CHECK_NOTE);
		assert_int_equal(alignment_is_whole(&bad), !is_fault);
	}
	a.shared_bytes = 1;
	expect_finding(&pmem, &a, "shared", CHECK_NOTE);
}

static void mappings_that_are_off_are_said(void **state)
{
	struct mapping m = {.pid = 7,
			    .start = 0x7f0000601000,
			    .end = 0x7f0000800000,
			    .offset = 2 << 20,
			    .is_shared = true};
	struct alignment a = {.unit = 2 << 20};
	struct storage s = pmem;
	struct check_list list;

	(void)state;
	assert_int_equal(mapping_off_by(&m, 2 << 20), 4096);
	layout_checkup(&s, &a, &(struct mapping_list){&m, 1}, &list);
	assert_int_equal(find_check(&list, "dax-colour")->result, CHECK_WARN);
	assert_null(find_check(&list, "private-mapping"));
	/* As far off in the file as in memory. */
	m.offset += 4096;
	m.is_shared = false;
	layout_checkup(&s, &a, &(struct mapping_list){&m, 1}, &list);
	assert_null(find_check(&list, "dax-colour"));
	assert_int_equal(find_check(&list, "private-mapping")->result, CHECK_WARN);
	/* Through the page cache neither counts. */
	s.is_dax = s.can_dax = ANSWER_NO;
	m.offset = 0;
	layout_checkup(&s, &a, &(struct mapping_list){&m, 1}, &list);
	assert_null(find_check(&list, "dax-colour"));
	assert_null(find_check(&list, "private-mapping"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_is_told),
		cmocka_unit_test(neighbours_are_not_merged),
		cmocka_unit_test(size_does_not_cost_time),
		cmocka_unit_test(random_layouts_match_plain_counting),
		cmocka_unit_test(what_is_cut_to_shape_is_aligned),
		cmocka_unit_test(all_of_one_extent_is_used),
		cmocka_unit_test(what_is_misplaced_is_moved_once),
		cmocka_unit_test(a_good_file_is_all_right),
		cmocka_unit_test(each_hindrance_is_said),
		cmocka_unit_test(mappings_that_are_off_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
