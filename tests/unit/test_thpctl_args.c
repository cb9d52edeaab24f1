/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

enum { WORDS_MAX = 16 };

/* Parses a line of words; the result points into static memory, as argv does. */
static int parse(const char *line, struct args *ret, char *error)
{
	static char copy[512];
	static char *argv[WORDS_MAX];
	int argc = 0;

	(void)snprintf(copy, sizeof(copy), "thpctl %s", line);
	for (char *word = strtok(copy, " "); word && argc < WORDS_MAX - 1; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	error[0] = '\0';
	return args_parse(argc, argv, ret, error, 512);
}

static void status_is_the_default(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(parse("", &a, error), 0);
	assert_int_equal(a.verb, VERB_STATUS);
	assert_string_equal(a.runtime_dir, "/run/thpd");
	assert_true(a.has_legend);
	assert_false(a.is_raw);
	assert_int_equal(a.json, JSON_FORM_NONE);
	assert_int_equal(a.n_words, 0);
}

static void every_verb_is_known(void **state)
{
	static const char *const lines[VERB_MAX] = {
		[VERB_STATUS] = "status",
		[VERB_SHOW] = "show a",
		[VERB_EXPLAIN] = "explain a 0x1000",
		[VERB_NUMA] = "numa",
		[VERB_PLAN] = "plan a",
		[VERB_MEMSLOTS] = "memslots a",
		[VERB_COLLAPSE] = "collapse a",
		[VERB_POPULATE] = "populate a --wait --target=99 --force",
		[VERB_NUDGE] = "nudge a --wait",
		[VERB_PAUSE] = "pause a",
		[VERB_RESUME] = "resume a",
		[VERB_DOCTOR] = "doctor",
		[VERB_SNAPSHOT] = "snapshot a",
		[VERB_CAT_CONFIG] = "cat-config",
		[VERB_RECORD] = "record d 1 2 3",
		[VERB_RELOAD] = "reload",
		[VERB_DAX_CHECK] = "dax check f --probe",
		[VERB_DAX_CREATE] = "dax create f --size=2M",
		[VERB_DAX_PREALLOC] = "dax prealloc f",
		[VERB_DAX_REALIGN] = "dax realign f --dry-run --copy",
	};
	struct args a;
	char error[512];

	(void)state;
	for (unsigned int i = 0; i < VERB_MAX; i++) {
		assert_int_equal(parse(lines[i], &a, error), 0);
		assert_int_equal(a.verb, i);
		assert_memory_equal(args_verb_name((enum verb)i), lines[i],
				    strlen(args_verb_name((enum verb)i)));
	}
}

static void sizes_are_strict(void **state)
{
	static const char *const bad[] = {"",	"0",  "M",   "1X",	  "-1",
					  "+1", " 1", "1MB", "99999999T", "1 M"};
	uint64_t size = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(args_parse_size(bad[i], &size), -EINVAL);
		assert_int_equal(size, 7);
	}
	assert_int_equal(args_parse_size("4096", &size), 0);
	assert_int_equal(size, 4096);
	assert_int_equal(args_parse_size("2M", &size), 0);
	assert_int_equal(size, 2 << 20);
	assert_int_equal(args_parse_size("3T", &size), 0);
	assert_int_equal(size, 3ULL << 40);
}

static void verbs_of_two_words(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(parse("dax create /a/b --size=64M --align=1G", &a, error), 0);
	assert_int_equal(a.verb, VERB_DAX_CREATE);
	assert_int_equal(a.n_words, 1);
	assert_string_equal(a.words[0], "/a/b");
	assert_int_equal(a.size_bytes, 64 << 20);
	assert_int_equal(a.align_bytes, 1 << 30);
	assert_int_equal(parse("dax create f --size=4M", &a, error), 0);
	assert_int_equal(a.align_bytes, 2 << 20);
	assert_int_equal(parse("dax", &a, error), -EINVAL);
	assert_int_equal(parse("dax chock f", &a, error), -EINVAL);
	assert_non_null(strstr(error, "dax chock"));
	assert_int_equal(parse("dax check", &a, error), -EINVAL);
	assert_int_equal(parse("dax check f --size=4M", &a, error), -EINVAL);
	assert_int_equal(parse("dax create f", &a, error), -EINVAL);
	assert_int_equal(parse("dax create f --size=4M --align=4M", &a, error), -EINVAL);
}

static void options_stand_anywhere(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(
		parse("collapse --json=short vm1 --target=99.5% --runtime-dir /x", &a, error), 0);
	assert_int_equal(a.verb, VERB_COLLAPSE);
	assert_string_equal(a.words[0], "vm1");
	assert_int_equal(a.n_words, 1);
	assert_int_equal(a.json, JSON_FORM_SHORT);
	assert_true(a.has_target);
	assert_true(a.is_waiting); /* implied */
	assert_int_equal(a.target_bp, 9950);
	assert_string_equal(a.runtime_dir, "/x");
	assert_int_equal(parse("--no-legend --bytes --json record d 1 --scrub", &a, error), 0);
	assert_false(a.has_legend);
	assert_true(a.is_raw);
	assert_true(a.is_scrubbed);
	assert_int_equal(a.json, JSON_FORM_PRETTY);
	assert_int_equal(parse("pause -- -evil", &a, error), 0);
	assert_string_equal(a.words[0], "-evil");
}

static void plan_and_memslots_have_a_vm_or_a_file(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(parse("plan --snapshot -", &a, error), 0);
	assert_string_equal(a.snapshot_file, "-");
	assert_int_equal(parse("plan", &a, error), -EINVAL);
	assert_int_equal(parse("plan vm --snapshot=f", &a, error), -EINVAL);
	assert_int_equal(parse("memslots --snapshot=f", &a, error), 0);
	assert_string_equal(a.snapshot_file, "f");
	assert_int_equal(parse("memslots", &a, error), -EINVAL);
	assert_non_null(strstr(error, "thpctl memslots VM | --snapshot=FILE"));
	assert_int_equal(parse("memslots vm --snapshot=f", &a, error), -EINVAL);
	assert_int_equal(parse("memslots vm --wait", &a, error), -EINVAL);
	assert_int_equal(parse("snapshot vm --snapshot=f", &a, error), -EINVAL);
}

static void numa_has_any_number_of_vms(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(parse("numa", &a, error), 0);
	assert_int_equal(a.n_words, 0);
	assert_int_equal(parse("numa --json a b c", &a, error), 0);
	assert_int_equal(a.verb, VERB_NUMA);
	assert_int_equal(a.n_words, 3);
	assert_string_equal(a.words[2], "c");
}

static void wrong_usage_is_named(void **state)
{
	static const struct {
		const char *line, *expected;
	} rows[] = {
		{"frobnicate", "no verb 'frobnicate'"},
		{"--frob", "no option '--frob'"},
		{"-x", "no option '-x'"},
		{"--runtime-dir", "wants a value"},
		{"--runtime-dir=", "a directory"},
		{"--json=yaml", "'yaml' is not short, pretty or off"},
		{"collapse vm --target=101%", "'101%' is not a share"},
		{"collapse vm --target=", "is not a share"},
		{"collapse", "thpctl collapse VM"},
		{"explain a b c", "thpctl explain VM [ADDR]"},
		{"status vm", "nothing more"},
		{"record d", "DIR VM|PID..."},
		{"pause vm --wait", "'pause' does not take"},
		{"numa vm --wait", "'numa' does not take"},
		{"nudge vm --target=1%", "'nudge' does not take"},
		{"nudge vm --force", "'nudge' does not take"},
		{"nudge", "thpctl nudge VM [--wait]"},
		{"show vm --target=1%", "'show' does not take"},
		{"collapse vm --scrub", "'collapse' does not take"},
	};
	struct args a;
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].line, &a, error), -EINVAL);
		if (!strstr(error, rows[i].expected))
			fail_msg("%s: '%s' lacks '%s'", rows[i].line, error, rows[i].expected);
	}
}

static void help_needs_no_verb(void **state)
{
	struct args a;
	char error[512];

	(void)state;
	assert_int_equal(parse("-h", &a, error), 0);
	assert_true(a.is_help);
	assert_int_equal(parse("explain --help", &a, error), 0);
	assert_true(a.is_help);
	assert_int_equal(parse("--version", &a, error), 0);
	assert_true(a.is_version);
}

static void shares_are_parsed_strictly(void **state)
{
	static const struct {
		const char *text;
		int bp;
	} rows[] = {
		{"0", 0},	 {"99", 9900},	  {"99%", 9900}, {"99.5%", 9950},
		{"99.95", 9995}, {"100%", 10000}, {"", -1},	 {"%", -1},
		{"100.01%", -1}, {"101", -1},	  {"99.", -1},	 {"99.555", -1},
		{"-1", -1},	 {" 5", -1},	  {"5%%", -1},	 {"99999999999", -1},
		{"1e1", -1},	 {".5", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned int bp = 12345;
		int r = args_parse_share(rows[i].text, &bp);

		assert_int_equal(r, rows[i].bp < 0 ? -EINVAL : 0);
		assert_int_equal(bp, rows[i].bp < 0 ? 12345 : rows[i].bp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_the_default),
		cmocka_unit_test(every_verb_is_known),
		cmocka_unit_test(sizes_are_strict),
		cmocka_unit_test(verbs_of_two_words),
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(plan_and_memslots_have_a_vm_or_a_file),
		cmocka_unit_test(numa_has_any_number_of_vms),
		cmocka_unit_test(wrong_usage_is_named),
		cmocka_unit_test(help_needs_no_verb),
		cmocka_unit_test(shares_are_parsed_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
