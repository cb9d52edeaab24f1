/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "bits.h"
#include "parse.h"

struct number_case {
	const char *text;
	int r;
	uint64_t value;
};

static void check_numbers(int (*parse)(const char *, uint64_t *), const struct number_case *cases,
			  size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = 4711;

		if (parse(cases[i].text, &value) != cases[i].r)
			fail_msg("\"%s\": expected %d", cases[i].text, cases[i].r);
		assert_int_equal(value, cases[i].r == 0 ? cases[i].value : 4711);
	}
}

static void decimal_is_strict(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"007", 0, 7},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999x", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1\n", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"a", -EINVAL, 0},
	};

	(void)state;
	check_numbers(parse_u64, cases, ARRAY_SIZE(cases));
}

static void hex_takes_an_optional_prefix(void **state)
{
	static const struct number_case cases[] = {
		{"0x7fffA000", 0, 0x7fffa000},
		{"7fffa000", 0, 0x7fffa000},
		{"0XfF", 0, 255},
		{"0", 0, 0},
		{"ffffffffffffffff", 0, UINT64_MAX},
		{"10000000000000000", -ERANGE, 0},
		{"0x", -EINVAL, 0},
		{"x1", -EINVAL, 0},
		{"0x0x1", -EINVAL, 0},
		{"g", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	check_numbers(parse_hex_u64, cases, ARRAY_SIZE(cases));
}

static void sizes_have_units_of_1024(void **state)
{
	static const struct number_case cases[] = {
		{"4096", 0, 4096},
		{"64K", 0, 65536},
		{"64M", 0, UINT64_C(64) << 20},
		{"1G", 0, UINT64_C(1) << 30},
		{"2T", 0, UINT64_C(2) << 40},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"infinity", 0, UINT64_MAX},
		{"16E", -EINVAL, 0},
		{"99999999999999999999E", -EINVAL, 0},
		{"1k", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"-1K", -EINVAL, 0},
		{"Infinity", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	check_numbers(parse_size, cases, ARRAY_SIZE(cases));
}

static void durations_become_nanoseconds(void **state)
{
	static const struct number_case cases[] = {
		{"10", 0, UINT64_C(10000000000)},
		{"1500ms", 0, UINT64_C(1500000000)},
		{"10s", 0, UINT64_C(10000000000)},
		{"10min", 0, UINT64_C(600000000000)},
		{"1h", 0, UINT64_C(3600000000000)},
		{"2d", 0, UINT64_C(172800000000000)},
		{"0", 0, 0},
		{"infinity", 0, UINT64_MAX},
		{"18446744073s", 0, UINT64_C(18446744073000000000)},
		{"18446744074s", -ERANGE, 0},
		{"213504d", -ERANGE, 0},
		{"10m", -EINVAL, 0},
		{"10 s", -EINVAL, 0},
		{"1h30min", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
	};

	(void)state;
	check_numbers(parse_duration, cases, ARRAY_SIZE(cases));
}

static void shares_are_basis_points(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint16_t bp;
	} cases[] = {
		{"0%", 0, 0},
		{"100%", 0, 10000},
		{"100.00%", 0, 10000},
		{"99.5%", 0, 9950},
		{"99.05%", 0, 9905},
		{"0.01%", 0, 1},
		{"100.01%", -ERANGE, 0},
		{"101%", -ERANGE, 0},
		{"655%", -ERANGE, 0},
		{"65636%", -ERANGE, 0},
		{"184467440737095517%", -ERANGE, 0},
		{"99999999999999999999%", -ERANGE, 0},
		{"99999999999999999999", -EINVAL, 0},
		{"50", -EINVAL, 0},
		{".5%", -EINVAL, 0},
		{"5.%", -EINVAL, 0},
		{"5.123%", -EINVAL, 0},
		{"5 %", -EINVAL, 0},
		{"-5%", -EINVAL, 0},
		{"5%%", -EINVAL, 0},
		{"%", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"5.00000000000000000000001%", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint16_t bp = 4711;

		if (parse_share(cases[i].text, &bp) != cases[i].r)
			fail_msg("\"%s\": expected %d", cases[i].text, cases[i].r);
		assert_int_equal(bp, cases[i].r == 0 ? cases[i].bp : 4711);
	}
}

static void pids_are_positive(void **state)
{
	pid_t pid = -7;

	(void)state;
	assert_int_equal(parse_pid("0", &pid), -ERANGE);
	assert_int_equal(parse_pid("2147483648", &pid), -ERANGE);
	assert_int_equal(parse_pid("4294967297", &pid), -ERANGE);
	assert_int_equal(parse_pid("-1", &pid), -EINVAL);
	assert_int_equal(parse_pid("self", &pid), -EINVAL);
	assert_int_equal(pid, -7);
	assert_int_equal(parse_pid("2147483647", &pid), 0);
	assert_int_equal(pid, INT32_MAX);
}

static void booleans_have_four_words_each(void **state)
{
	static const char *const yes[] = {"yes", "TRUE", "On", "1"};
	static const char *const no[] = {"no", "False", "OFF", "0"};
	static const char *const bad[] = {"", "y", "2", "yes ", "enabled", "01"};
	bool value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		value = false;
		assert_int_equal(parse_bool(yes[i], &value), 0);
		assert_true(value);
		assert_int_equal(parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		value = true;
		assert_int_equal(parse_bool(bad[i], &value), -EINVAL);
		assert_true(value);
	}
}

static void scanning_moves_only_on_success(void **state)
{
	const char text[] = {'1', '2', 'f', ' ', '\t', 'x', 'y'};
	struct scanner s = {text, text + sizeof(text)}, word;
	uint64_t value = 0;

	(void)state;
	assert_false(scan_char(&s, 'x'));
	assert_true(scan_u64(&s, &value));
	assert_int_equal(value, 12);
	assert_false(scan_u64(&s, &value));
	assert_ptr_equal(s.at, text + 2);
	assert_true(scan_hex(&s, &value));
	assert_int_equal(value, 15);
	assert_false(scan_word(&s, &word));
	scan_blanks(&s);
	assert_false(scan_text(&s, "xyz")); /* it ends before */
	assert_false(scan_text(&s, "xx"));
	assert_true(scan_text(&s, ""));
	assert_true(scan_text(&(struct scanner){s.at, s.end}, "xy"));
	assert_true(scan_word(&s, &word));
	assert_int_equal(word.end - word.at, 2);
	assert_memory_equal(word.at, "xy", 2);
	assert_ptr_equal(s.at, s.end);
	assert_false(scan_char(&s, '\0'));
	assert_false(scan_hex(&s, &value));
	assert_false(scan_word(&s, &word));
}

static void scanning_refuses_overflow_unmoved(void **state)
{
	const char *text = "18446744073709551616";
	struct scanner s = {text, text + strlen(text)};
	uint64_t value = 7;

	(void)state;
	assert_false(scan_u64(&s, &value));
	assert_ptr_equal(s.at, text);
	assert_int_equal(value, 7);
	s.end--; /* one digit less fits */
	assert_true(scan_u64(&s, &value));
	assert_int_equal(value, UINT64_C(1844674407370955161));
}

static void ranges_are_whole_or_none(void **state)
{
	static const struct {
		const char *text;
		uint64_t first, last;
		size_t length; /* that was read; 0: no range */
	} cases[] = {
		{"7", 7, 7, 1},	  {"4-7,9", 4, 7, 3}, {"4-4", 4, 4, 3},
		{"7-4", 0, 0, 0}, {"4-", 0, 0, 0},    {"4-x", 0, 0, 0},
		{"-4", 0, 0, 0},  {"", 0, 0, 0},      {"4-18446744073709551616", 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		struct scanner s = {text, text + strlen(text)};
		uint64_t first = 0, last = 0;

		assert_int_equal(scan_range(&s, &first, &last), cases[i].length > 0);
		assert_int_equal(first, cases[i].first);
		assert_int_equal(last, cases[i].last);
		assert_ptr_equal(s.at, text + cases[i].length);
	}
}

static void lines_need_no_last_newline(void **state)
{
	const char *text = "one\n\nthree";
	struct scanner s = {text, text + strlen(text)}, line;

	(void)state;
	assert_true(scan_line(&s, &line));
	assert_int_equal(line.end - line.at, 3);
	assert_true(scan_line(&s, &line));
	assert_int_equal(line.end - line.at, 0);
	assert_true(scan_line(&s, &line));
	assert_memory_equal(line.at, "three", 5);
	assert_ptr_equal(line.end, s.end);
	assert_false(scan_line(&s, &line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimal_is_strict),
		cmocka_unit_test(hex_takes_an_optional_prefix),
		cmocka_unit_test(sizes_have_units_of_1024),
		cmocka_unit_test(durations_become_nanoseconds),
		cmocka_unit_test(shares_are_basis_points),
		cmocka_unit_test(pids_are_positive),
		cmocka_unit_test(booleans_have_four_words_each),
		cmocka_unit_test(scanning_moves_only_on_success),
		cmocka_unit_test(scanning_refuses_overflow_unmoved),
		cmocka_unit_test(ranges_are_whole_or_none),
		cmocka_unit_test(lines_need_no_last_newline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
