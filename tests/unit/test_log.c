/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

/* Runs write() with stderr going to a file and returns what came out. */
static void capture(void (*write_lines)(void), char *text, size_t size)
{
	_cleanup_fclose_ FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(saved >= 0);
	(void)fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	write_lines();
	(void)fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
}

static void write_each(void)
{
	log_error("a %d", 1);
	log_warning("b");
	log_info("c");
	log_vm(LOG_DEBUG, NULL, "d");
	log_vm(LOG_INFO, "db1", "e");
	log_vm(LOG_INFO, NULL, "f");
	log_result(LOG_NOTICE, "db1", "EAGAIN", "g");
}

static void test_lines_have_level_and_vm(void **state)
{
	char text[512];

	(void)state;
	unsetenv("THPD_LOG_LEVEL");
	unsetenv("JOURNAL_STREAM");
	log_open(false);
	capture(write_each, text, sizeof(text));
	assert_string_equal(text, "error: a 1\nwarning: b\ninfo: c\ninfo: db1: e\ninfo: f\n"
				  "info: db1: g\n");
}

static void test_level_from_environment_and_option(void **state)
{
	char text[512];

	(void)state;
	setenv("THPD_LOG_LEVEL", "error", 1);
	log_open(false);
	capture(write_each, text, sizeof(text));
	assert_string_equal(text, "error: a 1\n");
	log_open(true);
	capture(write_each, text, sizeof(text));
	assert_non_null(strstr(text, "debug: d\n"));
	setenv("THPD_LOG_LEVEL", "loud", 1);
	log_open(false);
	capture(write_each, text, sizeof(text));
	assert_non_null(strstr(text, "info: c\n"));
	assert_null(strstr(text, "debug: d\n"));
}

static void write_hostile(void)
{
	char name[4096];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	log_info("a\nerror: forged\033[31m");
	log_info("%s", name);
}

static void test_a_line_stays_one_line(void **state)
{
	char text[8192];

	(void)state;
	unsetenv("THPD_LOG_LEVEL");
	log_open(false);
	capture(write_hostile, text, sizeof(text));
	assert_int_equal(strncmp(text, "info: a?error: forged?[31m\ninfo: xxx", 35), 0);
	assert_true(strlen(text) > 1500 && strlen(text) < 2100);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_foreign_journal_stream_is_not_believed(void **state)
{
	char text[512];

	(void)state;
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open(false);
	capture(write_each, text, sizeof(text));
	assert_non_null(strstr(text, "info: c\n"));
}

static void write_to_journal(void)
{
	struct stat st;
	char stream[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(false);
	write_each();
}

/* Whether or not a journal listens here: what goes to it must not come out on stderr as well. */
static void test_journal_gets_what_stderr_does_not(void **state)
{
	char text[512];

	(void)state;
	capture(write_to_journal, text, sizeof(text));
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_have_level_and_vm),
		cmocka_unit_test(test_level_from_environment_and_option),
		cmocka_unit_test(test_a_line_stays_one_line),
		cmocka_unit_test(test_foreign_journal_stream_is_not_believed),
		cmocka_unit_test(test_journal_gets_what_stderr_does_not),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
