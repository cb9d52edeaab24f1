/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "array.h"

static void append_keeps_everything(void **state)
{
	uint32_t *items = NULL;
	size_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(ARRAY_APPEND(&items, &n, &i), 0);
	assert_int_equal(n, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	free(items);
}

/* Capacity follows from the count alone, so an owner may shorten the array at any time. ASan tells
 * if there is less room than that says. */
static void a_shortened_array_grows_again(void **state)
{
	uint64_t *items = NULL, item = 1;
	size_t n = 0;

	(void)state;
	for (size_t keep = 0; keep < 40; keep++) {
		while (n < 40)
			assert_int_equal(ARRAY_APPEND(&items, &n, &item), 0);
		n = keep;
	}
	free(items);
}

static void reserve_makes_room_for_many(void **state)
{
	char *items = NULL;

	(void)state;
	for (size_t count = 0; count < 20; count++) {
		assert_int_equal(array_reserve((void **)&items, count, 37, 1), 0);
		for (size_t i = 0; i < 37; i++)
			items[count + i] = 'x';
		free(items);
		items = calloc(64, 1); /* any next count has at most this capacity */
	}
	free(items);
}

static void sizes_that_overflow_are_refused(void **state)
{
	void *array = NULL;

	(void)state;
	assert_int_equal(array_reserve(&array, 0, SIZE_MAX, 1), -ENOMEM);
	assert_int_equal(array_reserve(&array, 0, SIZE_MAX / 8, 16), -ENOMEM);
	assert_int_equal(array_reserve(&array, 0, (SIZE_MAX >> 1) / 4 + 2, 4), -ENOMEM);
	assert_int_equal(array_reserve(&array, 1, SIZE_MAX, 1), -ENOMEM);
	assert_int_equal(array_reserve(&array, (SIZE_MAX >> 1) + 2, 1, 1), -ENOMEM);
	assert_int_equal(array_reserve_one(&array, SIZE_MAX, 1), -ENOMEM);
	assert_null(array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_keeps_everything),
		cmocka_unit_test(a_shortened_array_grows_again),
		cmocka_unit_test(reserve_makes_room_for_many),
		cmocka_unit_test(sizes_that_overflow_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
