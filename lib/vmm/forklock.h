/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A lock for a library in somebody else's process: it may be taken in a signal handler, signals of
 * the thread wait while it is held; who comes first has it first; and it is held over fork(), whose
 * child is not served any more. */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct forklock {
	pid_t owner;			/* the process that it serves */
	_Atomic uint32_t next, serves;	/* tickets, as at a counter */
	sigset_t before;		/* the holder's signals */
	void (*forget)(void *userdata); /* NULL: nothing; in the child of a fork(), once */
	void *userdata;
	struct forklock *following;
};

/* To be called when nobody knows of the lock yet, or any more. */
void forklock_init(struct forklock *l, void (*forget)(void *userdata), void *userdata);
void forklock_done(struct forklock *l);

/* errno stays. false: this is no process of the lock's, but a child, of vfork() and clone() as
 * well; nothing is held then. */
bool forklock_is_ours(const struct forklock *l);
bool forklock_take(struct forklock *l);
void forklock_drop(struct forklock *l);
