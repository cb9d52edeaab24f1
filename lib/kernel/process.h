/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A held process: everything is done through fds that were opened while it was known to be the
 * right one, so that a recycled pid can never be looked at or acted on by mistake. */

#include <stdbool.h>

#include "sys.h"

struct process {
	pid_t pid;
	uint64_t starttime;
	int dirfd; /* /proc/PID; reads through it fail once the process is gone */
	int pidfd;
	int pagemap_fd;	       /* bound to the mm at open: process_reopen_mm() after an exec */
	int statm_fd, stat_fd; /* kept open for the pulse */
	uint64_t mm_key;       /* changes when the process executes another program */
};

#define PROCESS_INIT                                                                        \
	{                                                                                   \
		.dirfd = -EBADF, .pidfd = -EBADF, .pagemap_fd = -EBADF, .statm_fd = -EBADF, \
		.stat_fd = -EBADF                                                           \
	}

/* Opens /proc/PID and a pidfd and proves that both are the same living process. 0, -ESRCH, -EACCES,
 * or -errno. pagemap_fd may stay -EBADF where reading is not permitted: looks then answer
 * no-permission. */
int process_open(struct sys *sys, pid_t pid, struct process *ret);
void process_close(struct process *p);

bool process_is_alive(struct sys *sys, const struct process *p);

/* 1 and a fresh pagemap fd if the process has executed another program since, 0 if not, -errno. */
int process_reopen_mm(struct sys *sys, struct process *p);

/* Pids below /proc, for discovery. *ret is malloc'ed, sorted. 0 or -errno. */
int process_list(struct sys *sys, pid_t **ret, size_t *ret_n);
