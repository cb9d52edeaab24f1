/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "interval.h"

enum { UNIVERSE = 96, STEPS = 20000 };

/* xorshift: the same steps on every machine. */
static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void check_form(const struct interval_set *set)
{
	for (size_t i = 0; i < set->n_items; i++) {
		assert_true(set->items[i].start < set->items[i].end);
		if (i > 0) /* strictly: touching ones are merged */
			assert_true(set->items[i - 1].end < set->items[i].start);
	}
}

static void check_find(const struct interval_set *set, const bool *model, uint64_t address)
{
	const struct interval *found = interval_set_find(set, address);
	uint64_t next = address;

	while (next < UNIVERSE && !model[next])
		next++;
	if (next == UNIVERSE) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_true(found->start <= next && next < found->end);
	assert_true(next == address || found->start == next);
}

static void check_against(const struct interval_set *set, const bool *model, uint32_t *seed)
{
	uint64_t start = random_next(seed) % UNIVERSE;
	uint64_t end = start + random_next(seed) % (UNIVERSE - start + 1), bytes = 0, hits = 0;

	for (size_t i = 0; i < UNIVERSE; i++) {
		bytes += model[i];
		hits += model[i] && i >= start && i < end;
		assert_int_equal(interval_set_covers(set, i, i + 1), model[i]);
		check_find(set, model, i);
	}
	assert_int_equal(interval_set_bytes(set), bytes);
	assert_int_equal(interval_set_overlaps(set, start, end), hits > 0);
	assert_int_equal(interval_set_covers(set, start, end), hits == end - start);
}

static void random_steps_match_a_bitmap(void **state)
{
	struct interval_set set = INTERVAL_SET_INIT;
	bool model[UNIVERSE] = {false};
	uint32_t seed = 20261121;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		bool is_add = random_next(&seed) % 2;
		size_t start = random_next(&seed) % UNIVERSE, n = random_next(&seed) % 12;
		size_t end = start + n < UNIVERSE ? start + n : UNIVERSE;

		assert_int_equal(is_add ? interval_set_add(&set, start, end)
					: interval_set_remove(&set, start, end),
				 0);
		memset(model + start, is_add, end - start);
		check_form(&set);
		check_against(&set, model, &seed);
	}
	interval_set_clear(&set);
	assert_int_equal(set.n_items, 0);
	assert_null(set.items);
}

static void the_ends_of_the_world_do_not_wrap(void **state)
{
	struct interval_set set = INTERVAL_SET_INIT;

	(void)state;
	assert_int_equal(interval_set_add(&set, UINT64_MAX - 1, UINT64_MAX), 0);
	assert_int_equal(interval_set_add(&set, 0, 1), 0);
	assert_int_equal(set.n_items, 2);
	assert_true(interval_set_overlaps(&set, 0, UINT64_MAX));
	assert_int_equal(interval_set_add(&set, 0, UINT64_MAX), 0);
	assert_int_equal(set.n_items, 1);
	assert_true(interval_set_covers(&set, 0, UINT64_MAX));
	assert_int_equal(interval_set_bytes(&set), UINT64_MAX);
	assert_non_null(interval_set_find(&set, UINT64_MAX - 1));
	assert_null(interval_set_find(&set, UINT64_MAX));
	interval_set_clear(&set);
}

static void empty_ranges_change_nothing(void **state)
{
	struct interval_set set = INTERVAL_SET_INIT;

	(void)state;
	assert_int_equal(interval_set_add(&set, 5, 5), 0);
	assert_int_equal(interval_set_add(&set, 6, 5), 0);
	assert_int_equal(set.n_items, 0);
	assert_int_equal(interval_set_add(&set, 0, 10), 0);
	assert_int_equal(interval_set_remove(&set, 5, 5), 0);
	assert_int_equal(set.n_items, 1);
	assert_true(interval_set_covers(&set, 20, 20));
	assert_false(interval_set_overlaps(&set, 5, 5));
	interval_set_clear(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_match_a_bitmap),
		cmocka_unit_test(the_ends_of_the_world_do_not_wrap),
		cmocka_unit_test(empty_ranges_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
