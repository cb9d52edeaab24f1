/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Worker threads: jobs go in by pointer and come back done, in any order. The event loop is never
 * blocked by a look or a call. Ownership of a job is with the executor from submit until collect.
 */

#include <stdint.h>

#include "job.h"

struct executor;

int executor_new(struct sys *sys, uint32_t workers, struct executor **ret); /* starts the threads */

/* Finishes the calls that are in flight (each is bounded), drops what has not started, joins the
 * threads. */
struct executor *executor_free(struct executor *e);

int executor_fd(const struct executor *e); /* readable when executor_collect() has something */
uint32_t executor_workers(const struct executor *e);

void executor_submit(struct executor *e, struct job *j);
struct job *executor_collect(struct executor *e); /* one job that is done, or NULL; clears the fd
						     when the last is taken */
