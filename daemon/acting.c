/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The second half of a cycle: the plan's actions are handed out, and what came of each is learned.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "cycle.h"
#include "log.h"
#include "verify.h"

/* A remap planned on a look older than this is confirmed by another one. */
#define LOOK_FRESH_NS (UINT64_C(500) * 1000 * 1000)

static void count_gain(struct counters *c, const struct action *a, int64_t huge_bytes)
{
	if (a->kind == ACTION_PLACE) {
		c->place_calls++;
	} else if (a->kind == ACTION_POPULATE) {
		c->populate_calls++;
		c->populated_bytes += (uint64_t)huge_bytes;
	} else if (a->is_folio_unknown) {
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
	guest_forget_counts(g);
	nudge_forget(&g->nudge);
	l->action = j->action;
	l->actions++;
	l->bytes += j->action.kind == ACTION_PLACE ? 0 : j->action.target.bytes;
	l->placed_bytes += v->placed_bytes;
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
	m->counters.placed_bytes += v->placed_bytes;
	m->counters.refilled_bytes += v->refilled_bytes;
	m->counters.failed_calls += j->outcome.err != 0 && j->outcome.err != ECANCELED;
	m->counters.canceled_actions += j->outcome.err == ECANCELED;
	m->counters.worst_call_ns = max_u64(m->counters.worst_call_ns, j->outcome.worst_call_ns);
}

static void log_outcome(const struct guest *g, const struct job *j, const struct verdict *v)
{
	const struct target *t = &j->action.target;
	const char *errno_name = j->outcome.err ? strerrorname_np(j->outcome.err) : NULL;

	log_result(LOG_DEBUG, g->snapshot.vm.name, errno_name ? errno_name : effect_name(v->effect),
		   "%s of %llu MiB at 0x%llx: %s%s%s, %+lld MiB huge, %llu us",
		   action_name(&j->action), (unsigned long long)(t->bytes >> 20),
		   (unsigned long long)t->start, effect_name(v->effect), errno_name ? ", " : "",
		   errno_name ? errno_name : "", (long long)(v->huge_bytes_delta / (1 << 20)),
		   (unsigned long long)(j->outcome.took_ns / 1000));
}

/* What the snapshot knew of the action's range before the call. */
static int slice_before(const struct manager *m, const struct guest *g, struct job *j)
{
	if (j->n_before > 0)
		return 0;
	return sight_list_slice(g->snapshot.sights, g->snapshot.n_sights, j->start, j->end,
				&j->before, &j->n_before, &m->geometry);
}

/* Why, the flags of the mapping may tell: a userfaultfd that came to be since the search, for one.
 */
static void ask_why_refused(struct guest *g, hva_t start)
{
	const struct region *region = snapshot_find_region(&g->snapshot, start);

	/* Of a process with a 1 GiB device-dax mapping they are never read. */
	if (!region || region->are_flags_known || g->snapshot.vm.has_device_dax_1g)
		return;
	g->want_flags = true;
	g->is_due = true;
}

static int remember(struct manager *m, struct guest *g, const struct job *j)
{
	uint64_t now_ns = manager_now_ns(m);

	if (j->action.kind == ACTION_PLACE)
		return mover_learn(&g->mover, &j->action, &j->outcome, j->before, j->n_before,
				   j->sights, j->n_sights, &m->geometry, now_ns);
	return ledger_learn(&g->ledger, &j->action, &j->outcome, j->sights, j->n_sights,
			    &m->geometry, now_ns);
}

/* What was populated is charged to the VM's memory cgroup; the next survey reads how much is left.
 */
static void charge(struct guest *g, const struct job *j, const struct verdict *v)
{
	uint64_t *headroom = &g->snapshot.vm.memcg_headroom_bytes;

	if (j->action.kind == ACTION_POPULATE && *headroom != UINT64_MAX && v->huge_bytes_delta > 0)
		*headroom = sat_sub_u64(*headroom, (uint64_t)v->huge_bytes_delta);
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
	log_outcome(g, j, &v);
	if (v.huge_bytes_delta > 0 || v.placed_bytes > 0)
		g->vain_rounds = 0;
	if (v.reason == REASON_KERNEL_REFUSED)
		ask_why_refused(g, j->start);
	charge(g, j, &v);
	if (j->outcome.err != ECANCELED)
		r = remember(m, g, j);
	if (r < 0)
		return r;
	return sight_list_replace(&s->sights, &s->n_sights, j->start, j->end, seen, n_seen,
				  &m->geometry);
}

static bool may_hand_out(const struct manager *m, const struct guest *g, enum action_kind kind)
{
	/* One under way, one that waits for its end. */
	if (kind != ACTION_REMAP)
		return g->in_flight[kind] < 2;
	return g->in_flight[ACTION_REMAP] < 2 * executor_workers(m->executor);
}

static struct job *new_act(struct manager *m, struct guest *g, const struct action *a)
{
	const struct region *region = snapshot_find_region(&g->snapshot, a->target.start);
	struct job *j = cycle_new_job(m, g, JOB_ACT);

	if (!j)
		return NULL;
	j->action = *a;
	j->start = a->target.start;
	j->end = a->target.start + a->target.bytes;
	j->look.is_file = region && may_hold_copies(region);
	if (region)
		j->ground = *region;
	j->ground.path = NULL;
	if (region && !(m->host.features & FEATURE_PAGEMAP_SCAN)) {
		j->wide_start = region_first_block(region, &m->geometry);
		j->wide_end = region_last_block(region, &m->geometry);
	}
	/* Copies of anonymous memory hold the VM's memory lock, and moves keep its vCPUs from the
	 * pages; other VMs can use the other workers. */
	j->is_alone = a->kind != ACTION_REMAP;
	j->min_populated_bp = g->snapshot.policy.min_populated_bp;
	j->free_reserve_bytes = m->governor.budget.free_reserve_bytes;
	j->had_uffd = g->snapshot.vm.has_uffd;
	j->must_confirm =
		a->kind != ACTION_REMAP || manager_now_ns(m) > g->looked_ns + LOOK_FRESH_NS;
	return j;
}

/* Gives back what was granted to the next action, which will not be done. */
static void skip_one(struct manager *m, struct guest *g)
{
	const struct action *a = &g->plan.actions[g->plan_next++];
	struct outcome o = {.action = a->id, .err = ECANCELED};

	governor_settle(&m->governor, a, &o, manager_now_ns(m));
}

void acting_abandon(struct manager *m, struct guest *g)
{
	while (g->plan_next < g->plan.n_actions)
		skip_one(m, g);
}

/* The action that was handed out behind this one has begun by now; of moves and remaps that wait,
 * a kind that ends says nothing. */
static void stop(struct manager *m, struct guest *g, enum plan_stop what, enum action_kind kind)
{
	if (what == PLAN_STOP_ALL) {
		acting_abandon(m, g);
		executor_cancel(m->executor, g->id);
	}
	while (what == PLAN_STOP_KIND && g->plan_next < g->plan.n_actions &&
	       g->plan.actions[g->plan_next].kind == kind)
		skip_one(m, g);
}

void acting_go_on(struct manager *m, struct guest *g)
{
	if (g->snapshot.policy.is_paused || g->snapshot.policy.mode != MODE_FULL)
		acting_abandon(m, g);
	while (g->plan_next < g->plan.n_actions &&
	       may_hand_out(m, g, g->plan.actions[g->plan_next].kind)) {
		const struct action *a = &g->plan.actions[g->plan_next];
		struct job *j = new_act(m, g, a);

		if (!j)
			return;
		g->plan_next++;
		g->in_flight[a->kind]++;
		cycle_submit(m, g, j);
	}
}

void acting_start(struct manager *m, struct guest *g)
{
	for (size_t i = 0; i < g->plan.n_actions; i++)
		governor_spend(&m->governor, &g->plan.actions[i]);
	m->next_action_id += (uint32_t)g->plan.n_actions;
	g->plan_next = 0;
	g->phase = PHASE_ACT;
	g->vain_rounds++;
	acting_go_on(m, g);
}

static void settle(struct manager *m, const struct job *j)
{
	struct outcome o = j->outcome;

	/* What was to be populated is empty anyway. */
	if (j->action.kind != ACTION_POPULATE)
		o.err = outcome_node_errno(&j->outcome, j->err, j->sights, j->n_sights);
	governor_settle(&m->governor, &j->action, &o, manager_now_ns(m));
}

/* However late the result comes, and whether anything else is learned from it. */
void acting_settle(struct manager *m, struct guest *g, const struct job *j)
{
	if (j->kind != JOB_ACT)
		return;
	g->in_flight[j->action.kind]--;
	settle(m, j);
	if (populate_learn(&g->populate, &j->action, &j->outcome, j->sights, j->n_sights,
			   &m->geometry) < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while learning what is there");
}

int acting_take(struct manager *m, struct guest *g, struct job *j)
{
	int r;

	acting_settle(m, g, j);
	if (j->err == -ECANCELED)
		return 0;
	r = learn(m, g, j);
	stop(m, g, plan_stop_after(j->action.kind, j->outcome.err), j->action.kind);
	return r;
}
