/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "whereabouts.h"

#include <assert.h>

#include "names.h"
#include "sights.h"

/* The kernel's balancing moves this much of a VM's memory a second (4 MiB with small pages), over
 * all its vCPUs: it does not come to rest. */
enum { THRASH_PAGES_PER_S = 1024 };
/* A VM that uses a tenth of a CPU is at work. */
enum { BUSY_BP = 1000 };

static const char *const verdict_names[] = {
	[WHEREABOUTS_UNKNOWN] = "unknown",
	[WHEREABOUTS_HOME] = "home",
	[WHEREABOUTS_WIDE] = "wide",
	[WHEREABOUTS_REMOTE] = "remote",
};

static_assert(ARRAY_SIZE(verdict_names) == WHEREABOUTS_MAX, "every verdict has a name");

const char *whereabouts_verdict_name(enum whereabouts_verdict verdict)
{
	return name_of(verdict_names, ARRAY_SIZE(verdict_names), verdict);
}

/* ---- Sums ---- */

static uint64_t sight_bytes(const struct sight *s, const struct mmu_geometry *g)
{
	/* A folio is resident as a whole, however much of it is mapped. */
	if (s->seen == SEEN_FOLIO)
		return s->blocks * block_bytes(g);
	return s->fill == FILL_UNKNOWN ? 0 : s->present_pages * page_bytes(g);
}

/* What is to go from one node to another. */
struct ways {
	uint64_t bytes[NODE_SET_MAX][NODE_SET_MAX]; /* from, to */
};

static void sum_up_piece(struct whereabouts *w, const struct snapshot *s, const struct sight *v,
			 const struct home_piece *p, struct ways *ways)
{
	uint64_t block = block_bytes(&s->geometry), bytes;
	struct sight part = sight_piece(v, (uint32_t)((p->start - v->start) / block),
					(uint32_t)((p->end - v->start) / block), &s->geometry);
	int to;

	bytes = sight_bytes(&part, &s->geometry);
	if (node_set_has(p->nodes, v->node)) {
		w->home_bytes += bytes;
		return;
	}
	w->remote_bytes += bytes;
	w->remote_by_node[v->node] += bytes;
	to = home_best_node(p->nodes, &s->host);
	if (to >= 0 && to < NODE_SET_MAX)
		ways->bytes[v->node][to] += bytes;
}

static void sum_up(struct whereabouts *w, const struct snapshot *s, struct ways *ways)
{
	for (size_t i = 0; i < s->n_sights; i++) {
		const struct sight *v = &s->sights[i];
		uint64_t bytes = sight_bytes(v, &s->geometry);
		hva_t end = sight_end(v, &s->geometry);
		struct home_piece p = home_piece_at(&w->home, s, v->start, end);

		if (v->node < 0 || v->node >= NODE_SET_MAX) {
			w->unknown_bytes += bytes;
			continue;
		}
		w->by_node[v->node] += bytes;
		for (; w->home.nodes && p.start < end; p = home_piece_at(&w->home, s, p.end, end))
			sum_up_piece(w, s, v, &p, ways);
	}
}

static enum whereabouts_verdict judge(const struct whereabouts *w, const struct policy *p)
{
	if (!w->home.nodes)
		return WHEREABOUTS_UNKNOWN;
	if (w->remote_bytes > 0 && w->remote_bytes >= p->min_gain_bytes)
		return WHEREABOUTS_REMOTE;
	return node_set_is_single(w->home.nodes) ? WHEREABOUTS_HOME : WHEREABOUTS_WIDE;
}

/* ---- Findings ---- */

static void add_at(struct whereabouts *w, enum reason reason, int node, uint64_t bytes,
		   unsigned int distance)
{
	if (w->n_findings == WHEREABOUTS_FINDINGS_MAX)
		return;
	w->findings[w->n_findings++] = (struct whereabouts_finding){
		.reason = reason, .node = (int16_t)node, .bytes = bytes, .distance = distance};
}

static void add(struct whereabouts *w, const struct snapshot *s, enum reason reason, int node,
		uint64_t bytes)
{
	bool is_outside = node >= 0 && w->home.nodes && !node_set_has(w->home.nodes, node);

	add_at(w, reason, node, bytes,
	       is_outside ? host_distance(&s->host, node_set_first(w->home.nodes), node) : 0);
}

/* How far what lies there is from where most of it is to go. */
static unsigned int distance_within(const struct snapshot *s, const struct ways *ways, int from)
{
	int best = -1;

	for (int to = 0; to < NODE_SET_MAX; to++)
		if (ways->bytes[from][to] > 0 &&
		    (best < 0 || ways->bytes[from][to] > ways->bytes[from][best]))
			best = to;
	return best < 0 ? 0 : host_distance(&s->host, best, from);
}

/* The node with the most memory that is not in `without`; -1: none is left. */
static int largest(const uint64_t *by_node, node_set_t without)
{
	int best = -1;

	for (int node = 0; node < NODE_SET_MAX; node++) {
		if (by_node[node] == 0 || node_set_has(without, node))
			continue;
		if (best < 0 || by_node[node] > by_node[best])
			best = node;
	}
	return best;
}

static uint64_t busy_bp(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n_vcpus; i++)
		if (s->vcpus[i].busy_bp != VCPU_BUSY_UNKNOWN)
			sum += s->vcpus[i].busy_bp;
	return sum;
}

static node_set_t nodes_without_cpus(const struct host *h)
{
	node_set_t set = 0;

	for (uint16_t i = 0; i < h->n_nodes; i++)
		if (!h->nodes[i].has_cpus)
			set |= node_set_of(h->nodes[i].id);
	return set;
}

/* A VM that works, and its memory where no CPU is. */
static void find_tier(struct whereabouts *w, const struct snapshot *s)
{
	node_set_t without = ~nodes_without_cpus(&s->host);

	if (busy_bp(s) < BUSY_BP)
		return;
	for (int node; (node = largest(w->by_node, without)) >= 0; without |= node_set_of(node))
		add(w, s, REASON_TIER_MISMATCH, node, w->by_node[node]);
}

static void find_thrash(struct whereabouts *w, const struct snapshot *s)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < s->n_vcpus; i++)
		pages += s->vcpus[i].migrated_pages_per_s;
	if (s->host.is_numa_balancing && pages >= THRASH_PAGES_PER_S)
		add(w, s, REASON_AUTONUMA_THRASH, -1, pages * page_bytes(&s->geometry));
}

/* A collapse puts a block where most of its pages are. */
static void find_cement(struct whereabouts *w, const struct snapshot *s, const struct diagnosis *d)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < d->n_runs; i++) {
		const struct run *run = &d->runs[i];
		hva_t end = run->start + run->bytes;
		struct home_piece p = home_piece_at(&w->home, s, run->start, end);

		if (run->state != BLOCK_COPYABLE || run->node < 0)
			continue;
		for (; p.start < end; p = home_piece_at(&w->home, s, p.end, end))
			bytes += node_set_has(p.nodes, run->node) ? 0 : p.end - p.start;
	}
	if (bytes > 0)
		add(w, s, REASON_COLLAPSE_WOULD_CEMENT, -1, bytes);
}

static uint64_t bytes_to(const struct ways *ways, int to)
{
	uint64_t bytes = 0;

	for (int from = 0; from < NODE_SET_MAX; from++)
		bytes += ways->bytes[from][to];
	return bytes;
}

static void find_full(struct whereabouts *w, const struct snapshot *s, const struct ways *ways,
		      uint64_t reserve_bytes)
{
	uint64_t kept_out[NODE_SET_MAX] = {0}, block = block_bytes(&s->geometry);
	node_set_t without = 0;

	for (int to = 0; to < NODE_SET_MAX; to++)
		if (host_room_bytes(&s->host, to, reserve_bytes) < block)
			kept_out[to] = bytes_to(ways, to);
	for (int node; (node = largest(kept_out, without)) >= 0; without |= node_set_of(node))
		add(w, s, REASON_NODE_FULL, node, kept_out[node]);
}

static void find_remote(struct whereabouts *w, const struct snapshot *s, const struct ways *ways)
{
	node_set_t without = 0;

	for (int node; (node = largest(w->remote_by_node, without)) >= 0;
	     without |= node_set_of(node))
		add_at(w, REASON_REMOTE_MEMORY, node, w->remote_by_node[node],
		       distance_within(s, ways, node));
}

/* The cpuset keeps the memory away from where the vCPUs run. */
static bool is_kept_away(const struct home *h, const struct host *host)
{
	node_set_t runs_on = h->vcpu_nodes & host_node_set(host);

	return h->source == HOME_CPUSET && runs_on && !(runs_on & h->nodes);
}

static void find(struct whereabouts *w, const struct snapshot *s, const struct diagnosis *d,
		 const struct ways *ways, uint64_t reserve_bytes)
{
	if (is_kept_away(&w->home, &s->host))
		add(w, s, REASON_PINNED_BY_CPUSET, node_set_first(w->home.nodes), w->home_bytes);
	find_thrash(w, s);
	find_tier(w, s);
	if (w->verdict != WHEREABOUTS_REMOTE)
		return;
	find_full(w, s, ways, reserve_bytes);
	find_cement(w, s, d);
	find_remote(w, s, ways);
}

struct whereabouts whereabouts_of(const struct snapshot *s, const struct diagnosis *d,
				  uint64_t free_reserve_bytes)
{
	struct whereabouts w = {.home = home_of(s)};
	struct ways ways = {0};

	sum_up(&w, s, &ways);
	w.verdict = judge(&w, &s->policy);
	find(&w, s, d, &ways, free_reserve_bytes);
	return w;
}
