/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "dirty_log.h"
#include "slot_table.h"

enum { ROOM = 1000000 };
#define MIB (UINT64_C(1) << 20)

static struct memslot slot(uint64_t gpa_mib, uint64_t mib)
{
	return (struct memslot){
		.gpa = gpa_mib * MIB, .bytes = mib * MIB, .hva = 0x7f0000000000 + gpa_mib * MIB};
}

static int take(struct slot_table *t, uint32_t generation, uint32_t first, uint32_t total,
		struct memslot s)
{
	const struct slot_part p = {
		.generation = generation, .first = first, .total = total, .slots = &s, .n = 1};
	const char *why = NULL;
	int r = slot_table_take(t, &p, ROOM, &why);

	assert_true((r == -EPROTO) == (why != NULL));
	return r;
}

static int take_empty(struct slot_table *t, uint32_t generation)
{
	const struct slot_part p = {.generation = generation};
	const char *why;

	return slot_table_take(t, &p, 0, &why);
}

static void parts_in_order_make_a_sorted_table(void **state)
{
	struct slot_table t = {0};

	(void)state;
	assert_int_equal(take(&t, 1, 0, 3, slot(4, 2)), 0);
	assert_int_equal(take(&t, 1, 1, 3, slot(0, 2)), 0);
	assert_false(t.is_whole);
	assert_int_equal(take(&t, 1, 2, 3, slot(2, 2)), 1);
	assert_true(t.is_whole);
	assert_int_equal(t.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(t.slots[i].gpa, i * 2 * MIB);
	assert_int_equal(slot_table_held(&t), 3);
	slot_table_clear(&t);
	assert_int_equal(slot_table_held(&t), 0);
}

static void an_empty_table_is_whole(void **state)
{
	struct slot_table t = {0};

	(void)state;
	assert_int_equal(take_empty(&t, 1), 1);
	assert_true(t.is_whole);
	assert_int_equal(t.n, 0);
	slot_table_clear(&t);
}

static void the_last_whole_table_counts_until_the_next_one_is(void **state)
{
	struct slot_table t = {0};

	(void)state;
	assert_int_equal(take(&t, 1, 0, 1, slot(0, 2)), 1);
	assert_int_equal(take(&t, 2, 0, 2, slot(8, 2)), 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(slot_table_held(&t), 2);
	assert_int_equal(slot_table_claimed(&t), 2);
	/* Another one is begun instead. */
	assert_int_equal(take(&t, 3, 0, 2, slot(16, 2)), 0);
	assert_int_equal(take(&t, 3, 1, 2, slot(18, 2)), 1);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.slots[0].gpa, 16 * MIB);
	slot_table_clear(&t);
}

static void each_law_of_the_parts(void **state)
{
	static const struct {
		uint32_t generation, first, total;
	} wrong[] = {
		{1, 2, 4}, /* one is left out */
		{2, 1, 4}, /* of another generation */
		{1, 1, 5}, /* of another size */
		{1, 4, 4}, /* beyond the end */
		{1, UINT32_MAX, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct slot_table t = {0};

		assert_int_equal(take(&t, 1, 0, 4, slot(0, 2)), 0);
		assert_int_equal(
			take(&t, wrong[i].generation, wrong[i].first, wrong[i].total, slot(2, 2)),
			-EPROTO);
		assert_int_equal(slot_table_held(&t), 0);
		assert_int_equal(slot_table_claimed(&t), 0);
		/* Nor does it go on. */
		assert_int_equal(take(&t, 1, 1, 4, slot(2, 2)), -EPROTO);
		slot_table_clear(&t);
	}
}

static void a_part_of_nothing_is_none(void **state)
{
	struct slot_table t = {0};

	(void)state;
	assert_int_equal(take(&t, 0, 1, 2, slot(0, 2)), -EPROTO);
	slot_table_clear(&t);
}

static void overlap_leaves_what_was(void **state)
{
	struct slot_table t = {0};
	struct memslot smm = slot(3, 2);

	(void)state;
	assert_int_equal(take(&t, 1, 0, 1, slot(64, 2)), 1);
	assert_int_equal(take(&t, 2, 0, 2, slot(0, 2)), 0);
	assert_int_equal(take(&t, 2, 1, 2, slot(1, 2)), -EPROTO);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.slots[0].gpa, 64 * MIB);
	/* Not in another address space, and not where they only touch. */
	smm.address_space = 1;
	assert_int_equal(take(&t, 3, 0, 3, slot(0, 2)), 0);
	assert_int_equal(take(&t, 3, 1, 3, smm), 0);
	assert_int_equal(take(&t, 3, 2, 3, slot(2, 2)), 1);
	slot_table_clear(&t);
}

static void room_is_asked_before_memory_is_taken(void **state)
{
	struct slot_table t = {0};
	struct memslot s = slot(0, 2);
	const struct slot_part p = {.total = 11, .slots = &s, .n = 1};
	const char *why;

	(void)state;
	assert_int_equal(slot_table_take(&t, &p, 10, &why), -ENOSPC);
	assert_int_equal(slot_table_held(&t), 0);
	assert_int_equal(slot_table_take(&t, &p, 11, &why), 0);
	slot_table_clear(&t);
}

/* What is announced costs nothing. */
static void a_million_slots_come_in_parts(void **state)
{
	enum { PART = 64, N = 1 << 20 };
	struct slot_table t = {0};
	struct memslot slots[PART];
	struct slot_part p = {.total = N, .slots = slots, .n = PART};
	const char *why;

	(void)state;
	for (; p.first < N; p.first += PART) {
		for (uint32_t i = 0; i < PART; i++)
			slots[i] = slot((N - p.first - i) * UINT64_C(2), 2);
		assert_int_equal(slot_table_take(&t, &p, N, &why), p.first + PART == N);
	}
	assert_int_equal(t.n, N);
	assert_int_equal(t.slots[0].gpa, 2 * MIB);
	slot_table_clear(&t);
}

static enum answer logging(uint32_t ram, uint32_t display, uint32_t rom)
{
	struct memslot slots[] = {slot(0, 512), slot(4096, 16), slot(8192, 4096)};
	struct snapshot s = {.memslots = slots, .n_memslots = 3, .are_memslots_known = true};

	slots[0].flags = ram;
	slots[1].flags = display;
	slots[2].flags = rom;
	return dirty_log_is_on(&s);
}

static void a_log_of_most_memory_is_a_migration(void **state)
{
	struct snapshot s = {0};

	(void)state;
	assert_int_equal(dirty_log_is_on(&s), ANSWER_UNKNOWN);
	s.memslots_inferred_ns = 1; /* by who knows nothing of logs */
	assert_int_equal(dirty_log_is_on(&s), ANSWER_UNKNOWN);
	s.memslots_inferred_ns = 0;
	s.are_memslots_known = true;
	assert_int_equal(dirty_log_is_on(&s), ANSWER_NO);
	assert_int_equal(logging(0, 0, MEMSLOT_READONLY), ANSWER_NO);
	assert_int_equal(logging(0, MEMSLOT_LOG_DIRTY, MEMSLOT_READONLY), ANSWER_NO);
	assert_int_equal(logging(MEMSLOT_LOG_DIRTY, MEMSLOT_LOG_DIRTY, MEMSLOT_READONLY),
			 ANSWER_YES);
	assert_int_equal(logging(MEMSLOT_LOG_DIRTY, 0, 0), ANSWER_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_in_order_make_a_sorted_table),
		cmocka_unit_test(an_empty_table_is_whole),
		cmocka_unit_test(the_last_whole_table_counts_until_the_next_one_is),
		cmocka_unit_test(each_law_of_the_parts),
		cmocka_unit_test(a_part_of_nothing_is_none),
		cmocka_unit_test(overlap_leaves_what_was),
		cmocka_unit_test(room_is_asked_before_memory_is_taken),
		cmocka_unit_test(a_million_slots_come_in_parts),
		cmocka_unit_test(a_log_of_most_memory_is_a_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
