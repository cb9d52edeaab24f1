/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mover.h"

#include <errno.h>

#include "bar.h"
#include "sights.h"

enum { STRIKES_MAX = 6 };

void mover_clear(struct mover *m)
{
	interval_set_clear(&m->refused);
	interval_set_clear(&m->brought);
	*m = (struct mover)MOVER_INIT;
}

void mover_forget(struct mover *m)
{
	uint64_t moved_bytes = m->moved_bytes;

	mover_clear(m);
	m->moved_bytes = moved_bytes;
}

bool mover_may_move(const struct snapshot *s, const struct home *h)
{
	const struct policy *p = &s->policy;

	return (p->placement == PLACEMENT_FOLLOW || p->placement == PLACEMENT_BIND) &&
	       p->mode == MODE_FULL && !p->is_paused && h->nodes && !s->vm.has_vfio &&
	       !s->vm.has_sev && !s->vm.has_uffd && !vm_is_armed(s);
}

bool mover_takes(const struct snapshot *s, const struct run *run, node_set_t target)
{
	bool is_elsewhere =
		run->node >= 0 && run->node < NODE_SET_MAX && !node_set_has(target, run->node);
	bool is_whole = run->state == BLOCK_HUGE || run->state == BLOCK_REMAPPABLE ||
			run->state == BLOCK_COPYABLE ||
			(run->state == BLOCK_UNKNOWN && run->reason == REASON_FOLIO_UNKNOWN);

	return target && is_elsewhere && is_whole && region_is_movable(&s->regions[run->region]);
}

static void end_move(struct mover *m, uint64_t now_ns)
{
	m->target = 0;
	m->has_ended = true;
	m->ended_ns = now_ns;
	interval_set_clear(&m->refused);
}

void mover_observe(struct mover *m, const struct home *h, uint64_t now_ns)
{
	if (home_is_same(h, &m->home))
		return;
	m->home = *h;
	m->since_ns = now_ns;
	if (m->target)
		end_move(m, now_ns);
}

static uint64_t interval_of(const struct mover *m, const struct policy *p)
{
	uint64_t ns;

	return __builtin_mul_overflow(p->move_interval_ns, UINT64_C(1) << m->strikes, &ns)
		       ? UINT64_MAX
		       : ns;
}

uint64_t mover_due_ns(const struct mover *m, const struct policy *p)
{
	uint64_t stable_ns = sat_add_u64(m->since_ns, p->stable_ns);

	if (m->home.nodes == 0)
		return UINT64_MAX;
	return m->has_ended ? max_u64(stable_ns, sat_add_u64(m->ended_ns, interval_of(m, p)))
			    : stable_ns;
}

bool mover_may_begin(const struct mover *m, const struct snapshot *s, const struct whereabouts *w,
		     uint64_t now_ns)
{
	return !m->target && w->verdict == WHEREABOUTS_REMOTE && mover_may_move(s, &w->home) &&
	       now_ns >= mover_due_ns(m, &s->policy);
}

/* Calls for each part of a run that the home says is elsewhere and would go; until one says that it
 * is enough. */
typedef bool (*part_visit)(const struct home_piece *p, void *context);

static bool visit_outside(const struct mover *m, const struct snapshot *s,
			  const struct diagnosis *d, part_visit visit, void *context)
{
	for (size_t i = 0; i < d->n_runs; i++) {
		const struct run *run = &d->runs[i];
		hva_t end = run->start + run->bytes;
		struct home_piece p = home_piece_at(&m->home, s, run->start, end);

		for (; p.start < end; p = home_piece_at(&m->home, s, p.end, end))
			if (mover_takes(s, run, p.nodes) && visit(&p, context))
				return true;
	}
	return false;
}

/* It can go now, and was not refused yet. */
static bool is_work(const struct home_piece *p, void *context)
{
	const struct mover *m = context;

	return (p->nodes & m->target) && !interval_set_covers(&m->refused, p->start, p->end);
}

static bool has_work(struct mover *m, const struct snapshot *s, const struct diagnosis *d)
{
	return visit_outside(m, s, d, is_work, m);
}

static bool is_brought(const struct home_piece *p, void *context)
{
	const struct mover *m = context;

	return interval_set_overlaps(&m->brought, p->start, p->end);
}

/* Of what the last move brought, something is outside again. */
static bool was_taken_back(struct mover *m, const struct snapshot *s, const struct diagnosis *d)
{
	return visit_outside(m, s, d, is_brought, m);
}

static void begin(struct mover *m, const struct snapshot *s, const struct diagnosis *d)
{
	bool is_same_home = m->has_ended && m->since_ns < m->ended_ns;

	if (!is_same_home || !was_taken_back(m, s, d))
		m->strikes = 0;
	else if (m->strikes < STRIKES_MAX)
		m->strikes++;
	interval_set_clear(&m->brought);
	m->target = m->home.nodes;
}

node_set_t mover_step(struct mover *m, const struct snapshot *s, const struct diagnosis *d,
		      const struct whereabouts *w, uint64_t now_ns)
{
	mover_observe(m, &w->home, now_ns);
	if (mover_may_begin(m, s, w, now_ns))
		begin(m, s, d);
	if (m->target && (!mover_may_move(s, &w->home) || !has_work(m, s, d)))
		end_move(m, now_ns);
	return m->target;
}

struct demand {
	const struct mover *m;
	const struct host *host;
	uint64_t bytes[NODE_SET_MAX];
};

static bool add_demand(const struct home_piece *p, void *context)
{
	struct demand *demand = context;
	const struct mover *m = demand->m;
	int node = home_best_node(p->nodes & m->target, demand->host);

	if (node >= 0 && node < NODE_SET_MAX && !interval_set_covers(&m->refused, p->start, p->end))
		demand->bytes[node] = sat_add_u64(demand->bytes[node], p->end - p->start);
	return false;
}

struct mover_choice mover_choose(const struct mover *m, const struct snapshot *s,
				 const struct diagnosis *d, const struct host *host,
				 uint64_t reserve_bytes)
{
	struct mover_choice choice = {.node = -1};
	struct demand demand = {.m = m, .host = host};
	uint64_t block = block_bytes(&s->geometry), most = 0;

	(void)visit_outside(m, s, d, add_demand, &demand);
	for (int node = 0; node < NODE_SET_MAX; node++)
		if (demand.bytes[node] > 0 && host_room_bytes(host, node, reserve_bytes) < block)
			choice.full |= node_set_of(node);
	for (int node = 0; node < NODE_SET_MAX; node++) {
		if (demand.bytes[node] <= most || node_set_has(choice.full, node))
			continue;
		most = demand.bytes[node];
		choice.node = (int16_t)node;
	}
	if (choice.node < 0 && choice.full)
		choice.node = (int16_t)node_set_first(choice.full);
	return choice;
}

/* What is there now came; what is not was refused. */
static int sort_out(struct mover *m, const struct action *a, const struct sight *after,
		    size_t n_after, const struct mmu_geometry *g)
{
	hva_t end = a->target.start + a->target.bytes;

	for (size_t i = 0; i < n_after; i++) {
		hva_t from = max_u64(after[i].start, a->target.start),
		      to = min_u64(sight_end(&after[i], g), end);
		int r = from >= to ? 0
				   : interval_set_add(after[i].node == a->node ? &m->brought
									       : &m->refused,
						      from, to);

		if (r < 0)
			return r;
	}
	return 0;
}

int mover_learn(struct mover *m, const struct action *a, const struct outcome *o,
		const struct sight *before, size_t n_before, const struct sight *after,
		size_t n_after, const struct mmu_geometry *g, uint64_t now_ns)
{
	hva_t start = a->target.start, stop = start + a->target.bytes;

	m->moved_bytes += sat_sub_u64(sights_bytes_on(after, n_after, a->node, start, stop, g),
				      sights_bytes_on(before, n_before, a->node, start, stop, g));
	if (!m->target)
		return 0;
	/* Kernels do not always say that the node had no free block (kernel/place.h). */
	if (o->err == ENOMEM ||
	    sights_split_bytes(before, n_before, after, n_after, start, stop, g) > 0) {
		m->target &= ~node_set_of(a->node);
		if (!m->target)
			end_move(m, now_ns);
		return 0;
	}
	return sort_out(m, a, after, n_after, g);
}
