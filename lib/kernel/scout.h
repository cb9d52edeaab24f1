/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A scout is a child that reads of one process after the other what may wait for ever (process.h),
 * and reports on each. Reading in a thread would do as well until a process hangs: a thread that
 * waits in the kernel cannot be ended, a child can.
 *
 * It is a fork of a program with threads, so that a question may call async-signal-safe functions
 * only: no malloc, no stdio but snprintf. */

#include "process.h"
#include "vm.h"

struct scout_report {
	uint32_t index; /* of the subject */
	int err;	/* 0 or negative errno: the question could not be answered */
	uint64_t starttime, mm_key;
	bool may_hold_uffd;
	bool has_file_open, has_file_mapped; /* users.h */
	struct vm vm;
};

/* Answers for subjects[index]. */
typedef void scout_question(struct sys *sys, const void *subjects, size_t index,
			    struct scout_report *ret);

/* subjects: struct process, held. Fills err, starttime, mm_key, vm. */
scout_question scout_identify;
/* subjects: pid_t. Fills may_hold_uffd. */
scout_question scout_userfaultfd;

struct scout {
	int reports_fd; /* readable when there is a report, and when the scout has ended */
	int pidfd;
};

#define SCOUT_INIT                                     \
	{                                              \
		.reports_fd = -EBADF, .pidfd = -EBADF, \
	}

/* Sends one out to ask for subjects[first] to subjects[n - 1], in this order. 0 or -errno. */
int scout_send(struct sys *sys, scout_question *ask, const void *subjects, size_t first, size_t n,
	       struct scout *ret);

/* 1: a report; -EAGAIN: none yet; -ENODATA: it has ended. */
int scout_hear(const struct scout *s, struct scout_report *ret);

/* Ends it, at work or not, and clears s. Returns within some milliseconds: should the kernel not
 * let go of the child (a page fault on a FUSE file cannot be ended by a signal), it stays behind
 * until it does; a program that ignores SIGCHLD need not care. */
void scout_recall(struct scout *s);
