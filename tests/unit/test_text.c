/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "text.h"

static void numbers_are_exact(void **state)
{
	struct text t = TEXT_INIT;
	char *s = NULL;

	(void)state;
	text_add_u64(&t, UINT64_MAX);
	text_add(&t, " ");
	text_add_i64(&t, INT64_MIN);
	text_add(&t, " ");
	text_add_hex(&t, UINT64_MAX);
	assert_int_equal(text_take(&t, &s), 0);
	assert_string_equal(s, "18446744073709551615 -9223372036854775808 0xffffffffffffffff");
	free(s);
}

static void json_strings_are_ascii(void **state)
{
	struct text t = TEXT_INIT;
	char *s = NULL;

	(void)state;
	text_add_json_string(&t, "a\"\\/\n\x7f\xc3\xff", 8);
	assert_int_equal(text_take(&t, &s), 0);
	assert_string_equal(s, "\"a\\u0022\\u005c/\\u000a\\u007f\\u00c3\\u00ff\"");
	free(s);
}

static void a_taken_text_leaves_an_empty_one(void **state)
{
	struct text t = TEXT_INIT;
	char *s = NULL;

	(void)state;
	assert_int_equal(text_take(&t, &s), 0);
	assert_string_equal(s, "");
	free(s);
	for (int i = 0; i < 1000; i++)
		text_add(&t, "0123456789");
	assert_int_equal(text_take(&t, &s), 0);
	assert_int_equal(strlen(s), 10000);
	assert_null(t.data);
	free(s);
	text_add(&t, "x");
	text_clear(&t);
	assert_int_equal(t.length, 0);
}

static void an_error_is_remembered(void **state)
{
	struct text t = {NULL, 0, -12};
	char *s = NULL;

	(void)state;
	text_add(&t, "x");
	assert_null(t.data);
	assert_int_equal(text_take(&t, &s), -12);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(json_strings_are_ascii),
		cmocka_unit_test(a_taken_text_leaves_an_empty_one),
		cmocka_unit_test(an_error_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
