/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a command to its end and prints what it took as one JSON line on fd 3: {"wall_ns"}. The
 * command's own output goes where it goes; its failure is ours. */

#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { RESULT_FD = 3 };

int main(int argc, char **argv)
{
	uint64_t began_ns = clock_ns(CLOCK_MONOTONIC);
	int status = 0;
	pid_t child;

	if (argc < 2)
		return 2;
	child = vfork();
	if (child == 0) {
		(void)alarm(MEASURED_SECONDS_MAX);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 1;
	dprintf(RESULT_FD, "{\"wall_ns\":%llu}\n",
		(unsigned long long)(clock_ns(CLOCK_MONOTONIC) - began_ns));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
