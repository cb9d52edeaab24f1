/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a command to its end and prints what it cost: {"wall_ns","cpu_ns","max_rss_kb","status"} as
 * one JSON line on fd 3 (or stdout if 3 is closed). The command's own output goes where it goes. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t timeval_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

int main(int argc, char **argv)
{
	int out = fcntl(3, F_GETFD) < 0 ? STDOUT_FILENO : 3, status = 0;
	struct rusage usage;
	uint64_t began_ns;
	pid_t child;

	if (argc < 2)
		return 2;
	began_ns = now_ns();
	child = vfork();
	if (child < 0)
		return 1;
	if (child == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (wait4(child, &status, 0, &usage) < 0)
		return 1;
	dprintf(out, "{\"wall_ns\":%llu,\"cpu_ns\":%llu,\"max_rss_kb\":%ld,\"status\":%d}\n",
		(unsigned long long)(now_ns() - began_ns),
		(unsigned long long)(timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime)),
		usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
