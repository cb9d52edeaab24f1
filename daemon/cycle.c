/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One VM's cycle: survey, look, count, decide, act, verify, again. Theory of operation in guest.h;
 * decisions are lib/core's, effects are jobs. This file and the two halves, looking.c and acting.c,
 * only move values between the two. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "cycle.h"
#include "diagnose.h"
#include "hostfacts.h"
#include "log.h"

/* Looks of one VM take at most this share of a CPU, so that a large VM that changes all the time
 * costs no more. */
#define LOOK_DUTY 100
/* Plans in a row that changed nothing, after which a cycle ends: the kernel refuses, or the guest
 * changes its memory faster than it can be confirmed. */
#define VAIN_ROUNDS_MAX 2
/* A plan is made anew after so many actions, with what was learned. */
#define ACTIONS_AT_ONCE 64

void cycle_submit(struct manager *m, struct guest *g, struct job *j)
{
	g->jobs_in_flight++;
	executor_submit(m->executor, j);
}

struct job *cycle_new_job(struct manager *m, struct guest *g, enum job_kind kind)
{
	struct job *j = job_new(kind, g->id, &g->process);

	if (!j)
		return NULL;
	j->look = (struct look){
		.sys = m->sys,
		.process = &g->process,
		.geometry = m->geometry,
		.features = m->host.features,
		.want_nodes = guest_has_nodes(g, &m->host),
	};
	j->want_migrations = m->host.is_numa_balancing;
	return j;
}

/* ---- the end of a cycle ---------------------------------------------------------------- */

static void rediagnose(struct manager *m, struct guest *g)
{
	struct diagnosis d = DIAGNOSIS_INIT;
	uint64_t now_ns = manager_now_ns(m);

	g->snapshot.host = m->host;
	g->snapshot.taken_ns = now_ns;
	g->snapshot.populate_held = populate_held(&g->populate, &g->snapshot, now_ns);
	if (g->snapshot.populate_held == REASON_NONE)
		g->snapshot.populate_held = g->populating_held;
	if (ledger_export(&g->ledger, &g->snapshot) < 0 || diagnose(&g->snapshot, now_ns, &d) < 0) {
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while judging");
		diagnosis_clear(&d);
		return;
	}
	diagnosis_clear(&g->diagnosis);
	g->diagnosis = d;
	placing_judge(m, g);
}

static void log_cycle(const struct guest *g)
{
	const struct totals *t = &g->diagnosis.totals;
	const struct last_action *a = &g->last_action;

	if (!g->has_acted)
		return;
	log_result(LOG_INFO, g->snapshot.vm.name, effect_name(a->effect),
		   "%s: %+lld MiB huge, %llu MiB moved to another node by %llu actions, %llu of "
		   "%llu MiB resident are huge, worst call %llu us, cycle %llu ms",
		   effect_name(a->effect), (long long)(a->huge_bytes_delta / (1 << 20)),
		   (unsigned long long)(a->placed_bytes >> 20), (unsigned long long)a->actions,
		   (unsigned long long)(t->huge_bytes >> 20),
		   (unsigned long long)(t->resident_bytes >> 20),
		   (unsigned long long)(a->worst_call_ns / 1000),
		   (unsigned long long)(a->cycle_ns / 1000000));
}

void cycle_finish(struct manager *m, struct guest *g)
{
	uint64_t now_ns = manager_now_ns(m);

	g->phase = PHASE_IDLE;
	g->cycles++;
	g->looked_ns = now_ns;
	if (g->cycles >= g->populate_ticket)
		g->populate.wish = POPULATE_WISH_NONE;
	g->not_before_ns = max_u64(g->not_before_ns, now_ns + g->look_cpu_ns * LOOK_DUTY);
	m->counters.cycles++;
	log_cycle(g);
}

void cycle_end(struct manager *m, struct guest *g)
{
	rediagnose(m, g);
	if (nudging_start(m, g))
		g->phase = PHASE_NUDGE;
	else
		cycle_finish(m, g);
}

/* ---- deciding -------------------------------------------------------------------------- */

/* Populating costs what a copy costs. */
static bool has_copies(const struct totals *t)
{
	return t->by_state[BLOCK_COPYABLE] > 0 || t->by_reason[REASON_FOLIO_UNKNOWN] > 0 ||
	       t->by_reason[REASON_TO_POPULATE] > 0;
}

static uint64_t copy_allowance(struct manager *m, struct guest *g, struct allowance *ret)
{
	uint64_t now_ns = manager_now_ns(m);

	*ret = (struct allowance){.retry_ns = UINT64_MAX};
	if (!has_copies(&g->diagnosis.totals))
		return 0;
	(void)host_read_memory(m->sys, &m->geometry, &m->host);
	return governor_copy_allowance(&m->governor, &m->host, now_ns, &ret->reason,
				       &ret->retry_ns);
}

/* It needs what copies need, and room on its node besides. */
static void limit_populating(struct manager *m, struct guest *g, const struct allowance *copies,
			     struct plan_limits *limits, struct allowance *ret)
{
	struct home home;

	*ret = (struct allowance){.retry_ns = 0};
	if (g->diagnosis.totals.by_reason[REASON_TO_POPULATE] == 0 || copies->reason != REASON_NONE)
		return;
	home = home_of(&g->snapshot);
	limits->populate_nodes = landing_nodes(&g->snapshot, &home, &m->host);
	limits->populate_allowance_bytes =
		governor_populate_allowance(&m->governor, &m->host, limits->populate_nodes,
					    manager_now_ns(m), &ret->reason, &ret->retry_ns);
}

static void log_plan(const struct guest *g)
{
	const struct plan *p = &g->plan;

	log_vm(LOG_INFO, g->snapshot.vm.name,
	       "would remap %llu MiB, move %llu MiB, populate %llu MiB and copy %llu MiB (dry "
	       "run); %llu of %llu MiB "
	       "resident are huge",
	       (unsigned long long)(p->remap_bytes >> 20),
	       (unsigned long long)((p->place_bytes + p->deferred_place_bytes) >> 20),
	       (unsigned long long)((p->populate_bytes + p->deferred_populate_bytes) >> 20),
	       (unsigned long long)((p->copy_bytes + p->deferred_copy_bytes) >> 20),
	       (unsigned long long)(g->diagnosis.totals.huge_bytes >> 20),
	       (unsigned long long)(g->diagnosis.totals.resident_bytes >> 20));
}

/* What the governor said of each kind. */
struct allowances {
	struct allowance copies, places, populates;
};

static void take_earlier(struct allowance *earliest, bool is_put_off, const struct allowance *a)
{
	if (is_put_off && a->retry_ns < earliest->retry_ns)
		*earliest = *a;
}

/* What is put off until the governor allows it again: that which it will first. */
static struct allowance put_off(const struct guest *g, const struct allowances *a)
{
	struct allowance earliest = {.retry_ns = UINT64_MAX};
	bool is_room_last = a->populates.retry_ns > a->copies.retry_ns;

	take_earlier(&earliest, g->plan.deferred_place_bytes > 0 || a->places.reason != REASON_NONE,
		     &a->places);
	take_earlier(&earliest, g->plan.deferred_copy_bytes > 0, &a->copies);
	take_earlier(&earliest, g->plan.deferred_populate_bytes > 0,
		     is_room_last ? &a->populates : &a->copies);
	return earliest;
}

/* For the bucket to fill within the cycle; for free memory, which may take long, with the next one.
 */
static void wait_for_budget(struct manager *m, struct guest *g, const struct allowance *a)
{
	g->retry_ns = max_u64(a->retry_ns, manager_now_ns(m) + 1);
	if (a->reason == REASON_NONE) {
		g->phase = PHASE_WAIT;
	} else {
		cycle_end(m, g);
		g->is_due = true;
		g->not_before_ns = max_u64(g->not_before_ns, g->retry_ns);
	}
	manager_wake_at(m, g->retry_ns);
}

/* Every decision about this VM is made here, from values only; the rest carries it out.
 */
static void decide(struct manager *m, struct guest *g)
{
	struct plan_limits limits = {
		.first_id = m->next_action_id,
		/* A dry run tells the whole plan. */
		.max_actions = m->options.is_dry_run ? 0 : ACTIONS_AT_ONCE,
	};
	struct plan plan = PLAN_INIT;
	struct allowances allowed;
	struct allowance later;

	g->populating_held = REASON_NONE;
	rediagnose(m, g);
	if (g->diagnosis.n_wants > 0 && !g->is_counted) {
		looking_count(m, g);
		return;
	}
	g->is_counted = false;
	limits.copy_allowance_bytes = copy_allowance(m, g, &allowed.copies);
	limit_populating(m, g, &allowed.copies, &limits, &allowed.populates);
	placing_limit(m, g, &limits, &allowed.places);
	g->snapshot.copies_held = allowed.copies.reason;
	g->populating_held = allowed.populates.reason;
	if (plan_make(&g->snapshot, &g->diagnosis, &limits, &plan) < 0) {
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while planning");
		cycle_end(m, g);
		return;
	}
	plan_clear(&g->plan);
	g->plan = plan;
	g->plan_next = 0;
	later = put_off(g, &allowed);
	if (m->options.is_dry_run)
		log_plan(g);
	if (m->options.is_dry_run || g->vain_rounds >= VAIN_ROUNDS_MAX)
		cycle_end(m, g);
	else if (plan.n_actions > 0)
		acting_start(m, g);
	else if (!m->options.is_once && later.retry_ns != UINT64_MAX)
		wait_for_budget(m, g, &later);
	else
		cycle_end(m, g);
}

/* A move that keeps to its budget may take hours, all within one cycle. */
void cycle_decide(struct manager *m, struct guest *g)
{
	struct job *j = placing_must_ask(m, g) ? cycle_new_job(m, g, JOB_SIGNS) : NULL;

	if (!j) {
		decide(m, g);
		return;
	}
	g->phase = PHASE_SIGNS;
	j->want_vcpus = true;
	cycle_submit(m, g, j);
}

void cycle_resume(struct manager *m, struct guest *g)
{
	g->vain_rounds = 0;
	cycle_decide(m, g);
}

/* ---- results --------------------------------------------------------------------------- */

static int take_sights(struct manager *m, struct guest *g, struct job *j)
{
	if (j->kind == JOB_LOOK)
		return sight_list_replace(&g->news, &g->n_news, j->start, j->end, j->sights,
					  j->n_sights, &m->geometry);
	return sight_list_replace(&g->snapshot.sights, &g->snapshot.n_sights, j->start, j->end,
				  j->sights, j->n_sights, &m->geometry);
}

static void take_one(struct manager *m, struct guest *g, struct job *j)
{
	int r = 0;

	m->counters.look_cpu_ns += j->kind == JOB_ACT ? 0 : j->cpu_ns;
	g->look_cpu_ns += j->kind == JOB_ACT ? 0 : j->cpu_ns;
	switch (j->kind) {
	case JOB_SIGNS:
	case JOB_SURVEY:
	case JOB_MEASURE:
		break;
	case JOB_LOOK:
	case JOB_COUNT:
		r = take_sights(m, g, j);
		break;
	case JOB_EDGES:
		if (j->region < g->snapshot.n_regions)
			g->snapshot.regions[j->region].edge_present_pages = j->edge_pages;
		break;
	case JOB_ACT:
		r = acting_take(m, g, j);
		break;
	}
	if (r < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while taking a look's result");
}

/* Starts what can be started; the last job of a phase leads to the next one. */
static void advance(struct manager *m, struct guest *g, struct job *j)
{
	switch (g->phase) {
	case PHASE_SURVEY:
		looking_take_survey(m, g, j);
		break;
	case PHASE_LOOK:
		looking_go_on(m, g);
		break;
	case PHASE_COUNT:
		looking_go_on_counting(m, g);
		break;
	case PHASE_ACT:
		acting_go_on(m, g);
		if (g->jobs_in_flight == 0)
			cycle_decide(m, g);
		break;
	case PHASE_IDLE:
	case PHASE_WAIT:
	case PHASE_SIGNS:
	case PHASE_NUDGE:
		break;
	}
}

/* ---- signs, between cycles and in a move ------------------------------------------------ */

void cycle_read_signs(struct manager *m, struct guest *g)
{
	struct job *j = cycle_new_job(m, g, JOB_SIGNS);

	if (!j)
		return;
	/* Where nothing moves anyway, the next survey will do. */
	j->want_vcpus = guest_has_nodes(g, &m->host) && guest_may_move(g) &&
			manager_now_ns(m) >= g->vcpus_not_before_ns;
	if (guest_wants_counts_between(g, manager_now_ns(m)) && !hearing_ask_counts(m, g))
		guest_ask_counts(g, j, manager_now_ns(m));
	cycle_submit(m, g, j);
}

static void take_signs(struct manager *m, struct guest *g, struct job *j)
{
	uint64_t now_ns = manager_now_ns(m);

	/* A VMM has as many threads as it likes. */
	g->vcpus_not_before_ns = now_ns + j->cpu_ns * LOOK_DUTY;
	m->counters.look_cpu_ns += j->cpu_ns;
	if (j->err == 0 && j->pulse.minor_faults != g->pulse.minor_faults)
		g->is_due = true;
	if (j->err == 0)
		g->pulse.minor_faults = j->pulse.minor_faults;
	if (j->err == 0)
		looking_take_counts(m, g, j);
	if (j->err == 0 && j->want_vcpus) {
		guest_take_vcpus(g, &j->vcpus, j->n_vcpus, now_ns);
		placing_judge(m, g);
		/* The home has been the same for long enough, or a move was left: a cycle is worth
		 * it. */
		g->is_due |= g->mover.target != 0 ||
			     mover_may_begin(&g->mover, &g->snapshot, &g->whereabouts, now_ns);
	}
	if (g->phase == PHASE_SIGNS)
		decide(m, g);
	else if (g->is_due)
		manager_wake_at(m, g->not_before_ns);
}

/* ---- a VM that hangs ------------------------------------------------------------------- */

void cycle_give_up(struct manager *m, struct guest *g)
{
	g->is_stuck = true;
	measuring_give_up(m, g);
	acting_abandon(m, g);
	executor_cancel(m->executor, g->id);
}

void cycle_pause(struct manager *m, struct guest *g)
{
	if (g->phase == PHASE_ACT)
		acting_abandon(m, g);
	if (g->phase == PHASE_ACT || g->nudging == NUDGING_TELLING)
		executor_cancel(m->executor, g->id);
}

/* What comes back late tells of a time long past. */
static void take_late(struct manager *m, struct guest *g)
{
	if (g->jobs_in_flight > 0)
		return;
	log_vm(LOG_NOTICE, g->snapshot.vm.name, "lets itself be read again");
	g->is_stuck = false;
	cycle_end(m, g);
	g->is_due = true;
}

void cycle_take_result(struct manager *m, struct guest *g, struct job *j)
{
	g->jobs_in_flight--;
	if (g->is_doomed || j->err == -ESRCH) {
		acting_settle(m, g, j);
		acting_abandon(m, g);
		manager_drop_guest(m, g, "process gone");
		return;
	}
	if (g->is_stuck) {
		acting_settle(m, g, j);
		take_late(m, g);
		return;
	}
	if (j->kind == JOB_SIGNS) {
		take_signs(m, g, j);
		return;
	}
	if (j->kind == JOB_MEASURE) {
		measuring_take(m, g, j);
		return;
	}
	if (j->err < 0 && j->kind == JOB_SURVEY) {
		log_vm(LOG_WARNING, g->snapshot.vm.name, "cannot read its mappings: %s",
		       strerror(-j->err));
		cycle_end(m, g);
		looking_report_no_right(m, g);
		return;
	}
	take_one(m, g, j);
	advance(m, g, j);
}
