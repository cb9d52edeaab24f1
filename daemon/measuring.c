/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The nudge of a VM without the library, by its QEMU: it is told to measure its guest's dirty rate,
 * which switches a dirty log on and, a second later, off again. Whether is lib/core/nudge.h's and
 * nudge_qemu.h's. The steps are jobs (measure.c), since a monitor may keep everybody waiting: one
 * that tells QEMU, then one a second that asks whether it is done, for a minute at most. QEMU comes
 * to its end by itself, whether thpd asks or not. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cycle.h"
#include "job.h"
#include "kvm_view.h"
#include "log.h"

#define NS_PER_S     UINT64_C(1000000000)
#define ASK_EVERY_NS NS_PER_S
/* One of a terabyte protects its memory for many seconds, and does not answer meanwhile. */
#define PATIENCE_NS (60 * NS_PER_S)

static bool submit(struct manager *m, struct guest *g, bool is_told)
{
	struct job *j = cycle_new_job(m, g, JOB_MEASURE);

	if (!j)
		return false;
	guest_ask_counts(g, j, manager_now_ns(m));
	j->is_told = is_told;
	j->is_wished = g->nudge.is_wished;
	cycle_submit(m, g, j);
	return true;
}

/* Each takes all memory of a VM apart: on evidence they do so one after the other. */
static bool is_anybody_measured(const struct manager *m)
{
	for (const struct guest *g = m->guests; g; g = g->next)
		if (guest_is_measured(g))
			return true;
	return false;
}

bool measuring_start(struct manager *m, struct guest *g)
{
	if (!g->nudge.is_wished && is_anybody_measured(m))
		return false;
	if (!submit(m, g, false))
		return false;
	g->nudging = NUDGING_TELLING;
	return true;
}

static void ask_again(struct manager *m, struct guest *g)
{
	g->measure_due_ns = manager_now_ns(m) + ASK_EVERY_NS;
	manager_wake_at(m, g->measure_due_ns);
}

void measuring_tend(struct manager *m, struct guest *g)
{
	if (g->nudging != NUDGING_MEASURING || g->jobs_in_flight > 0)
		return;
	if (manager_now_ns(m) < g->measure_due_ns)
		manager_wake_at(m, g->measure_due_ns);
	else if (!submit(m, g, true))
		ask_again(m, g);
}

/* ---- what came of it ------------------------------------------------------------------------ */

static void log_end(const struct guest *g, const char *why)
{
	const struct last_nudge *l = &g->last_nudge;
	const char *result = dirty_rate_step_name(l->step);
	bool is_well = l->step == DIRTY_RATE_DONE;

	log_result(is_well ? LOG_INFO : LOG_WARNING, g->snapshot.vm.name, result,
		   "nudge by QEMU's measuring of its dirty rate: %s%s%s, %llu ms", result,
		   why ? ": " : "", why ? why : "", (unsigned long long)(l->took_ns / 1000000));
}

static void note_end(struct guest *g, enum dirty_rate_step step, int err, uint64_t took_ns)
{
	g->last_nudge = (struct last_nudge){
		.is_set = true,
		.means = NUDGE_BY_DIRTY_RATE,
		.step = step,
		.err = err,
		.took_ns = took_ns,
	};
	if (step != DIRTY_RATE_DONE)
		g->nudge.awaits_verdict = false;
}

static void end(struct manager *m, struct guest *g, enum dirty_rate_step step, int err,
		const char *why, bool was_wished)
{
	note_end(g, step, err, manager_now_ns(m) - g->measuring_ns);
	log_end(g, why);
	nudging_end(m, g, was_wished);
}

/* ---- QEMU was to be told -------------------------------------------------------------------- */

static void note_told(struct manager *m, struct guest *g, const struct job *j)
{
	struct kvm_view before = nudging_view(g);
	bool is_wished_since = g->nudge.is_wished && !j->is_wished;

	m->counters.nudges++;
	g->measuring_ns = manager_now_ns(m);
	nudge_note(&g->nudge, &before, g->measuring_ns);
	g->nudge.is_wished = is_wished_since;
	guest_forget_counts(g);
}

static void take_refusal(struct manager *m, struct guest *g, const struct job *j)
{
	nudge_put_off(&g->nudge, true, manager_now_ns(m));
	g->measuring_ns = manager_now_ns(m);
	note_end(g, DIRTY_RATE_REFUSED, 0, 0);
	(void)snprintf(g->last_nudge.refusal, sizeof(g->last_nudge.refusal), "%s", j->refusal);
	log_end(g, j->refusal);
	nudging_end(m, g, j->is_wished);
}

static void take_held(struct manager *m, struct guest *g, const struct job *j)
{
	nudging_refuse(g, j->held, j->is_wished);
	nudge_put_off(&g->nudge, false, manager_now_ns(m));
	nudging_end(m, g, j->is_wished);
}

static void take_failure(struct manager *m, struct guest *g, const struct job *j)
{
	g->measuring_ns = manager_now_ns(m);
	if (j->may_be_told)
		note_told(m, g, j);
	else
		nudge_put_off(&g->nudge, false, g->measuring_ns);
	end(m, g, DIRTY_RATE_FAILED, j->step_err, j->step_why, j->is_wished);
}

static void take_told(struct manager *m, struct guest *g, const struct job *j)
{
	looking_take_counts(m, g, j);
	switch (j->step) {
	case DIRTY_RATE_MEASURING:
		note_told(m, g, j);
		g->nudging = NUDGING_MEASURING;
		ask_again(m, g);
		break;
	case DIRTY_RATE_REFUSED:
		take_refusal(m, g, j);
		break;
	case DIRTY_RATE_HELD:
		take_held(m, g, j);
		break;
	case DIRTY_RATE_NONE:
	case DIRTY_RATE_FAILED:
	case DIRTY_RATE_DONE:
	case DIRTY_RATE_STOPPED:
	case DIRTY_RATE_STEP_MAX:
		take_failure(m, g, j);
		break;
	}
}

/* ---- it was asked --------------------------------------------------------------------------- */

/* One that does not answer may be at work. */
static bool may_go_on(const struct manager *m, const struct guest *g, const struct job *j)
{
	return (j->step == DIRTY_RATE_MEASURING || j->step_err < 0) &&
	       manager_now_ns(m) < g->measuring_ns + PATIENCE_NS;
}

static void take_polled(struct manager *m, struct guest *g, const struct job *j)
{
	if (may_go_on(m, g, j)) {
		ask_again(m, g);
		return;
	}
	if (j->step == DIRTY_RATE_DONE) {
		looking_take_counts(m, g, j);
		end(m, g, DIRTY_RATE_DONE, 0, NULL, false);
	} else if (j->step == DIRTY_RATE_STOPPED) {
		end(m, g, DIRTY_RATE_STOPPED, 0,
		    "the guest was stopped meanwhile, and its memory is logged until it runs",
		    false);
	} else if (j->step == DIRTY_RATE_MEASURING || j->step_err < 0) {
		end(m, g, DIRTY_RATE_FAILED, -ETIMEDOUT, "nobody knows whether it is done", false);
	} else {
		end(m, g, DIRTY_RATE_FAILED, 0,
		    j->step_why ? j->step_why : "QEMU knows nothing of it any more", false);
	}
}

/* It was to be told, and was paused, or has another policy, before that began. */
static void take_canceled(struct manager *m, struct guest *g, const struct job *j)
{
	if (j->is_wished)
		nudging_refuse(g, g->snapshot.policy.is_paused ? REASON_PAUSED : REASON_POLICY_OFF,
			       true);
	nudging_end(m, g, j->is_wished);
}

void measuring_take(struct manager *m, struct guest *g, const struct job *j)
{
	if (j->err == -ECANCELED && !j->is_told)
		take_canceled(m, g, j);
	else if (j->is_told)
		take_polled(m, g, j);
	else
		take_told(m, g, j);
}

/* It may have told QEMU, and hangs on something else. */
void measuring_give_up(struct manager *m, struct guest *g)
{
	if (!guest_is_measured(g))
		return;
	g->nudge.is_wished = false;
	nudge_put_off(&g->nudge, true, manager_now_ns(m));
	note_end(g, DIRTY_RATE_FAILED, -ETIMEDOUT, 0);
	g->nudging = NUDGING_NONE;
}
