/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "executor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "cleanup.h"

enum { WORKERS_MAX = 16, WORKER_STACK_BYTES = 256 * 1024 };

struct job_list {
	struct job *first, **last;
};

struct executor {
	struct sys *sys;
	pthread_mutex_t mutex; /* guards all below but threads */
	pthread_cond_t has_work;
	struct job_list todo, done;
	bool is_stopping;
	int done_fd;
	pthread_t threads[WORKERS_MAX];
	uint32_t n_threads;
};

static void list_append(struct job_list *l, struct job *j)
{
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
}

static struct job *list_take(struct job_list *l)
{
	struct job *j = l->first;

	if (!j)
		return NULL;
	l->first = j->next;
	if (!l->first)
		l->last = &l->first;
	return j;
}

static struct job *wait_for_work(struct executor *e)
{
	struct job *j = NULL;

	pthread_mutex_lock(&e->mutex);
	while (!e->is_stopping && !(j = list_take(&e->todo)))
		pthread_cond_wait(&e->has_work, &e->mutex);
	pthread_mutex_unlock(&e->mutex);
	return j;
}

static void hand_back(struct executor *e, struct job *j)
{
	pthread_mutex_lock(&e->mutex);
	list_append(&e->done, j);
	pthread_mutex_unlock(&e->mutex);
	(void)eventfd_write(e->done_fd, 1);
}

static void *worker(void *userdata)
{
	struct executor *e = userdata;
	struct job *j;

	while ((j = wait_for_work(e))) {
		job_run(e->sys, j);
		hand_back(e, j);
	}
	return NULL;
}

/* Workers take no signals: those are the event loop's. */
static int start_threads(struct executor *e, uint32_t workers)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && e->n_threads < workers) {
		r = pthread_create(&e->threads[e->n_threads], &attr, worker, e);
		if (r == 0)
			e->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
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
	pthread_mutex_init(&e->mutex, NULL);
	pthread_cond_init(&e->has_work, NULL);
	e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->done_fd < 0) {
		r = -errno;
		executor_free(e);
		return r;
	}
	if (workers < 1)
		workers = 1;
	r = start_threads(e, workers < WORKERS_MAX ? workers : WORKERS_MAX);
	if (r < 0) {
		executor_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

struct executor *executor_free(struct executor *e)
{
	struct job *j;

	if (!e)
		return NULL;
	pthread_mutex_lock(&e->mutex);
	e->is_stopping = true;
	pthread_cond_broadcast(&e->has_work);
	pthread_mutex_unlock(&e->mutex);
	for (uint32_t i = 0; i < e->n_threads; i++)
		pthread_join(e->threads[i], NULL);
	while ((j = list_take(&e->todo)) || (j = list_take(&e->done)))
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
	return e->n_threads;
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
	j = list_take(&e->done);
	if (!j) {
		eventfd_t count;

		(void)eventfd_read(e->done_fd, &count);
	}
	pthread_mutex_unlock(&e->mutex);
	return j;
}
