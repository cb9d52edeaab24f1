/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. Tickets, since a mutex is given to whoever runs when it is dropped: a nudge
 * that drops it only to take it again would keep the VMM's own calls waiting for its end. A futex
 * waits, by the bare call: no wait may be a point of cancellation.
 *
 * Signals are blocked before a ticket is drawn, so that no handler can wait for its own thread.
 * fork() draws one of every lock, in whatever thread it is called, so that the child finds no
 * change half made; all signals of the thread wait for as long. The child of a bare clone() or of
 * vfork(), which may share the memory, comes by no handler: it is known by its pid, and draws no
 * ticket. */

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "forklock.h"

static struct {
	pthread_mutex_t mutex;
	struct forklock *first;
	sigset_t before; /* the signals of who forks */
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t is_told = PTHREAD_ONCE_INIT;

/* The C library keeps its own two out of it: setuid() must reach every thread. */
static void signals_block(sigset_t *ret_before)
{
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, ret_before);
}

static void signals_restore(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* --- the lock -------------------------------------------------------------------------------- */

static void ticket_wait(struct forklock *l)
{
	uint32_t ticket = atomic_fetch_add(&l->next, 1), serves;
	int saved = errno;

	while ((serves = atomic_load(&l->serves)) != ticket)
		syscall(SYS_futex, &l->serves, FUTEX_WAIT_PRIVATE, serves, NULL);
	errno = saved;
}

static void ticket_pass(struct forklock *l)
{
	uint32_t serves = atomic_fetch_add(&l->serves, 1) + 1;

	if (atomic_load(&l->next) != serves)
		syscall(SYS_futex, &l->serves, FUTEX_WAKE_PRIVATE, INT_MAX);
}

bool forklock_is_ours(const struct forklock *l)
{
	return getpid() == l->owner;
}

bool forklock_take(struct forklock *l)
{
	sigset_t before;

	if (!forklock_is_ours(l))
		return false;
	signals_block(&before);
	ticket_wait(l);
	l->before = before;
	return true;
}

void forklock_drop(struct forklock *l)
{
	sigset_t before = l->before;

	ticket_pass(l);
	signals_restore(&before);
}

/* --- over fork() ----------------------------------------------------------------------------- */

static void before_fork(void)
{
	sigset_t before;

	signals_block(&before);
	pthread_mutex_lock(&all.mutex);
	all.before = before;
	for (struct forklock *l = all.first; l; l = l->following)
		if (forklock_is_ours(l))
			ticket_wait(l);
}

static void after_fork(void)
{
	sigset_t before = all.before;

	for (struct forklock *l = all.first; l; l = l->following)
		if (forklock_is_ours(l))
			ticket_pass(l);
	pthread_mutex_unlock(&all.mutex);
	signals_restore(&before);
}

static void after_fork_in_child(void)
{
	sigset_t before = all.before;

	for (struct forklock *l = all.first; l; l = l->following)
		if (l->forget)
			l->forget(l->userdata);
	all.first = NULL;
	pthread_mutex_unlock(&all.mutex);
	signals_restore(&before);
}

static void tell_of_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* --- the locks ------------------------------------------------------------------------------- */

void forklock_init(struct forklock *l, void (*forget)(void *userdata), void *userdata)
{
	sigset_t before;

	*l = (struct forklock){.owner = getpid(), .forget = forget, .userdata = userdata};
	pthread_once(&is_told, tell_of_forks);
	signals_block(&before);
	pthread_mutex_lock(&all.mutex);
	l->following = all.first;
	all.first = l;
	pthread_mutex_unlock(&all.mutex);
	signals_restore(&before);
}

void forklock_done(struct forklock *l)
{
	struct forklock **at = &all.first;
	sigset_t before;

	if (!forklock_is_ours(l))
		return; /* a child has no list any more */
	signals_block(&before);
	pthread_mutex_lock(&all.mutex);
	while (*at && *at != l)
		at = &(*at)->following;
	if (*at)
		*at = l->following;
	pthread_mutex_unlock(&all.mutex);
	signals_restore(&before);
}
