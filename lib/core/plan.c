/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "headroom.h"
#include "home_piece.h"
#include "landing.h"
#include "mover.h"
#include "populate.h"

/* Measured on Linux 6.18 (KERNEL 0.2): a remap goes at about 100 GiB/s, a copy at 1.5 GiB/s. Only
 * the ratio matters. */
enum { REMAP_NS_PER_KIB = 10, COPY_NS_PER_KIB = 640 }; /* a move is a copy */

/* process_madvise clamps a call below 2 GiB without saying so; beyond 1 GiB nothing is gained
 * (KERNEL 1.6). A copy of 64 MiB is what a guest may have to wait for (KERNEL 12.2). */
#define REMAP_CALL_MAX_BYTES (UINT64_C(1) << 30)
#define COPY_CALL_MAX_BYTES  (UINT64_C(64) << 20)

/* Neighbouring runs in one region of which the same is known, whatever their nodes; of what is to
 * be moved those that go to the same one. */
struct span {
	hva_t start;
	uint64_t bytes;
	int16_t node; /* -1: several, or not known; to be moved: by a later plan */
	uint32_t region;
	bool is_folio_unknown;
};

struct spans {
	struct span *items; /* owned */
	size_t n_items;
};

struct maker {
	const struct snapshot *s;
	const struct plan_limits *limits;
	struct plan *plan;
};

static int append_span(struct spans *spans, const struct run *run, bool is_for_place)
{
	struct span *last = spans->n_items > 0 ? &spans->items[spans->n_items - 1] : NULL;
	const struct span span = {
		.start = run->start,
		.bytes = run->bytes,
		.node = run->node,
		.region = run->region,
		.is_folio_unknown = run->reason == REASON_FOLIO_UNKNOWN,
	};

	if (!last || last->region != run->region || last->start + last->bytes != run->start ||
	    last->is_folio_unknown != span.is_folio_unknown ||
	    (is_for_place && last->node != span.node))
		return ARRAY_APPEND(&spans->items, &spans->n_items, &span);
	last->bytes += run->bytes;
	if (last->node != run->node)
		last->node = -1;
	return 0;
}

typedef bool (*run_filter)(const struct run *run);

static bool is_huge(const struct run *run)
{
	return run->state == BLOCK_HUGE;
}

static bool is_remappable(const struct run *run)
{
	return run->state == BLOCK_REMAPPABLE;
}

/* A full block whose folio size cannot be read costs a copy at worst: it is planned as one. */
static bool is_copyable(const struct run *run)
{
	return run->state == BLOCK_COPYABLE ||
	       (run->state == BLOCK_UNKNOWN && run->reason == REASON_FOLIO_UNKNOWN);
}

static bool is_to_populate(const struct run *run)
{
	return run->state == BLOCK_EMPTY && run->reason == REASON_TO_POPULATE;
}

/* The move under way takes it. Not what can be remapped: that costs nothing, and moves huge
 * afterwards. */
static bool is_to_move(const struct maker *m, const struct run *run, const struct home_piece *p)
{
	bool is_remapped_first = m->s->policy.may_remap && is_remappable(run);

	return !is_remapped_first && mover_takes(m->s, run, p->nodes & ~m->limits->place_full) &&
	       !node_set_has(p->nodes, run->node);
}

/* Where this plan brings it; -1: a later one will. */
static int16_t place_node_of(const struct maker *m, const struct home_piece *p)
{
	node_set_t nodes = p->nodes & ~m->limits->place_full;

	if (m->limits->place_node < 0)
		return (int16_t)home_best_node(nodes, &m->s->host);
	return node_set_has(nodes, m->limits->place_node) ? m->limits->place_node : -1;
}

/* How far the answer goes whether memory at `at` was refused by the move under way. */
static hva_t end_of_refusal(const struct interval_set *refused, hva_t at, hva_t end,
			    bool *ret_is_refused)
{
	const struct interval *item = refused ? interval_set_find(refused, at) : NULL;

	*ret_is_refused = item && item->start <= at;
	if (!item)
		return end;
	return min_u64(*ret_is_refused ? item->end : item->start, end);
}

/* The parts of a piece of a run that is to be moved: those that go, with the node they go to, or
 * those that were refused. */
static int append_parts(const struct maker *m, const struct run *run, const struct home_piece *p,
			bool is_for_place, struct spans *ret)
{
	hva_t next;

	for (hva_t at = p->start; at < p->end; at = next) {
		struct run part = *run;
		bool is_refused;
		int r;

		next = end_of_refusal(m->limits->refused, at, p->end, &is_refused);
		part.start = at;
		part.bytes = next - at;
		if (is_for_place)
			part.node = place_node_of(m, p);
		r = is_refused == is_for_place ? 0 : append_span(ret, &part, is_for_place);
		if (r < 0)
			return r;
	}
	return 0;
}

static int append_piece(const struct maker *m, const struct run *run, const struct home_piece *p,
			bool is_for_place, struct spans *ret)
{
	struct run part = *run;

	if (is_to_move(m, run, p))
		return append_parts(m, run, p, is_for_place, ret);
	part.start = p->start;
	part.bytes = p->end - p->start;
	return is_for_place ? 0 : append_span(ret, &part, is_for_place);
}

/* Spans of what passes the filter; of what is to be moved, or of what is not. */
static int collect_spans(const struct maker *m, const struct diagnosis *d, run_filter is_wanted,
			 bool is_for_place, struct spans *ret)
{
	const struct home *home = &m->limits->home;

	for (size_t i = 0; i < d->n_runs; i++) {
		const struct run *run = &d->runs[i];
		hva_t end = run->start + run->bytes;
		struct home_piece p = home_piece_at(home, m->s, run->start, end);

		if (!is_wanted(run))
			continue;
		for (; p.start < end; p = home_piece_at(home, m->s, p.end, end)) {
			int r = append_piece(m, run, &p, is_for_place, ret);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Larger first: most for least. By address among equals, so that a plan is the same every time. */
static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static bool is_full(const struct maker *m)
{
	return m->limits->max_actions != 0 && m->plan->n_actions >= m->limits->max_actions;
}

static int append_action(struct maker *m, enum action_kind kind, const struct span *part)
{
	const struct vm *vm = &m->s->vm;
	uint64_t ns_per_kib = kind == ACTION_REMAP ? REMAP_NS_PER_KIB : COPY_NS_PER_KIB;
	bool is_place = kind == ACTION_PLACE;
	const struct action a = {
		.id = m->limits->first_id + (uint32_t)m->plan->n_actions,
		.kind = kind,
		.is_folio_unknown = part->is_folio_unknown && !is_place,
		.target = {vm->pid, vm->starttime, part->start, part->bytes},
		.node = part->node,
		.cost_ns = part->bytes / 1024 * ns_per_kib,
		.gain_bytes = part->bytes,
	};

	return ARRAY_APPEND(&m->plan->actions, &m->plan->n_actions, &a);
}

/* The bound of one call: whole blocks, at least one, since less cannot be done. */
static uint64_t call_bytes(const struct maker *m, uint64_t policy_bytes, uint64_t max_bytes)
{
	uint64_t block = block_bytes(&m->s->geometry);

	return max_u64(align_down(min_u64(policy_bytes, max_bytes), block), block);
}

/* Cuts up to `bytes` of a span into calls. *ret_done: how much became actions. */
static int slice_span(struct maker *m, enum action_kind kind, const struct span *span,
		      uint64_t bytes, uint64_t call, uint64_t *ret_done)
{
	uint64_t done = 0;

	while (done < bytes && !is_full(m)) {
		struct span part = *span;
		int r;

		part.start += done;
		part.bytes = min_u64(call, bytes - done);
		r = append_action(m, kind, &part);
		if (r < 0)
			return r;
		done += part.bytes;
	}
	*ret_done = done;
	return 0;
}

static int plan_remaps(struct maker *m, const struct spans *spans)
{
	uint64_t call = call_bytes(m, m->s->policy.remap_call_bytes, REMAP_CALL_MAX_BYTES);

	for (size_t i = 0; i < spans->n_items; i++) {
		const struct span *span = &spans->items[i];
		uint64_t done = 0;
		int r = slice_span(m, ACTION_REMAP, span, span->bytes, call, &done);

		if (r < 0)
			return r;
		m->plan->remap_bytes += done;
	}
	return 0;
}

/* A call charges at most its own length to the memory cgroup before the small pages are freed. */
static uint64_t copy_call_bytes(const struct maker *m)
{
	uint64_t block = block_bytes(&m->s->geometry),
		 room = align_down(headroom_for_copy(&m->s->vm), block);

	return min_u64(call_bytes(m, m->s->policy.copy_call_bytes, COPY_CALL_MAX_BYTES), room);
}

static int plan_spans_to_place(struct maker *m, const struct spans *spans, uint64_t *left)
{
	uint64_t call = call_bytes(m, m->s->policy.copy_call_bytes, COPY_CALL_MAX_BYTES);

	for (size_t i = 0; i < spans->n_items; i++) {
		const struct span *span = &spans->items[i];
		uint64_t done = 0, most = span->node < 0 ? 0 : min_u64(span->bytes, *left);
		int r = slice_span(m, ACTION_PLACE, span, most, call, &done);

		if (r < 0)
			return r;
		*left -= done;
		m->plan->place_bytes += done;
		m->plan->deferred_place_bytes += span->bytes - done;
	}
	return 0;
}

static int plan_places(struct maker *m, const struct diagnosis *d)
{
	static const run_filter in_turn[] = {is_huge, is_remappable, is_copyable};
	uint64_t left = align_down(m->limits->place_allowance_bytes, block_bytes(&m->s->geometry));
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(in_turn); i++) {
		struct spans spans = {0};

		r = collect_spans(m, d, in_turn[i], true, &spans);
		if (r == 0)
			r = plan_spans_to_place(m, &spans, &left);
		free(spans.items);
	}
	return r;
}

/* What moves and populating left of the allowance, in whole blocks. */
static uint64_t allowance_left(const struct maker *m)
{
	uint64_t spent = m->plan->place_bytes + m->plan->populate_bytes;

	return align_down(sat_sub_u64(m->limits->copy_allowance_bytes, spent),
			  block_bytes(&m->s->geometry));
}

/* The least of the allowance that is left, and what may land where it will. */
static uint64_t populate_allowance_left(const struct maker *m)
{
	uint64_t left = allowance_left(m);

	if (m->limits->populate_nodes == 0)
		return left;
	/* Moves may have the same node in view. */
	return min_u64(left, align_down(sat_sub_u64(m->limits->populate_allowance_bytes,
						    m->plan->place_bytes),
					block_bytes(&m->s->geometry)));
}

/* Other than a copy it frees nothing: all of it together has to find room in the memory cgroup.
 * What does not is not put off, since waiting makes no room. */
static int plan_populates(struct maker *m, const struct spans *spans)
{
	uint64_t left = populate_allowance_left(m), call = copy_call_bytes(m),
		 room = align_down(headroom_for_copy(&m->s->vm), block_bytes(&m->s->geometry));

	for (size_t i = 0; i < spans->n_items && call > 0 && room > 0; i++) {
		struct span span = spans->items[i];
		uint64_t done = 0, most = min_u64(span.bytes, room);
		int r;

		span.node = (int16_t)landing_node(m->limits->populate_nodes, &m->s->host);
		r = slice_span(m, ACTION_POPULATE, &span, min_u64(most, left), call, &done);

		if (r < 0)
			return r;
		left -= done;
		room -= done;
		m->plan->populate_bytes += done;
		m->plan->deferred_populate_bytes += most - done;
	}
	return 0;
}

static int plan_copies(struct maker *m, const struct spans *spans)
{
	uint64_t left = allowance_left(m), call = copy_call_bytes(m);

	for (size_t i = 0; i < spans->n_items; i++) {
		const struct span *span = &spans->items[i];
		uint64_t done = 0;
		int r = call == 0 ? 0
				  : slice_span(m, ACTION_COPY, span, min_u64(span->bytes, left),
					       call, &done);

		if (r < 0)
			return r;
		left -= done;
		m->plan->copy_bytes += done;
		m->plan->deferred_copy_bytes += span->bytes - done;
	}
	return 0;
}

static int plan_kind(struct maker *m, const struct diagnosis *d, enum action_kind kind)
{
	static const run_filter wanted[ACTION_KIND_MAX] = {
		[ACTION_REMAP] = is_remappable,
		[ACTION_COPY] = is_copyable,
		[ACTION_POPULATE] = is_to_populate,
	};
	static int (*const make[ACTION_KIND_MAX])(struct maker *, const struct spans *) = {
		[ACTION_REMAP] = plan_remaps,
		[ACTION_COPY] = plan_copies,
		[ACTION_POPULATE] = plan_populates,
	};
	struct spans spans = {0};
	int r = collect_spans(m, d, wanted[kind], false, &spans);

	if (r == 0 && kind == ACTION_REMAP && spans.n_items > 0)
		qsort(spans.items, spans.n_items, sizeof(*spans.items), compare_spans);
	if (r == 0)
		r = make[kind](m, &spans);
	free(spans.items);
	return r;
}

int plan_make(const struct snapshot *s, const struct diagnosis *d, const struct plan_limits *limits,
	      struct plan *ret)
{
	const struct policy *policy = &s->policy;
	bool may_act = policy->mode == MODE_FULL && !policy->is_paused;
	struct plan plan = PLAN_INIT;
	struct maker m = {s, limits, &plan};
	int r = 0;

	if (may_act && policy->may_remap)
		r = plan_kind(&m, d, ACTION_REMAP);
	if (r == 0 && may_act && limits->home.nodes)
		r = plan_places(&m, d);
	if (r == 0 && may_act)
		r = plan_kind(&m, d, ACTION_POPULATE);
	if (r == 0 && may_act && policy->may_copy)
		r = plan_kind(&m, d, ACTION_COPY);
	if (r < 0) {
		plan_clear(&plan);
		return r;
	}
	plan_clear(ret);
	*ret = plan;
	return 0;
}

void plan_clear(struct plan *p)
{
	free(p->actions);
	*p = (struct plan)PLAN_INIT;
}

/* No room in the cgroup or no free huge page: the next copy (or move) would only make the kernel
 * reclaim or compact once more (KERNEL.md 1.5). */
enum plan_stop plan_stop_after(enum action_kind kind, int err)
{
	bool is_full = err == ENOMEM || (err == EBUSY && kind != ACTION_PLACE);

	if (kind != ACTION_REMAP && is_full)
		return PLAN_STOP_ALL;
	return kind == ACTION_POPULATE && populate_ends_plan(err) ? PLAN_STOP_KIND : PLAN_STOP_NONE;
}
