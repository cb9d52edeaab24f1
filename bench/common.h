/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the benchmark programs share. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Nothing that is measured takes longer; alarm() with it survives exec, so that a benchmark always
 * ends. */
enum { MEASURED_SECONDS_MAX = 300 };

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void read_smaps(pid_t pid)
{
	static char buffer[1 << 16];
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
		;
	if (fd >= 0)
		(void)close(fd);
}
