/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmdline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"

/* An honest process answers within microseconds, with its arguments in swap within milliseconds. */
enum { DEADLINE_MS = 100, CHILD_SECONDS = 1 };

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The grandchild: async-signal-safe calls only. It may get stuck for ever, so it keeps no lock and
 * no socket of the daemon open. */
static void copy_to_pipe(int dirfd, int out)
{
	char buffer[4096];
	ssize_t n;
	int fd;

	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(CHILD_SECONDS);
	if (dup3(dirfd, 3, 0) < 0 && dirfd != 3)
		_exit(1);
	if (dup3(out, 4, 0) < 0 && out != 4)
		_exit(1);
	(void)syscall(SYS_close_range, 5U, ~0U, 0U);
	fd = openat(3, "cmdline", O_RDONLY | O_NOFOLLOW);
	while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(4, buffer, (size_t)n) != n)
			break;
	_exit(0);
}

/* Two forks, so that nobody has to wait for a reader that is stuck. */
static int start_reader(int dirfd, int out)
{
	/* Above 4, so that moving one to its place does not close the other. */
	_cleanup_close_ int high_dir = fcntl(dirfd, F_DUPFD_CLOEXEC, 5);
	_cleanup_close_ int high_out = fcntl(out, F_DUPFD_CLOEXEC, 5);
	pid_t child;

	if (high_dir < 0 || high_out < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		if (fork() == 0)
			copy_to_pipe(high_dir, high_out);
		_exit(0);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* 1: more may come, 0: end, -errno. */
static int read_some(int in, int64_t deadline_ms, size_t max, char *text, size_t *size)
{
	struct pollfd p = {.fd = in, .events = POLLIN};
	int64_t left_ms = deadline_ms - now_ms();
	ssize_t n;
	int r = left_ms > 0 ? poll(&p, 1, (int)left_ms) : 0;

	if (r < 0)
		return errno == EINTR ? 1 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	n = read(in, text + *size, max + 1 - *size);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	*size += (size_t)n;
	return *size > max ? -EFBIG : 1;
}

int cmdline_read(const struct process *p, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(max + 1);
	int64_t deadline_ms = now_ms() + DEADLINE_MS;
	int pipe_fds[2], r;
	size_t size = 0;

	if (!text)
		return -ENOMEM;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	r = start_reader(p->dirfd, pipe_fds[1]);
	(void)close(pipe_fds[1]);
	if (r == 0)
		do
			r = read_some(pipe_fds[0], deadline_ms, max, text, &size);
		while (r > 0);
	(void)close(pipe_fds[0]);
	if (r < 0)
		return r;
	text[size] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}
