/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a command line can never hang the reader. A FIFO that nobody writes stands in for memory
 * whose fault is never answered: opening it blocks for ever. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "cmdline.h"

static void own_command_line_is_read(void **state)
{
	struct process p = PROCESS_INIT;
	char pid_path[32], expected[4096];
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	ssize_t n;

	(void)state;

	(void)snprintf(pid_path, sizeof(pid_path), "/proc/%d", (int)getpid());
	p.dirfd = open(pid_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = sys_read_at(p.dirfd, "cmdline", expected, sizeof(expected));
	assert_true(n > 0);
	assert_int_equal(cmdline_read(&p, sizeof(expected), &text, &size), 0);
	assert_int_equal(size, n);
	assert_memory_equal(text, expected, size);
	assert_int_equal(cmdline_read(&p, 3, &text, &size), -EFBIG);
	p.dirfd = close_fd(p.dirfd);
}

static void a_read_that_never_ends_is_given_up(void **state)
{
	char dir[] = "/tmp/thpd-cmdline.XXXXXX", path[64];
	struct process p = PROCESS_INIT;
	char *text = NULL;
	size_t size;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/cmdline", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	p.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cmdline_read(&p, 4096, &text, &size), -ETIMEDOUT);
	assert_null(text);
	p.dirfd = close_fd(p.dirfd);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void what_is_not_there_is_empty(void **state)
{
	char dir[] = "/tmp/thpd-cmdline.XXXXXX";
	struct process p = PROCESS_INIT;
	_cleanup_free_ char *text = NULL;
	size_t size = 1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	p.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cmdline_read(&p, 4096, &text, &size), 0);
	assert_int_equal(size, 0);
	p.dirfd = close_fd(p.dirfd);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_command_line_is_read),
		cmocka_unit_test(a_read_that_never_ends_is_given_up),
		cmocka_unit_test(what_is_not_there_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
