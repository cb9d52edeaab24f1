/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Memory that lies on the wrong node: what is known of it, and what a move may do now. The
 * decisions are lib/core's (home, whereabouts, mover, governor). */

#include "bits.h"
#include "cycle.h"
#include "hostfacts.h"

/* A move under way goes by where the vCPUs run, so it may not go by what was long ago. */
#define VCPUS_FRESH_NS (UINT64_C(10) * 1000 * 1000 * 1000)

bool placing_must_ask(const struct manager *m, const struct guest *g)
{
	uint64_t now_ns = manager_now_ns(m);

	return g->mover.target && guest_has_nodes(g, &m->host) &&
	       now_ns >= g->vcpus_ns + VCPUS_FRESH_NS && now_ns >= g->vcpus_not_before_ns;
}

void placing_judge(struct manager *m, struct guest *g)
{
	if (!guest_has_nodes(g, &m->host))
		return;
	g->whereabouts =
		whereabouts_of(&g->snapshot, &g->diagnosis, m->config.budget.free_reserve_bytes);
	mover_observe(&g->mover, &g->whereabouts.home, manager_now_ns(m));
}

void placing_limit(struct manager *m, struct guest *g, struct plan_limits *limits,
		   struct allowance *ret)
{
	uint64_t now_ns = manager_now_ns(m);
	struct mover_choice choice;

	*ret = (struct allowance){.retry_ns = UINT64_MAX};
	if (!guest_has_nodes(g, &m->host))
		return;
	g->moves_held = REASON_NONE;
	if (!mover_step(&g->mover, &g->snapshot, &g->diagnosis, &g->whereabouts, now_ns))
		return;
	(void)host_read_memory(m->sys, &m->geometry, &m->host);
	choice = mover_choose(&g->mover, &g->snapshot, &g->diagnosis, &m->host,
			      m->governor.budget.free_reserve_bytes);
	limits->place_node = choice.node;
	limits->place_full = choice.full | (g->mover.home.nodes & ~g->mover.target);
	limits->refused = &g->mover.refused;
	limits->place_allowance_bytes = governor_place_allowance(
		&m->governor, &m->host, choice.node, now_ns, &ret->reason, &ret->retry_ns);
	g->moves_held = ret->reason;
	/* Where nothing can go now, what could be huge here shall be. */
	if (ret->reason == REASON_NONE)
		limits->home = g->mover.home;
}

void placing_foresee(const struct manager *m, const struct guest *g, struct plan_limits *limits)
{
	if (!guest_has_nodes(g, &m->host) || g->moves_held != REASON_NONE || !g->mover.target)
		return;
	limits->home = g->mover.home;
	limits->place_node = -1;
	limits->place_full = g->mover.home.nodes & ~g->mover.target;
	limits->refused = &g->mover.refused;
	limits->place_allowance_bytes = UINT64_MAX;
}
