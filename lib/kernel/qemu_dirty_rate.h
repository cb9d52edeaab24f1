/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QEMU's measuring of its guest's dirty rate by a dirty log, for what it does to KVM: the log goes
 * on, everything is write-protected and taken apart, and when the log goes off KVM maps it anew. It
 * ends by itself, whoever asked for it is there or not. Sessions are the caller's; results of the
 * functions are qmp_execute()'s: 0, QMP_REFUSED with the reason in q->refusal, or negative. */

#include "qemu_state.h"
#include "qmp.h"

/* Whole seconds are what every QEMU takes. */
enum { DIRTY_RATE_SECONDS = 1 };

/* How far it is. */
enum dirty_rate_step {
	DIRTY_RATE_NONE = 0,
	DIRTY_RATE_HELD,      /* thpd had a reason not to ask for it */
	DIRTY_RATE_REFUSED,   /* QEMU did not want to: older than 6.2, or with a dirty ring */
	DIRTY_RATE_FAILED,    /* nobody knows: the monitor did not answer, or not in time */
	DIRTY_RATE_MEASURING, /* asked for, and not over yet as far as is known */
	DIRTY_RATE_DONE,
	/* Over, but its guest does not run: QEMU keeps the log on until it does. */
	DIRTY_RATE_STOPPED,
	DIRTY_RATE_STEP_MAX,
};

const char *dirty_rate_step_name(enum dirty_rate_step step); /* "held", "refused", "failed", ... */

/* What has to be known before: of the session's QEMU, and of the command line of its process. */
int dirty_rate_read_state(struct qmp *q, const struct process *p, struct qemu_state *ret);

/* A command line, as in /proc, asks for a dirty ring. */
bool dirty_rate_has_ring(const char *cmdline, size_t size);

/* Asks for it. Negative: it may have been heard all the same. */
int dirty_rate_begin(struct qmp *q);

/* MEASURING, DONE or STOPPED; FAILED: QEMU knows nothing of such a measuring, or says nothing that
 * is understood. */
int dirty_rate_poll(struct qmp *q, enum dirty_rate_step *ret);
