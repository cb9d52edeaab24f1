/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "guest.h"

#include <stdlib.h>

#include "cleanup.h"

struct guest *guest_new(uint64_t id, struct process *process, const struct vm *vm)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->id = id;
	g->process = *process;
	*process = (struct process)PROCESS_INIT;
	g->snapshot = (struct snapshot)SNAPSHOT_INIT;
	g->snapshot.vm = *vm;
	g->ledger = (struct ledger)LEDGER_INIT;
	g->mover = (struct mover)MOVER_INIT;
	g->is_due = true;
	return g;
}

struct guest *guest_free(struct guest *g)
{
	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->gone); /* before the pidfd that it watches */
	process_close(&g->process);
	snapshot_clear(&g->snapshot);
	diagnosis_clear(&g->diagnosis);
	ledger_clear(&g->ledger);
	mover_clear(&g->mover);
	plan_clear(&g->plan);
	free(g->news);
	free(g);
	return NULL;
}

bool guest_is_tended(const struct guest *g)
{
	return !g->is_doomed && (g->snapshot.policy.mode != MODE_OFF || g->is_asked_for);
}

void guest_apply_policy(struct guest *g, const struct config *c)
{
	bool is_paused = g->snapshot.policy.is_paused;

	g->rule = config_find_rule(c, &g->snapshot.vm);
	g->snapshot.policy = g->rule ? g->rule->policy : c->policy;
	g->snapshot.policy.is_paused = is_paused;
	if (g->snapshot.policy.placement == PLACEMENT_OFF)
		mover_forget(&g->mover);
}

bool guest_has_nodes(const struct guest *g, const struct host *h)
{
	return h->n_nodes > 1 && (h->features & FEATURE_NODES) &&
	       g->snapshot.policy.placement != PLACEMENT_OFF;
}

bool guest_may_move(const struct guest *g)
{
	const struct policy *p = &g->snapshot.policy;

	return p->mode == MODE_FULL &&
	       (p->placement == PLACEMENT_FOLLOW || p->placement == PLACEMENT_BIND);
}

void guest_take_vcpus(struct guest *g, struct vcpu **vcpus, size_t n, uint64_t now_ns)
{
	struct snapshot *s = &g->snapshot;

	if (g->vcpus_ns != 0)
		vcpus_compare(*vcpus, n, s->vcpus, s->n_vcpus, sat_sub_u64(now_ns, g->vcpus_ns));
	free(s->vcpus);
	s->vcpus = TAKE_PTR(*vcpus);
	s->n_vcpus = n;
	g->vcpus_ns = now_ns;
}

const char *guest_backing(const struct guest *g)
{
	const struct snapshot *s = &g->snapshot;

	if (s->n_regions == 0)
		return "none";
	for (size_t i = 1; i < s->n_regions; i++)
		if (s->regions[i].backing != s->regions[0].backing)
			return "mixed";
	return backing_name(s->regions[0].backing);
}
