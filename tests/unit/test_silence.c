/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who did not answer is passed over for a while, and no longer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "silence.h"

static void a_pid_is_covered_until_its_time(void **state)
{
	struct silence s = {NULL, 0};

	(void)state;
	assert_false(silence_covers(&s, 7));
	silence_note(&s, 7, 100);
	silence_note(&s, 8, 200);
	silence_forget(&s, 99);
	assert_true(silence_covers(&s, 7));
	assert_true(silence_covers(&s, 8));
	assert_false(silence_covers(&s, 9));
	silence_forget(&s, 100);
	assert_false(silence_covers(&s, 7));
	assert_true(silence_covers(&s, 8));
	silence_clear(&s);
	assert_false(silence_covers(&s, 8));
}

static void no_more_than_so_many_are_noted(void **state)
{
	struct silence s = {NULL, 0};

	(void)state;
	for (int pid = 1; pid <= SILENCE_MAX + 1; pid++)
		silence_note(&s, pid, 100);
	assert_int_equal(s.n, SILENCE_MAX);
	assert_true(silence_covers(&s, SILENCE_MAX));
	assert_false(silence_covers(&s, SILENCE_MAX + 1));
	silence_forget(&s, 100);
	silence_note(&s, SILENCE_MAX + 1, 200);
	assert_true(silence_covers(&s, SILENCE_MAX + 1));
	silence_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pid_is_covered_until_its_time),
		cmocka_unit_test(no_more_than_so_many_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
