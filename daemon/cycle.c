/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One VM's cycle: survey, look, count, decide, act, verify, again. Theory of operation in guest.h;
 * decisions are lib/core's, effects are jobs. This file only moves values between the two. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "diagnose.h"
#include "hostfacts.h"
#include "log.h"
#include "state.h"
#include "verify.h"

/* A job's share of a look: large enough that its overhead is nothing, small enough that workers
 * share a guest. */
#define LOOK_CHUNK_BYTES (UINT64_C(512) << 20)
/* Looks of one VM take at most this share of a CPU, so that a large VM that changes all the time
 * costs no more. */
#define LOOK_DUTY 100
/* A remap planned on a look older than this is confirmed by another one. */
#define LOOK_FRESH_NS (UINT64_C(500) * 1000 * 1000)
/* Plans in a row that changed nothing, after which a cycle ends: the kernel refuses, or the guest
 * changes its memory faster than it can be confirmed. */
#define VAIN_ROUNDS_MAX 2
/* A plan is made anew after so many actions, with what was learned. */
#define ACTIONS_AT_ONCE 64

static void decide(struct manager *m, struct guest *g);
static void start_count(struct manager *m, struct guest *g);

static void submit(struct manager *m, struct guest *g, struct job *j)
{
	g->jobs_in_flight++;
	executor_submit(m->executor, j);
}

static struct job *new_job(struct manager *m, struct guest *g, enum job_kind kind)
{
	struct job *j = job_new(kind, g->id, &g->process);

	if (!j)
		return NULL;
	j->look = (struct look){
		.sys = m->sys,
		.process = &g->process,
		.geometry = m->geometry,
		.features = m->host.features,
	};
	return j;
}

/* Copied pages inside a file mapping are looked for only where there can be some: it costs. */
static bool may_hold_copies(const struct region *r)
{
	return r->backing != BACKING_ANON && !r->is_shared;
}

/* ---- the end of a cycle ---------------------------------------------------------------- */

static void rediagnose(struct manager *m, struct guest *g)
{
	struct diagnosis d = DIAGNOSIS_INIT;
	uint64_t now_ns = manager_now_ns(m);

	g->snapshot.host = m->host;
	g->snapshot.taken_ns = now_ns;
	if (ledger_export(&g->ledger, &g->snapshot) < 0 || diagnose(&g->snapshot, now_ns, &d) < 0) {
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while judging");
		diagnosis_clear(&d);
		return;
	}
	diagnosis_clear(&g->diagnosis);
	g->diagnosis = d;
}

static void log_cycle(const struct guest *g)
{
	const struct totals *t = &g->diagnosis.totals;
	const struct last_action *a = &g->last_action;

	if (!g->has_acted)
		return;
	log_vm(LOG_INFO, g->snapshot.vm.name,
	       "%s: %+lld MiB huge by %llu actions, %llu of %llu MiB resident are huge, "
	       "worst call %llu us, cycle %llu ms",
	       effect_name(a->effect), (long long)(a->huge_bytes_delta / (1 << 20)),
	       (unsigned long long)a->actions, (unsigned long long)(t->huge_bytes >> 20),
	       (unsigned long long)(t->resident_bytes >> 20),
	       (unsigned long long)(a->worst_call_ns / 1000),
	       (unsigned long long)(a->cycle_ns / 1000000));
}

static void end_cycle(struct manager *m, struct guest *g)
{
	uint64_t now_ns = manager_now_ns(m);

	rediagnose(m, g);
	g->phase = PHASE_IDLE;
	g->cycles++;
	g->looked_ns = now_ns;
	g->not_before_ns = now_ns + g->look_cpu_ns * LOOK_DUTY;
	m->counters.cycles++;
	log_cycle(g);
}

/* ---- acting ---------------------------------------------------------------------------- */

static void count_gain(struct counters *c, const struct action *a, int64_t huge_bytes)
{
	if (a->is_folio_unknown) {
		c->collapse_calls++;
		c->collapsed_bytes += (uint64_t)huge_bytes;
	} else if (a->kind == ACTION_REMAP) {
		c->remap_calls++;
		c->remapped_bytes += (uint64_t)huge_bytes;
	} else {
		c->copy_calls++;
		c->copied_bytes += (uint64_t)huge_bytes;
	}
}

static void note_outcome(struct manager *m, struct guest *g, const struct job *j,
			 const struct verdict *v)
{
	struct last_action *l = &g->last_action;

	if (!g->has_acted)
		*l = (struct last_action){.is_set = true};
	g->has_acted = true;
	l->action = j->action;
	l->actions++;
	l->bytes += j->action.target.bytes;
	l->huge_bytes_delta += v->huge_bytes_delta;
	l->worst_call_ns = max_u64(l->worst_call_ns, j->outcome.worst_call_ns);
	if (j->outcome.err)
		l->err = j->outcome.err;
	if (v->reason != REASON_NONE)
		l->reason = v->reason;
	if (l->huge_bytes_delta <= 0)
		l->effect = v->effect;
	else
		l->effect =
			(uint64_t)l->huge_bytes_delta >= l->bytes ? EFFECT_DONE : EFFECT_PARTIAL;
	l->cycle_ns = sat_sub_u64(manager_now_ns(m), g->cycle_began_ns);
	l->ended_realtime_us = manager_realtime_us();

	count_gain(&m->counters, &j->action, v->huge_bytes_delta > 0 ? v->huge_bytes_delta : 0);
	m->counters.refilled_bytes += v->refilled_bytes;
	m->counters.failed_calls += j->outcome.err != 0 && j->outcome.err != ECANCELED;
	m->counters.canceled_actions += j->outcome.err == ECANCELED;
	m->counters.worst_call_ns = max_u64(m->counters.worst_call_ns, j->outcome.worst_call_ns);
}

/* What the snapshot knew of the action's range before the call. */
static int slice_before(const struct manager *m, const struct guest *g, struct job *j)
{
	if (j->n_before > 0)
		return 0;
	return sight_list_slice(g->snapshot.sights, g->snapshot.n_sights, j->start, j->end,
				&j->before, &j->n_before, &m->geometry);
}

static int learn(struct manager *m, struct guest *g, struct job *j)
{
	struct snapshot *s = &g->snapshot;
	const struct sight *seen = j->sights;
	size_t n_seen = j->n_sights;
	struct verdict v;
	int r;

	r = slice_before(m, g, j);
	if (r < 0)
		return r;
	if (j->outcome.err == ECANCELED && j->n_before > 0) {
		/* Nothing was called; what the confirming look counted is the best knowledge there
		 * is. */
		seen = j->before;
		n_seen = j->n_before;
	}
	v = verify_action(&j->action, &j->outcome, j->before, j->n_before, seen, n_seen,
			  &m->geometry);
	note_outcome(m, g, j, &v);
	if (v.huge_bytes_delta > 0)
		g->vain_rounds = 0;
	if (j->outcome.err != ECANCELED)
		r = ledger_learn(&g->ledger, &j->action, &j->outcome, j->sights, j->n_sights,
				 &m->geometry, manager_now_ns(m));
	if (r < 0)
		return r;
	return sight_list_replace(&s->sights, &s->n_sights, j->start, j->end, seen, n_seen,
				  &m->geometry);
}

static bool may_hand_out(const struct manager *m, const struct guest *g, enum action_kind kind)
{
	/* One copy at a time per VM: anonymous copies hold its mmap lock, and other VMs can use the
	 * other workers. */
	if (kind == ACTION_COPY)
		return g->in_flight[ACTION_COPY] == 0;
	return g->in_flight[ACTION_REMAP] < 2 * executor_workers(m->executor);
}

static struct job *new_act(struct manager *m, struct guest *g, const struct action *a)
{
	const struct region *region = snapshot_find_region(&g->snapshot, a->target.start);
	struct job *j = new_job(m, g, JOB_ACT);

	if (!j)
		return NULL;
	j->action = *a;
	j->start = a->target.start;
	j->end = a->target.start + a->target.bytes;
	j->look.is_file = region && may_hold_copies(region);
	if (region && !(m->host.features & FEATURE_PAGEMAP_SCAN)) {
		j->wide_start = region_first_block(region, &m->geometry);
		j->wide_end = region_last_block(region, &m->geometry);
	}
	j->min_populated_bp = g->snapshot.policy.min_populated_bp;
	j->must_confirm =
		a->kind == ACTION_COPY || manager_now_ns(m) > g->looked_ns + LOOK_FRESH_NS;
	return j;
}

static void hand_out(struct manager *m, struct guest *g)
{
	while (g->plan_next < g->plan.n_actions &&
	       may_hand_out(m, g, g->plan.actions[g->plan_next].kind)) {
		const struct action *a = &g->plan.actions[g->plan_next];
		struct job *j = new_act(m, g, a);

		if (!j)
			return;
		g->plan_next++;
		g->in_flight[a->kind]++;
		submit(m, g, j);
	}
}

/* Gives back what was granted to actions that will not be done. */
static void abandon_plan(struct manager *m, struct guest *g)
{
	for (; g->plan_next < g->plan.n_actions; g->plan_next++) {
		struct outcome o = {.action = g->plan.actions[g->plan_next].id, .err = ECANCELED};

		governor_settle(&m->governor, &g->plan.actions[g->plan_next], &o,
				manager_now_ns(m));
	}
}

static void start_plan(struct manager *m, struct guest *g)
{
	for (size_t i = 0; i < g->plan.n_actions; i++)
		governor_spend(&m->governor, &g->plan.actions[i]);
	m->next_action_id += (uint32_t)g->plan.n_actions;
	g->plan_next = 0;
	g->phase = PHASE_ACT;
	g->vain_rounds++;
	hand_out(m, g);
}

static bool has_copies(const struct totals *t)
{
	return t->by_state[BLOCK_COPYABLE] > 0 || t->by_reason[REASON_FOLIO_UNKNOWN] > 0;
}

static uint64_t copy_allowance(struct manager *m, struct guest *g, enum reason *ret_reason)
{
	uint64_t now_ns = manager_now_ns(m), bytes;

	g->retry_ns = 0;
	*ret_reason = REASON_NONE;
	if (!has_copies(&g->diagnosis.totals))
		return 0;
	(void)host_read_memory(m->sys, &m->geometry, &m->host);
	bytes = governor_copy_allowance(&m->governor, &m->host, now_ns, ret_reason, &g->retry_ns);
	if (g->retry_ns == 0)
		g->retry_ns = now_ns + m->config.interval_ns;
	return bytes;
}

static void log_plan(const struct guest *g)
{
	const struct plan *p = &g->plan;

	log_vm(LOG_INFO, g->snapshot.vm.name,
	       "would remap %llu MiB and copy %llu MiB (dry run); %llu of %llu MiB resident are "
	       "huge",
	       (unsigned long long)(p->remap_bytes >> 20),
	       (unsigned long long)((p->copy_bytes + p->deferred_copy_bytes) >> 20),
	       (unsigned long long)(g->diagnosis.totals.huge_bytes >> 20),
	       (unsigned long long)(g->diagnosis.totals.resident_bytes >> 20));
}

/* For the bucket to fill within the cycle; for free memory, which may take long, with the next one.
 */
static void wait_for_budget(struct manager *m, struct guest *g, enum reason reason)
{
	if (reason == REASON_NONE) {
		g->phase = PHASE_WAIT;
	} else {
		end_cycle(m, g);
		g->is_due = true;
		g->not_before_ns = max_u64(g->not_before_ns, g->retry_ns);
	}
	manager_wake_at(m, g->retry_ns);
}

/* Every decision about this VM is made here, from values only; the rest of the file carries it out.
 */
static void decide(struct manager *m, struct guest *g)
{
	struct plan_limits limits = {
		.first_id = m->next_action_id,
		/* A dry run tells the whole plan. */
		.max_actions = m->options.is_dry_run ? 0 : ACTIONS_AT_ONCE,
	};
	struct plan plan = PLAN_INIT;
	enum reason reason;

	rediagnose(m, g);
	if (g->diagnosis.n_wants > 0 && !g->is_counted) {
		start_count(m, g);
		return;
	}
	g->is_counted = false;
	limits.copy_allowance_bytes = copy_allowance(m, g, &reason);
	g->snapshot.copies_held = reason;
	if (plan_make(&g->snapshot, &g->diagnosis, &limits, &plan) < 0) {
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while planning");
		end_cycle(m, g);
		return;
	}
	plan_clear(&g->plan);
	g->plan = plan;
	g->plan_next = 0;
	if (m->options.is_dry_run)
		log_plan(g);
	if (m->options.is_dry_run || g->vain_rounds >= VAIN_ROUNDS_MAX)
		end_cycle(m, g);
	else if (plan.n_actions > 0)
		start_plan(m, g);
	else if (plan.deferred_copy_bytes > 0 && !m->options.is_once && g->retry_ns != UINT64_MAX)
		wait_for_budget(m, g, reason);
	else
		end_cycle(m, g);
}

void cycle_resume(struct manager *m, struct guest *g)
{
	g->vain_rounds = 0;
	decide(m, g);
}

/* ---- counting -------------------------------------------------------------------------- */

static void submit_counts(struct manager *m, struct guest *g)
{
	while (g->next_want < g->diagnosis.n_wants &&
	       g->jobs_in_flight < 4 * executor_workers(m->executor)) {
		const struct want *w = &g->diagnosis.wants[g->next_want];
		const struct region *region = snapshot_find_region(&g->snapshot, w->start);
		hva_t start = max_u64(w->start, g->next_address);
		hva_t end = min_u64(w->end, align_down(start, block_bytes(&m->geometry)) +
						    LOOK_CHUNK_BYTES);
		struct job *j = new_job(m, g, JOB_COUNT);

		if (!j)
			return;
		j->start = start;
		j->end = end;
		j->look.is_file = region && may_hold_copies(region);
		g->next_address = end;
		if (end >= w->end)
			g->next_want++;
		m->counters.counted_bytes += end - start;
		submit(m, g, j);
	}
}

static void finish_count(struct manager *m, struct guest *g)
{
	g->looked_ns = manager_now_ns(m);
	if (g->diagnosis.n_wants > 0 && ledger_observe(&g->ledger, &g->snapshot, g->looked_ns) < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while comparing looks");
	g->is_counted = true; /* what could not be counted is not asked for again */
	decide(m, g);
}

static void start_count(struct manager *m, struct guest *g)
{
	g->phase = PHASE_COUNT;
	g->next_want = 0;
	g->next_address = 0;
	submit_counts(m, g);
	if (g->jobs_in_flight == 0)
		finish_count(m, g);
}

/* ---- looking --------------------------------------------------------------------------- */

/* Memory whose page table is worth a look: what could be collapsed, and what shall be reported with
 * its coverage. */
static bool is_lookable(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FSDAX || r->backing == BACKING_FILE;
}

/* Without PAGEMAP_SCAN a region is looked at as a whole: see lib/kernel/look_old.c. */
static uint64_t look_chunk_bytes(const struct manager *m)
{
	return m->host.features & FEATURE_PAGEMAP_SCAN ? LOOK_CHUNK_BYTES : UINT64_MAX / 4;
}

static void submit_edges(struct manager *m, struct guest *g)
{
	for (uint32_t i = 0; i < g->snapshot.n_regions; i++) {
		const struct region *r = &g->snapshot.regions[i];
		struct job *j;

		if (!is_lookable(r) || (is_aligned(r->start, block_bytes(&m->geometry)) &&
					is_aligned(r->end, block_bytes(&m->geometry))))
			continue;
		j = new_job(m, g, JOB_EDGES);
		if (!j)
			return;
		j->start = r->start;
		j->end = r->end;
		j->region = i;
		submit(m, g, j);
	}
}

static void submit_looks(struct manager *m, struct guest *g)
{
	const struct snapshot *s = &g->snapshot;

	while (g->next_region < s->n_regions &&
	       g->jobs_in_flight < 4 * executor_workers(m->executor)) {
		const struct region *r = &s->regions[g->next_region];
		hva_t start = max_u64(region_first_block(r, &m->geometry), g->next_address);
		hva_t end =
			min_u64(region_last_block(r, &m->geometry), start + look_chunk_bytes(m));
		struct job *j;

		if (!is_lookable(r) || start >= end) {
			g->next_region++;
			g->next_address = 0;
			continue;
		}
		j = new_job(m, g, JOB_LOOK);
		if (!j)
			return;
		j->start = start;
		j->end = end;
		j->look.is_file = may_hold_copies(r);
		g->next_address = end;
		m->counters.looked_bytes += end - start;
		submit(m, g, j);
	}
}

static void finish_look(struct manager *m, struct guest *g)
{
	struct snapshot *s = &g->snapshot;

	free(s->sights);
	s->sights = TAKE_PTR(g->news);
	s->n_sights = g->n_news;
	g->n_news = 0;
	if (s->n_sights > SNAPSHOT_SIGHTS_MAX) {
		s->n_sights = SNAPSHOT_SIGHTS_MAX;
		s->is_truncated = true;
	}
	g->looked_ns = manager_now_ns(m);
	if (ledger_observe(&g->ledger, &g->snapshot, g->looked_ns) < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while comparing looks");
	g->is_counted = false;
	decide(m, g);
}

static void start_look(struct manager *m, struct guest *g)
{
	g->phase = PHASE_LOOK;
	g->next_region = 0;
	g->next_address = 0;
	free(g->news);
	g->news = NULL;
	g->n_news = 0;
	submit_edges(m, g);
	submit_looks(m, g);
	if (g->jobs_in_flight == 0)
		finish_look(m, g);
}

/* ---- surveying ------------------------------------------------------------------------- */

void cycle_start(struct manager *m, struct guest *g)
{
	struct job *j = new_job(m, g, JOB_SURVEY);

	if (!j)
		return;
	j->want_flags = g->want_flags;
	j->survey.geometry = m->geometry;
	j->survey.host = m->host;
	j->survey.policy = g->snapshot.policy;
	j->survey.vm = g->snapshot.vm;
	g->is_due = false;
	g->is_asked_for = false;
	g->has_acted = false;
	g->vain_rounds = 0;
	g->look_cpu_ns = 0;
	g->cycle_began_ns = manager_now_ns(m);
	g->phase = PHASE_SURVEY;
	submit(m, g, j);
}

static void look_at_as_new(struct manager *m, struct guest *g)
{
	log_vm(LOG_NOTICE, g->snapshot.vm.name,
	       "the process executes another program now: looked at as new");
	ledger_clear(&g->ledger);
	g->phase = PHASE_IDLE;
	discovery_identify(m, g);
}

static void take_survey(struct manager *m, struct guest *g, struct job *j)
{
	struct snapshot *s = &g->snapshot;

	if (j->is_other_program) {
		look_at_as_new(m, g);
		return;
	}
	s->vm = j->survey.vm;
	for (size_t i = 0; i < s->n_regions; i++)
		free(s->regions[i].path);
	free(s->regions);
	s->regions = TAKE_PTR(j->survey.regions);
	s->n_regions = j->survey.n_regions;
	j->survey.n_regions = 0;
	if (j->survey.is_truncated && !s->is_truncated)
		log_vm(LOG_WARNING, s->vm.name,
		       "more than %d mappings that may be its memory: the rest is neither looked at "
		       "nor counted",
		       SNAPSHOT_REGIONS_MAX);
	s->is_truncated = j->survey.is_truncated;
	s->geometry = m->geometry;
	guest_apply_policy(g, &m->config);
	if (!s->vm.has_kvm && !g->rule)
		manager_drop_guest(m, g, "it is no VM any more");
	else if (s->policy.mode == MODE_OFF)
		end_cycle(m, g);
	else
		start_look(m, g);
}

/* All that is known of a VM whose mappings may not be read is how much of it is resident. */
static void report_no_right(struct manager *m, struct guest *g)
{
	struct run all = {.state = BLOCK_UNKNOWN, .reason = REASON_NO_PERMISSION, .node = -1};
	struct diagnosis *d = &g->diagnosis;

	all.bytes = all.resident_bytes = g->pulse.resident_pages * page_bytes(&m->geometry);
	diagnosis_clear(d);
	if (ARRAY_APPEND(&d->runs, &d->n_runs, &all) < 0)
		return;
	d->totals.ram_bytes = d->totals.resident_bytes = all.bytes;
	d->totals.by_state[BLOCK_UNKNOWN] = d->totals.by_reason[all.reason] = all.bytes;
}

/* ---- results --------------------------------------------------------------------------- */

static void settle(struct manager *m, const struct job *j)
{
	struct outcome o = j->outcome;

	o.err = outcome_node_errno(&j->outcome, j->err, j->sights, j->n_sights);
	governor_settle(&m->governor, &j->action, &o, manager_now_ns(m));
}

/* No room in the cgroup or no free huge page: the next copy would only make the kernel reclaim or
 * compact once more. */
static bool must_stop_copies(const struct job *j)
{
	return j->action.kind == ACTION_COPY &&
	       (j->outcome.err == EBUSY || j->outcome.err == ENOMEM);
}

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
	case JOB_FAULTS:
	case JOB_SURVEY:
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
		g->in_flight[j->action.kind]--;
		settle(m, j);
		r = learn(m, g, j);
		if (must_stop_copies(j))
			abandon_plan(m, g);
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
		take_survey(m, g, j);
		break;
	case PHASE_LOOK:
		submit_looks(m, g);
		if (g->jobs_in_flight == 0)
			finish_look(m, g);
		break;
	case PHASE_COUNT:
		submit_counts(m, g);
		break;
	case PHASE_ACT:
		if (g->snapshot.policy.is_paused || g->snapshot.policy.mode != MODE_FULL)
			abandon_plan(m, g);
		hand_out(m, g);
		if (g->jobs_in_flight == 0)
			decide(m, g);
		break;
	case PHASE_IDLE:
	case PHASE_WAIT:
		break;
	}
	if (g->phase == PHASE_COUNT && g->jobs_in_flight == 0)
		finish_count(m, g);
}

/* ---- faults, between cycles ------------------------------------------------------------ */

void cycle_read_faults(struct manager *m, struct guest *g)
{
	struct job *j = new_job(m, g, JOB_FAULTS);

	if (j)
		submit(m, g, j);
}

static void take_faults(struct manager *m, struct guest *g, const struct job *j)
{
	if (j->err == 0 && j->pulse.minor_faults != g->pulse.minor_faults)
		g->is_due = true;
	if (j->err == 0)
		g->pulse.minor_faults = j->pulse.minor_faults;
	if (g->is_due)
		manager_wake_at(m, g->not_before_ns);
}

/* ---- a VM that hangs ------------------------------------------------------------------- */

void cycle_give_up(struct manager *m, struct guest *g)
{
	g->is_stuck = true;
	abandon_plan(m, g);
	executor_cancel(m->executor, g->id);
}

/* What comes back late tells of a time long past. */
static void take_late(struct manager *m, struct guest *g)
{
	if (g->jobs_in_flight > 0)
		return;
	log_vm(LOG_NOTICE, g->snapshot.vm.name, "lets itself be read again");
	g->is_stuck = false;
	end_cycle(m, g);
	g->is_due = true;
}

static void settle_act(struct manager *m, struct guest *g, const struct job *j)
{
	if (j->kind != JOB_ACT)
		return;
	g->in_flight[j->action.kind]--;
	settle(m, j);
}

void cycle_take_result(struct manager *m, struct guest *g, struct job *j)
{
	g->jobs_in_flight--;
	if (g->is_doomed || j->err == -ESRCH) {
		settle_act(m, g, j);
		abandon_plan(m, g);
		manager_drop_guest(m, g, "process gone");
		return;
	}
	if (g->is_stuck) {
		settle_act(m, g, j);
		take_late(m, g);
		return;
	}
	if (j->kind == JOB_FAULTS) {
		take_faults(m, g, j);
		return;
	}
	if (j->err < 0 && j->kind == JOB_SURVEY) {
		log_vm(LOG_WARNING, g->snapshot.vm.name, "cannot read its mappings: %s",
		       strerror(-j->err));
		end_cycle(m, g);
		report_no_right(m, g);
		return;
	}
	take_one(m, g, j);
	advance(m, g, j);
}
