/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "executor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "bits.h"
#include "cleanup.h"

enum { WORKERS_MAX = 16, SPARES_MAX = 32, WORKER_STACK_BYTES = 256 * 1024 };
/* A job that takes longer may hang. Most take milliseconds, a copy under pressure some hundred. */
#define SLOW_NS (UINT64_C(1) * 1000000000)

struct job_list {
	struct job *first, **last;
};

struct worker {
	struct executor *executor;
	pthread_t thread;
	const struct job *job; /* at work on it */
	uint64_t since_ns;
	bool is_started; /* and not joined */
	bool has_ended;
};

struct executor {
	struct sys *sys;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t has_work;
	struct job_list todo, done;
	bool is_stopping;
	int done_fd;
	uint32_t wanted; /* workers that do not hang */
	struct worker workers[WORKERS_MAX + SPARES_MAX];
};

static void list_append(struct job_list *l, struct job *j)
{
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
}

static struct job *list_take(struct job_list *l, struct job **at)
{
	struct job *j = *at;

	if (!j)
		return NULL;
	*at = j->next;
	if (l->last == &j->next)
		l->last = at;
	return j;
}

static bool is_slow(const struct worker *w, uint64_t now_ns)
{
	return w->job && now_ns > w->since_ns + SLOW_NS;
}

static bool is_guest_slow(const struct executor *e, uint64_t guest, uint64_t now_ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(e->workers); i++)
		if (is_slow(&e->workers[i], now_ns) && e->workers[i].job->guest == guest)
			return true;
	return false;
}

/* A job that must be alone waits here for its turn, so that the worker that ends the one before
 * goes on without asking. */
static bool is_turn(const struct executor *e, const struct job *j)
{
	for (size_t i = 0; j->is_alone && i < ARRAY_SIZE(e->workers); i++) {
		const struct job *other = e->workers[i].job;

		if (other && other->is_alone && other->guest == j->guest)
			return false;
	}
	return true;
}

static struct job *take_runnable(struct executor *e, uint64_t now_ns)
{
	struct job **at = &e->todo.first;

	while (*at && (is_guest_slow(e, (*at)->guest, now_ns) || !is_turn(e, *at)))
		at = &(*at)->next;
	return list_take(&e->todo, at);
}

/* Workers that are alive and do not hang. */
static uint32_t count_moving(const struct executor *e, uint64_t now_ns)
{
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(e->workers); i++) {
		const struct worker *w = &e->workers[i];

		n += w->is_started && !w->has_ended && !is_slow(w, now_ns);
	}
	return n;
}

/* The next job for this worker; NULL: the worker shall end. The mutex is held. */
static struct job *wait_for_work(struct executor *e, struct worker *w)
{
	for (;;) {
		uint64_t now_ns = e->sys->ops->now_ns(e->sys);
		struct job *j;

		/* A worker that hung is back: its spare may go, or it itself. */
		if (e->is_stopping || count_moving(e, now_ns) > e->wanted)
			return NULL;
		j = take_runnable(e, now_ns);
		if (j) {
			w->job = j;
			w->since_ns = now_ns;
			return j;
		}
		pthread_cond_wait(&e->has_work, &e->mutex);
	}
}

static void hand_back(struct executor *e, struct job *j)
{
	list_append(&e->done, j);
	(void)eventfd_write(e->done_fd, 1);
}

static void *work(void *userdata)
{
	struct worker *w = userdata;
	struct executor *e = w->executor;
	struct job *j;

	pthread_mutex_lock(&e->mutex);
	while ((j = wait_for_work(e, w))) {
		pthread_mutex_unlock(&e->mutex);
		job_run(e->sys, j);
		pthread_mutex_lock(&e->mutex);
		w->job = NULL;
		hand_back(e, j);
		/* What was skipped as long as this one was slow may be taken now. */
		if (e->todo.first)
			pthread_cond_broadcast(&e->has_work);
	}
	w->has_ended = true;
	pthread_mutex_unlock(&e->mutex);
	return NULL;
}

static struct worker *find_free(struct executor *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(e->workers); i++) {
		struct worker *w = &e->workers[i];

		if (w->is_started && w->has_ended) {
			pthread_join(w->thread, NULL);
			w->is_started = false;
		}
		if (!w->is_started)
			return w;
	}
	return NULL;
}

/* Workers take no signals: those are the event loop's. The mutex is held. */
static int start_worker(struct executor *e)
{
	struct worker *w = find_free(e);
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	if (!w)
		return -EAGAIN;
	*w = (struct worker){.executor = e, .is_started = true};
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->thread, &attr, work, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	w->is_started = r == 0;
	return -r;
}

static int start_workers(struct executor *e)
{
	int r = 0;

	pthread_mutex_lock(&e->mutex);
	for (uint32_t i = 0; r == 0 && i < e->wanted; i++)
		r = start_worker(e);
	pthread_mutex_unlock(&e->mutex);
	return r;
}

int executor_new(struct sys *sys, uint32_t workers, struct executor **ret)
{
	struct executor *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->sys = sys;
	e->todo.last = &e->todo.first;
	e->done.last = &e->done.first;
	e->wanted = workers < 1 ? 1 : workers < WORKERS_MAX ? workers : WORKERS_MAX;
	pthread_mutex_init(&e->mutex, NULL);
	pthread_cond_init(&e->has_work, NULL);
	e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = e->done_fd < 0 ? -errno : start_workers(e);
	if (r < 0) {
		(void)executor_stop(e, UINT64_MAX);
		executor_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

/* pthread_timedjoin_np() goes by CLOCK_REALTIME. */
static struct timespec deadline_after(uint64_t ns)
{
	struct timespec t;
	uint64_t s = ns / 1000000000;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += (time_t)(s < 86400 ? s : 86400);
	return t;
}

bool executor_stop(struct executor *e, uint64_t patience_ns)
{
	struct timespec deadline = deadline_after(patience_ns);
	bool are_all_back = true;

	pthread_mutex_lock(&e->mutex);
	e->is_stopping = true;
	pthread_cond_broadcast(&e->has_work);
	pthread_mutex_unlock(&e->mutex);
	for (size_t i = 0; i < ARRAY_SIZE(e->workers); i++) {
		struct worker *w = &e->workers[i];

		if (!w->is_started)
			continue;
		if (pthread_timedjoin_np(w->thread, NULL, &deadline) == 0)
			w->is_started = false;
		else
			are_all_back = false;
	}
	return are_all_back;
}

struct executor *executor_free(struct executor *e)
{
	struct job *j;

	if (!e)
		return NULL;
	while ((j = list_take(&e->todo, &e->todo.first)) ||
	       (j = list_take(&e->done, &e->done.first)))
		job_free(j);
	e->done_fd = close_fd(e->done_fd);
	pthread_cond_destroy(&e->has_work);
	pthread_mutex_destroy(&e->mutex);
	free(e);
	return NULL;
}

int executor_fd(const struct executor *e)
{
	return e->done_fd;
}

uint32_t executor_workers(const struct executor *e)
{
	return e->wanted;
}

void executor_submit(struct executor *e, struct job *j)
{
	pthread_mutex_lock(&e->mutex);
	list_append(&e->todo, j);
	pthread_cond_signal(&e->has_work);
	pthread_mutex_unlock(&e->mutex);
}

struct job *executor_collect(struct executor *e)
{
	struct job *j;

	pthread_mutex_lock(&e->mutex);
	j = list_take(&e->done, &e->done.first);
	if (!j) {
		eventfd_t count;

		(void)eventfd_read(e->done_fd, &count);
	}
	pthread_mutex_unlock(&e->mutex);
	return j;
}

uint64_t executor_busy_since(struct executor *e, uint64_t guest)
{
	uint64_t since_ns = 0;

	pthread_mutex_lock(&e->mutex);
	for (size_t i = 0; i < ARRAY_SIZE(e->workers); i++) {
		const struct worker *w = &e->workers[i];

		if (w->job && w->job->guest == guest && (since_ns == 0 || w->since_ns < since_ns))
			since_ns = w->since_ns;
	}
	pthread_mutex_unlock(&e->mutex);
	return since_ns;
}

void executor_cancel(struct executor *e, uint64_t guest)
{
	struct job **at;

	pthread_mutex_lock(&e->mutex);
	at = &e->todo.first;
	while (*at) {
		struct job *j;

		if ((*at)->guest != guest) {
			at = &(*at)->next;
			continue;
		}
		j = list_take(&e->todo, at);
		j->err = -ECANCELED;
		j->outcome = (struct outcome){.action = j->action.id, .err = ECANCELED};
		hand_back(e, j);
	}
	pthread_mutex_unlock(&e->mutex);
}

bool executor_keep_moving(struct executor *e)
{
	uint64_t now_ns = e->sys->ops->now_ns(e->sys);
	uint32_t n_moving;

	pthread_mutex_lock(&e->mutex);
	n_moving = count_moving(e, now_ns);
	while (n_moving < e->wanted && start_worker(e) == 0)
		n_moving++;
	/* A job that was skipped for a slow one of its guest is looked at again. */
	if (e->todo.first)
		pthread_cond_broadcast(&e->has_work);
	n_moving += e->todo.first == NULL;
	pthread_mutex_unlock(&e->mutex);
	return n_moving > 0;
}
