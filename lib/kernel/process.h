/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A held process: everything is done through fds that were opened while it was known to be the
 * right one, so that a recycled pid can never be looked at or acted on by mistake.
 *
 * Whatever asks the kernel for a process's mm or fds waits while the process is inside execve()
 * (exec_update_lock) or while its memory lock is held, and a process can have either for as long as
 * it likes: a FUSE file whose server never answers is enough (measured on Linux 6.18,
 * tests/live/hanger.c). Of a process's files stat, maps, smaps, pagemap, exe, fd/ and cmdline are
 * such, and so are process_madvise and move_pages; statm, status, comm, cgroup, mountinfo and
 * pidfd_open are not. The event loop may call only what says here that it never waits. */

#include <stdbool.h>

#include "sys.h"

struct process {
	pid_t pid;
	int dirfd; /* /proc/PID; reads through it fail once the process is gone */
	int pidfd;
	int pagemap_fd;	       /* bound to the mm at open: process_attach() after an exec */
	int statm_fd, stat_fd; /* kept open for the pulse */
	bool is_known;	       /* starttime and mm_key were read */
	uint64_t starttime;
	uint64_t mm_key; /* changes when the process executes another program */
};

#define PROCESS_INIT                                                                        \
	{                                                                                   \
		.dirfd = -EBADF, .pidfd = -EBADF, .pagemap_fd = -EBADF, .statm_fd = -EBADF, \
		.stat_fd = -EBADF                                                           \
	}

/* Opens /proc/PID, a pidfd and the files of the pulse, and proves that all are the same living
 * process. Never waits. 0, -ESRCH, -EACCES, or -errno. */
int process_hold(struct sys *sys, pid_t pid, struct process *ret);

/* Reads starttime and mm_key. May wait. */
int process_read_identity(struct process *p);

/* How long ago the process began, by the host's uptime and its starttime; UINT64_MAX: not known.
 * Never waits. */
uint64_t process_age_ns(struct sys *sys, const struct process *p);

/* Opens the pagemap of the program that the process executes now. 1 if that is another one than at
 * the last call (or than process_read_identity() saw), 0 if not, -errno. pagemap_fd may stay
 * negative where reading is not permitted: looks then answer no-permission. May wait. */
int process_attach(struct sys *sys, struct process *p);

/* process_hold() and process_attach(): for who may wait. */
int process_open(struct sys *sys, pid_t pid, struct process *ret);
void process_close(struct process *p);

bool process_is_alive(struct sys *sys, const struct process *p); /* never waits */

/* Pids below /proc, for discovery. *ret is malloc'ed, sorted. 0 or -errno. */
int process_list(struct sys *sys, pid_t **ret, size_t *ret_n);
