/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Worker threads: jobs go in by pointer and come back done, in any order. The event loop is never
 * blocked by a look or a call. Ownership of a job is with the executor from submit until collect.
 *
 * A job may hang in the kernel for as long as a hostile process likes (process.h), and a thread
 * that waits in the kernel cannot be ended. So a guest on which a job takes long gets no second
 * worker, and spare workers take the place of those that hang. */

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct executor;

int executor_new(struct sys *sys, uint32_t workers, struct executor **ret); /* starts the threads */

/* Waits for the calls that are in flight (each is bounded), drops what has not started. False: a
 * worker hangs still after patience_ns; nothing that it may use can be freed. */
bool executor_stop(struct executor *e, uint64_t patience_ns);
struct executor *executor_free(struct executor *e); /* stopped, or never used */

int executor_fd(const struct executor *e); /* readable when executor_collect() has something */
uint32_t executor_workers(const struct executor *e); /* without spares */

void executor_submit(struct executor *e, struct job *j);
struct job *executor_collect(struct executor *e); /* one job that is done, or NULL; clears the fd
						     when the last is taken */

/* Since when a worker has been at a job of that guest: the oldest; 0 if none is. */
uint64_t executor_busy_since(struct executor *e, uint64_t guest);

/* Jobs of that guest that have not begun come back with err (of an ACT also outcome.err) for
 * canceled. */
void executor_cancel(struct executor *e, uint64_t guest);

/* To be called now and then: starts spare workers where others take long. False: there is work, and
 * nobody is left for it. */
bool executor_keep_moving(struct executor *e);
