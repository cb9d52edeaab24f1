/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "field.h"
#include "capture.h"
#include "format.h"

static void sizes_have_one_decimal(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} rows[] = {
		{0, "0B"},
		{1, "1B"},
		{1023, "1023B"},
		{1024, "1.0K"},
		{1536, "1.5K"},
		{4096, "4.0K"},
		{UINT64_C(512) << 20, "512.0M"},
		{(UINT64_C(1) << 20) - 1, "1.0M"},
		{(UINT64_C(1) << 20) - 60, "1023.9K"},
		{UINT64_C(1) << 40, "1.0T"},
		{UINT64_MAX, "16.0E"},
	};
	char buffer[FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(format_bytes(rows[i].bytes, false, buffer), rows[i].expected);
	assert_string_equal(format_bytes(UINT64_MAX, true, buffer), "18446744073709551615");
	assert_string_equal(format_bytes(0, true, buffer), "0");
}

static void shares_are_never_flattered(void **state)
{
	static const struct {
		uint64_t part, whole;
		const char *expected;
	} rows[] = {
		{0, 100, "0.0%"},
		{1, UINT64_MAX, "0.1%"},
		{1, 1000, "0.1%"},
		{11, 10000, "0.2%"},
		{4999, 10000, "50.0%"},
		{1, 2, "50.0%"},
		{9899, 10000, "98.9%"},
		{9999, 10000, "99.9%"},
		{UINT64_MAX - 1, UINT64_MAX, "99.9%"},
		{UINT64_MAX, UINT64_MAX, "100.0%"},
		{3, 2, "100.0%"},
		{0, 0, "-"},
		{5, 0, "-"},
	};
	char buffer[FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(format_share(rows[i].part, rows[i].whole, buffer),
				    rows[i].expected);
}

static void ages_are_short(void **state)
{
	const uint64_t now_us = UINT64_C(10000000) * 1000000;
	char buffer[FORMAT_MAX];

	(void)state;
	assert_string_equal(format_age(now_us - 3000000, now_us, buffer), "3s ago");
	assert_string_equal(format_age(now_us + 3000000, now_us, buffer), "0s ago");
	assert_string_equal(format_age(now_us - 600 * 1000000, now_us, buffer), "10min ago");
	assert_string_equal(format_age(now_us - UINT64_C(9000) * 1000000, now_us, buffer),
			    "2h ago");
	assert_string_equal(format_age(now_us - UINT64_C(864000) * 1000000, now_us, buffer),
			    "10d ago");
	assert_string_equal(format_age(0, now_us, buffer), "-");
}

static void terminals_get_only_what_can_be_seen(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"guest-a", "guest-a"},
		{"a\033[31mb\n\tc\x7f", "a?[31mb??c?"},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xc2\x9b"
		 "31m",
		 "?31m"},
		{"\xe2\x80\xae"
		 "evil",
		 "?evil"},
		{"\xff\xc0\xaf\xed\xa0\x80", "??????"},
		{"\xe2\x82", "??"},
		{"", ""},
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(format_printable(rows[i].text, buffer, sizeof(buffer)),
				    rows[i].expected);
}

static void text_is_cut_between_characters(void **state)
{
	char buffer[4];

	(void)state;
	assert_string_equal(format_printable("ab\xe2\x82\xac", buffer, sizeof(buffer)), "ab");
	assert_string_equal(format_printable("\xe2\x82\xac!", buffer, sizeof(buffer)),
			    "\xe2\x82\xac");
	assert_string_equal(format_printable("abcdef", buffer, sizeof(buffer)), "abc");
}

static void paragraphs_are_wrapped(void **state)
{
	char *text = CAPTURE(format_paragraph(f, 4,
					      "one two three four five six seven eight nine ten "
					      "eleven twelve thirteen fourteen"));

	(void)state;
	assert_string_equal(text, "    one two three four five six seven eight nine ten eleven "
				  "twelve thirteen\n    fourteen\n");
	free(text);
}

static void json_is_safe_for_terminals(void **state)
{
	struct json_object *o = document_parse(
		"{\"n\":\"\\u001b\\u009b\\u007f\xe2\x80\xae\xc3\xa9\xf3\xa0\x80\x81\",\"b\":"
		"18446744073709551615}");
	char *text = CAPTURE(assert_int_equal(document_print(f, o, JSON_FORM_SHORT), 0));

	(void)state;
	assert_string_equal(text, "{\"n\":\"\\u001b\\u009b\\u007f\\u202e\xc3\xa9\\udb40\\udc01\","
				  "\"b\":18446744073709551615}\n");
	free(text);
	text = CAPTURE(assert_int_equal(document_print(f, o, JSON_FORM_PRETTY), 0));
	assert_non_null(strstr(text, "\n  \"b\": 18446744073709551615"));
	free(text);
	(void)json_object_put(o);
	assert_null(document_parse("{"));
	assert_null(document_parse(""));
}

static void missing_fields_are_unknown(void **state)
{
	struct json_object *o = document_parse("{\"n\":5,\"neg\":-1,\"big\":18446744073709551615,"
					       "\"s\":\"0x7f00\",\"bad\":\"0x7g\","
					       "\"t\":true,\"none\":null,\"a\":[1]}");
	uint64_t value = 77;
	char cell[32];

	(void)state;
	assert_true(field_u64(o, "n", &value) && value == 5);
	assert_true(field_u64(o, "big", &value) && value == UINT64_MAX);
	value = 77;
	assert_false(field_u64(o, "neg", &value));
	assert_false(field_u64(o, "gone", &value));
	assert_false(field_u64(o, "s", &value));
	assert_false(field_u64(o, "none", &value));
	assert_false(field_u64(NULL, "n", &value));
	assert_int_equal(value, 77);
	assert_true(field_address(o, "s", &value) && value == 0x7f00);
	assert_false(field_address(o, "bad", &value));
	assert_false(field_address(o, "t", &value));
	assert_true(field_is_true(o, "t"));
	assert_false(field_is_true(o, "n"));
	field_cell_bytes(o, "gone", false, cell, sizeof(cell));
	assert_string_equal(cell, "-");
	field_cell_address(o, "s", cell, sizeof(cell));
	assert_string_equal(cell, "0x7f00");
	assert_int_equal(field_array_length(field_array(o, "a")), 1);
	assert_int_equal(field_array_length(field_array(o, "s")), 0);
	(void)json_object_put(o);
}

static void waits_are_never_too_short(void **state)
{
	char buffer[FORMAT_MAX];

	(void)state;
	assert_string_equal(format_wait(0, buffer), "0s");
	assert_string_equal(format_wait(1, buffer), "1s");
	assert_string_equal(format_wait(UINT64_C(40000000000), buffer), "40s");
	assert_string_equal(format_wait(UINT64_C(40000000001), buffer), "41s");
	assert_string_equal(format_wait(UINT64_C(121000000000), buffer), "3min");
	assert_string_equal(format_wait(UINT64_C(7201000000000), buffer), "3h");
	assert_string_equal(format_wait(UINT64_C(172801000000000), buffer), "3d");
	assert_string_equal(format_wait(UINT64_MAX, buffer), "213504d");
}

static void an_element_is_found_by_a_text(void **state)
{
	struct json_object *a = document_parse("[1,null,{\"k\":7},{},{\"k\":\"x\",\"n\":1},"
					       "{\"k\":\"x\",\"n\":2}]");
	struct json_object *o = document_parse("{\"k\":\"x\"}");

	(void)state;
	assert_int_equal(field_u64_or_0(field_find(a, "k", "x"), "n"), 1);
	assert_null(field_find(a, "k", "y"));
	assert_null(field_find(a, "k", "")); /* what is missing is not "" */
	assert_null(field_find(o, "k", "x"));
	assert_null(field_find(NULL, "k", "x"));
	(void)json_object_put(a);
	(void)json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_one_decimal),
		cmocka_unit_test(shares_are_never_flattered),
		cmocka_unit_test(ages_are_short),
		cmocka_unit_test(waits_are_never_too_short),
		cmocka_unit_test(terminals_get_only_what_can_be_seen),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(paragraphs_are_wrapped),
		cmocka_unit_test(json_is_safe_for_terminals),
		cmocka_unit_test(missing_fields_are_unknown),
		cmocka_unit_test(an_element_is_found_by_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
