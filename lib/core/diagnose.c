/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diagnose.h"

#include <errno.h>

#include "array.h"
#include "bar.h"
#include "cleanup.h"
#include "footing.h"
#include "holds.h"
#include "judge.h"
#include "sights.h"

/* Theory of operation: regions, sights and holds are sorted lists. The walk goes through them once,
 * side by side, and cuts the regions into parts in which nothing changes: an edge outside whole
 * blocks, a gap nobody looked at, or some of one sight under at most one hold and, where a file is
 * mapped directly, on one piece of it (footing.c). Each part is judged (judge.c, bar.c) and joins
 * the last run if it says the same. Every byte of every region is in exactly one run. */

struct walk {
	const struct snapshot *s;
	uint64_t now_ns;
	struct diagnosis *d;
	size_t sight, hold; /* cursors: what lies before is done with */
};

/* One region while it is walked. first and last bound its whole blocks and lie inside it. */
struct ground {
	const struct region *region;
	uint32_t index;
	enum reason bar;
	hva_t first, last;
	struct footing *footing; /* of a file that is mapped directly, where it is known */
};

/* What holds for one part of a region, whatever its pages are. */
struct conditions {
	const struct hold *hold; /* may be NULL */
	enum reason bar;
	uint64_t off_by; /* dax-extent-misaligned */
};

struct part {
	struct run run;
	uint64_t swapped_bytes;
	enum count_need count;
};

/* What is barred and never looked at (hugetlb, secret memory, devices) is accounted by its range.
 */
static void totals_add_range(struct totals *t, const struct run *run)
{
	t->uncounted_barred_bytes += run->bytes;
	t->uncounted_by_reason[run->reason] += run->bytes;
}

static void totals_add(struct totals *t, const struct part *p)
{
	bool is_counted = p->run.resident_bytes != UINT64_MAX;
	uint64_t resident = is_counted ? p->run.resident_bytes : 0, amount = resident;

	if (p->run.state == BLOCK_EMPTY)
		amount = p->run.bytes;
	else if (p->run.state == BLOCK_SWAPPED)
		amount = sat_add_u64(resident, p->swapped_bytes);
	t->ram_bytes += p->run.bytes;
	t->resident_bytes += resident;
	t->uncounted_bytes += is_counted ? 0 : p->run.bytes;
	t->huge_bytes += p->run.state == BLOCK_HUGE ? resident : 0;
	t->by_state[p->run.state] += amount;
	t->by_reason[p->run.reason] += amount;
}

static bool run_can_join(const struct run *a, const struct run *b)
{
	return a->region == b->region && a->start + a->bytes == b->start && a->state == b->state &&
	       a->reason == b->reason && a->node == b->node &&
	       a->misaligned_bytes == b->misaligned_bytes &&
	       (a->resident_bytes == UINT64_MAX) == (b->resident_bytes == UINT64_MAX);
}

static int append_run(struct diagnosis *d, const struct run *run)
{
	struct run *last = d->n_runs > 0 ? &d->runs[d->n_runs - 1] : NULL;

	if (!last || !run_can_join(last, run))
		return ARRAY_APPEND(&d->runs, &d->n_runs, run);
	last->bytes += run->bytes;
	if (last->resident_bytes != UINT64_MAX)
		last->resident_bytes += run->resident_bytes;
	return 0;
}

static int append_want(struct diagnosis *d, const struct want *want, const struct region *region)
{
	struct want *last = d->n_wants > 0 ? &d->wants[d->n_wants - 1] : NULL;

	if (!last || last->end != want->start || last->is_for_action != want->is_for_action ||
	    last->start < region->start)
		return ARRAY_APPEND(&d->wants, &d->n_wants, want);
	last->end = want->end;
	return 0;
}

static int append_part(struct walk *w, const struct ground *ground, const struct part *p)
{
	struct want want = {p->run.start, p->run.start + p->run.bytes,
			    p->count == COUNT_FOR_ACTION};
	struct run run = p->run;
	int r;

	if (run.reason == REASON_MISALIGNED_MAPPING || run.reason == REASON_DAX_COLOUR)
		run.misaligned_bytes = region_misalignment(ground->region, &w->s->geometry);
	totals_add(&w->d->totals, p);
	if (p->run.state == BLOCK_BARRED && p->run.resident_bytes == UINT64_MAX &&
	    !region_is_countable(ground->region))
		totals_add_range(&w->d->totals, &p->run);
	r = append_run(w->d, &run);
	if (r < 0 || p->count == COUNT_KNOWN || p->count == COUNT_IMPOSSIBLE)
		return r;
	return region_is_countable(ground->region) ? append_want(w->d, &want, ground->region) : 0;
}

/* The part of a VMA that no whole block covers: it can never be huge. */
static int emit_edge(struct walk *w, const struct ground *ground, hva_t start, hva_t end,
		     uint64_t *present_bytes)
{
	struct part p = {
		.run = {.start = start,
			.bytes = end - start,
			.state = BLOCK_BARRED,
			.reason = REASON_HVA_TOO_SHORT,
			.node = -1,
			.resident_bytes = UINT64_MAX,
			.region = ground->index},
		.count = COUNT_IMPOSSIBLE,
	};

	if (start >= end)
		return 0;
	if (bar_explains_edges(ground->bar))
		p.run.reason = ground->bar;
	if (*present_bytes != UINT64_MAX) {
		p.run.resident_bytes = min_u64(*present_bytes, p.run.bytes);
		*present_bytes -= p.run.resident_bytes;
	}
	return append_part(w, ground, &p);
}

static uint64_t part_bytes(const struct walk *w, const struct sight *sight, uint64_t pages,
			   hva_t start, hva_t end)
{
	const struct mmu_geometry *g = &w->s->geometry;
	uint64_t part = sight_part_pages(sight, pages, start, end, g);

	return min_u64(part, (end - start) / page_bytes(g)) * page_bytes(g);
}

static uint64_t resident_of(const struct walk *w, const struct judgement *j,
			    const struct sight *sight, hva_t start, hva_t end)
{
	if (j->count != COUNT_KNOWN)
		return UINT64_MAX;
	if (j->is_whole)
		return end - start;
	if (sight->seen == SEEN_NOTHING)
		return 0;
	return part_bytes(w, sight, sight->present_pages, start, end);
}

static uint64_t swapped_of(const struct walk *w, const struct sight *sight, hva_t start, hva_t end)
{
	if (sight->seen == SEEN_UNKNOWN || sight->fill == FILL_UNKNOWN)
		return 0;
	return part_bytes(w, sight, sight->swapped_pages, start, end);
}

static struct judgement judge_part(const struct walk *w, const struct ground *ground,
				   const struct sight *sight, const struct conditions *c)
{
	struct judgement j = judge_blocks(w->s, ground->region, sight);

	if (c->bar != REASON_NONE)
		return judge_barred(&j, sight, c->bar);
	if (c->hold)
		j = judge_held(&j, sight, c->hold->reason);
	j = judge_policy(&j, w->s, ground->region);
	if (c->hold && j.reason == REASON_TO_POPULATE)
		j.reason = c->hold->reason;
	return j;
}

static int emit_blocks(struct walk *w, const struct ground *ground, const struct sight *sight,
		       hva_t start, hva_t end, const struct conditions *c)
{
	struct judgement j = judge_part(w, ground, sight, c);
	/* Where the whole VMA is barred, nodes would only cut one finding into many. */
	bool has_node = j.state != BLOCK_BARRED || ground->bar == REASON_NONE;
	struct part p = {
		.run = {.start = start,
			.bytes = end - start,
			.state = j.state,
			.reason = j.reason,
			.node = has_node ? sight->node : -1,
			.resident_bytes = resident_of(w, &j, sight, start, end),
			.region = ground->index,
			.misaligned_bytes =
				j.reason == REASON_DAX_EXTENT_MISALIGNED ? c->off_by : 0},
		.swapped_bytes = swapped_of(w, sight, start, end),
		.count = j.count,
	};

	return append_part(w, ground, &p);
}

/* The hold that still counts at start, or NULL; *end is cut to where the answer changes. */
static const struct hold *hold_at(struct walk *w, hva_t start, hva_t *end)
{
	const struct snapshot *s = w->s;

	while (w->hold < s->n_holds &&
	       (s->holds[w->hold].end <= start || !hold_is_active(&s->holds[w->hold], w->now_ns)))
		w->hold++;
	if (w->hold == s->n_holds)
		return NULL;
	if (s->holds[w->hold].start > start) {
		*end = min_u64(*end, s->holds[w->hold].start);
		return NULL;
	}
	*end = min_u64(*end, s->holds[w->hold].end);
	return &s->holds[w->hold];
}

/* On a file that is mapped directly each piece has a bar of its own; *end is cut to where the
 * answer changes. */
static void bar_at(const struct walk *w, const struct ground *ground, hva_t start, hva_t *end,
		   struct conditions *c)
{
	const struct piece *piece;

	c->bar = ground->bar;
	if (!ground->footing)
		return;
	piece = footing_at(ground->footing, start, end);
	c->bar = footing_reason(w->s, piece);
	c->off_by = piece ? piece->off_by : 0;
}

static int walk_sight(struct walk *w, const struct ground *ground, const struct sight *sight,
		      hva_t start, hva_t end)
{
	while (start < end) {
		hva_t cut = end;
		struct conditions c = {.hold = hold_at(w, start, &cut)};
		int r;

		bar_at(w, ground, start, &cut, &c);
		r = emit_blocks(w, ground, sight, start, cut, &c);
		if (r < 0)
			return r;
		start = cut;
	}
	return 0;
}

static int walk_gap(struct walk *w, const struct ground *ground, hva_t start, hva_t end)
{
	const struct sight nothing_known = {.start = start, .fill = FILL_UNKNOWN, .node = -1};

	return walk_sight(w, ground, &nothing_known, start, end);
}

static int walk_blocks(struct walk *w, const struct ground *ground)
{
	const struct snapshot *s = w->s;
	hva_t at = ground->first;
	int r = 0;

	while (r == 0 && w->sight < s->n_sights) {
		const struct sight *sight = &s->sights[w->sight];
		hva_t end = sight_end(sight, &s->geometry);

		if (end <= at) {
			w->sight++;
			continue;
		}
		if (sight->start >= ground->last)
			break;
		r = walk_gap(w, ground, at, max_u64(at, sight->start));
		at = max_u64(at, sight->start);
		if (r == 0)
			r = walk_sight(w, ground, sight, at, min_u64(end, ground->last));
		at = min_u64(end, ground->last);
		/* Equal neighbours are one sight even across VMAs: the next region needs it too. */
		if (end > ground->last)
			break;
		w->sight++;
	}
	return r < 0 ? r : walk_gap(w, ground, at, ground->last);
}

static int walk_ground(struct walk *w, const struct ground *ground)
{
	const struct region *r = ground->region;
	const struct mmu_geometry *g = &w->s->geometry;
	uint64_t present_bytes = r->edge_present_pages > UINT64_MAX / page_bytes(g)
					 ? UINT64_MAX
					 : r->edge_present_pages * page_bytes(g);
	int err = emit_edge(w, ground, r->start, ground->first, &present_bytes);

	if (err == 0)
		err = walk_blocks(w, ground);
	return err < 0 ? err : emit_edge(w, ground, ground->last, r->end, &present_bytes);
}

static int walk_region(struct walk *w, uint32_t index)
{
	_cleanup_(footing_clear) struct footing footing = {.next = 0};
	const struct region *r = &w->s->regions[index];
	const struct mmu_geometry *g = &w->s->geometry;
	struct ground ground = {
		.region = r,
		.index = index,
		.bar = region_bar(w->s, r),
		.first = min_u64(region_first_block(r, g), r->end),
		.last = min_u64(region_last_block(r, g), r->end),
	};

	if (ground.bar == REASON_DAX && r->backing == BACKING_FSDAX && r->are_extents_known) {
		int err = footing_of(w->s, r, &footing);

		if (err < 0)
			return err;
		ground.footing = &footing;
	}
	return walk_ground(w, &ground);
}

int diagnose(const struct snapshot *s, uint64_t now_ns, struct diagnosis *ret)
{
	struct diagnosis d = DIAGNOSIS_INIT;
	struct walk w = {.s = s, .now_ns = now_ns, .d = &d};

	for (uint32_t i = 0; i < s->n_regions; i++) {
		int r = walk_region(&w, i);

		if (r < 0) {
			diagnosis_clear(&d);
			return r;
		}
	}
	diagnosis_clear(ret);
	*ret = d;
	return 0;
}
