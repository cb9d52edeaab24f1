/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is asked, what is decided by it (core/nudge_qemu.h), and what QEMU is told, are one session:
 * as little as possible can change in between. */
#include "measure.h"

#include <errno.h>
#include <stdio.h>

#include "nudge_qemu.h"

static void fail(struct job *j, int error, const char *why)
{
	j->step = DIRTY_RATE_FAILED;
	j->step_err = error;
	j->step_why = why;
}

static void tell(struct qmp *q, struct job *j)
{
	int r = dirty_rate_begin(q);

	/* One whose answer is lost may have been heard. */
	j->may_be_told = r <= 0;
	if (r == QMP_REFUSED) {
		j->step = DIRTY_RATE_REFUSED;
		(void)snprintf(j->refusal, sizeof(j->refusal), "%s", q->refusal);
	} else if (r < 0) {
		fail(j, r, q->why);
	} else {
		j->step = DIRTY_RATE_MEASURING;
	}
}

static void tell_if_it_may_be(struct qmp *q, struct job *j)
{
	struct qemu_state state = QEMU_STATE_INIT;
	int r = dirty_rate_read_state(q, j->process, &state);

	if (r < 0) {
		fail(j, r, q->why);
		return;
	}
	j->held = nudge_qemu_held(&state, &j->counts, j->is_wished);
	if (j->held == REASON_NONE)
		tell(q, j);
	else
		j->step = DIRTY_RATE_HELD;
}

static void poll(struct qmp *q, struct job *j)
{
	int r = dirty_rate_poll(q, &j->step);

	if (r < 0)
		fail(j, r, q->why);
	else if (r == QMP_REFUSED)
		fail(j, 0, "QEMU does not tell how far it is");
}

static void run_session(struct sys *sys, struct job *j)
{
	struct monitor_path path;
	const struct qmp_target target = {
		.process = j->process, .uid = j->survey.vm.uid, .path = path.text};
	struct qmp q = QMP_INIT;
	const char *why = NULL;
	int r = job_monitor_path(j, &path, &why);

	if (r < 0) {
		fail(j, r, why);
		return;
	}
	r = qmp_open(sys, &target, &q);
	if (r < 0)
		fail(j, r, q.why);
	else if (j->is_told)
		poll(&q, j);
	else
		tell_if_it_may_be(&q, j);
	qmp_close(&q);
}

void measure_run(struct sys *sys, struct job *j)
{
	if (!j->is_told)
		job_ask_around(sys, j);
	run_session(sys, j);
	if (j->is_told && j->step == DIRTY_RATE_DONE)
		job_ask_around(sys, j);
	if (!process_is_alive(sys, j->process))
		j->err = -ESRCH;
}
