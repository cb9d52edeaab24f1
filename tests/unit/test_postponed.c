/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that somebody had: when each is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "postponed.h"

#define SECOND UINT64_C(1000000)

static void each_time_after_twice_as_long(void **state)
{
	struct postponed_list l = {NULL, 0};
	uint64_t now = 100 * SECOND, until, wait = 4 * SECOND;

	(void)state;
	assert_int_equal(postponed_until(&l, 1, "a"), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(postponed_add(&l, 1, "a", now, &until), i == 0);
		assert_int_equal(until, now + wait);
		assert_int_equal(postponed_until(&l, 1, "a"), until);
		now = until;
		wait = wait * 2 < 3600 * SECOND ? wait * 2 : 3600 * SECOND;
	}
	assert_int_equal(l.n_items, 1);
	postponed_clear(&l);
}

static void thpds_own_closing_changes_nothing(void **state)
{
	struct postponed_list l = {NULL, 0};
	uint64_t now = 100 * SECOND, until;

	(void)state;
	(void)postponed_add(&l, 1, "a", now, &until);
	(void)postponed_add(&l, 1, "a", now, &until);
	postponed_touch(&l, 1, "a", now + SECOND / 4);
	assert_int_equal(postponed_until(&l, 1, "a"), now + 8 * SECOND);
	/* Somebody else's: at once, and from the beginning. */
	postponed_touch(&l, 1, "a", now + SECOND);
	assert_int_equal(postponed_until(&l, 1, "a"), 0);
	assert_false(postponed_add(&l, 1, "a", now, &until)); /* it was told before */
	assert_int_equal(until, now + 4 * SECOND);
	postponed_touch(&l, 1, "b", now); /* never heard of */
	assert_int_equal(l.n_items, 1);
	postponed_clear(&l);
}

static void files_are_told_apart(void **state)
{
	struct postponed_list l = {NULL, 0};
	uint64_t until;

	(void)state;
	assert_true(postponed_add(&l, 1, "a", SECOND, &until));
	assert_true(postponed_add(&l, 2, "a", 2 * SECOND, &until));
	assert_true(postponed_add(&l, 1, "ab", 3 * SECOND, &until));
	postponed_remove(&l, 1, "a");
	assert_int_equal(postponed_until(&l, 1, "a"), 0);
	assert_int_equal(postponed_until(&l, 2, "a"), 6 * SECOND);
	assert_int_equal(postponed_until(&l, 1, "ab"), 7 * SECOND);
	postponed_remove(&l, 1, "a");
	assert_int_equal(l.n_items, 2);
	assert_true(postponed_add(&l, 1, "a", SECOND, &until));
	postponed_clear(&l);
	assert_int_equal(l.n_items, 0);
}

/* More than are remembered: these wait as long as one that is new, and never less. */
static void the_list_is_bounded(void **state)
{
	struct postponed_list l = {NULL, 0};
	uint64_t until;
	char name[16];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		assert_true(postponed_add(&l, 0, name, SECOND, &until));
		assert_int_equal(until, 5 * SECOND);
	}
	assert_true(l.n_items <= 1024);
	postponed_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_time_after_twice_as_long),
		cmocka_unit_test(thpds_own_closing_changes_nothing),
		cmocka_unit_test(files_are_told_apart),
		cmocka_unit_test(the_list_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
