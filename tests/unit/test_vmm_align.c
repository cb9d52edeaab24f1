/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "congruent.h"

enum { PAGE = 4096, ROUNDS = 200000 };

#define MIB (UINT64_C(1) << 20)

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 16;
}

static uint64_t alignment_of(uint64_t bytes, uint64_t offset, bool is_reservation)
{
	struct congruent_mapping m = {bytes, offset, is_reservation};

	return congruent_alignment(&m, PAGE);
}

static void what_is_small_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(alignment_of(0, 0, false), 0);
	assert_int_equal(alignment_of(0, 0, true), 0);
	assert_int_equal(alignment_of(2 * MIB - PAGE, 0, false), 0);
	assert_int_equal(alignment_of(2 * MIB, 0, false), CONGRUENT_2M);
	assert_int_equal(alignment_of(2 * MIB + PAGE, 0, true), CONGRUENT_2M);
	assert_int_equal(alignment_of(2 * MIB, 17, false), 0);
}

static void a_reservation_without_a_guard_page_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(alignment_of(256 * MIB, 0, true), 0);
	assert_int_equal(alignment_of(1024 * MIB, 0, true), 0);
	assert_int_equal(alignment_of(256 * MIB + PAGE, 0, true), CONGRUENT_2M);
}

static void whole_gigabytes_try_a_gigabyte_first(void **state)
{
	(void)state;
	assert_int_equal(alignment_of(3072 * MIB, 0, false), CONGRUENT_1G);
	assert_int_equal(alignment_of(3072 * MIB + PAGE, 0, true), CONGRUENT_1G);
	assert_int_equal(alignment_of(3074 * MIB, 0, false), CONGRUENT_2M);
	assert_int_equal(congruent_next(CONGRUENT_1G), CONGRUENT_2M);
	assert_int_equal(congruent_next(CONGRUENT_2M), 0);
}

static void no_room_where_there_is_no_such_number(void **state)
{
	struct congruent_mapping m = {UINT64_MAX - MIB, 0, false};

	(void)state;
	assert_int_equal(congruent_room(&m, CONGRUENT_2M, PAGE), 0);
}

/* Any room, size and offset: the start agrees with the offset, is the lowest that does, and what is
 * mapped there lies in the room. */
static void the_start_is_congruent_and_in_the_room(void **state)
{
	uint64_t seed = 20260101;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct congruent_mapping m = {
			.bytes = 2 * MIB + next_random(&seed) % (4096 * MIB) / PAGE * PAGE,
			.offset = i % 2 ? next_random(&seed) % (8192 * MIB) / PAGE * PAGE : 0,
			.is_reservation = i % 2 == 0,
		};
		uint64_t room = next_random(&seed) % (UINT64_C(1) << 46) / PAGE * PAGE;

		for (uint64_t a = congruent_alignment(&m, PAGE); a; a = congruent_next(a)) {
			uint64_t start = congruent_start(&m, a, room);

			assert_int_equal((start - m.offset) % a, 0);
			assert_true(start >= room && start - room < a);
			assert_true(start + m.bytes <= room + congruent_room(&m, a, PAGE));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_small_is_left_alone),
		cmocka_unit_test(a_reservation_without_a_guard_page_is_left_alone),
		cmocka_unit_test(whole_gigabytes_try_a_gigabyte_first),
		cmocka_unit_test(no_room_where_there_is_no_such_number),
		cmocka_unit_test(the_start_is_congruent_and_in_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
