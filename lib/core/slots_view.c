/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: KVM maps a huge page only where it lies whole in one slot and at the same
 * place within a block in the guest and in the VMM (KERNEL.md 4.6). Where a slot's two addresses
 * disagree nothing of it can be huge; else all but its head and its tail. Both are ranges of the
 * VMM's addresses. A hostile VMM may have many slots at the same place, so the ranges are sorted
 * and merged before they are laid over the sights, which are sorted, too. */
#include "slots_view.h"

#include <stdlib.h>

#include "array.h"
#include "interval.h"
#include "sights.h"

struct ranges {
	struct interval *items; /* owned */
	size_t n;
};

static int ranges_add(struct ranges *r, hva_t start, hva_t end)
{
	const struct interval range = {start, end};

	return start < end ? ARRAY_APPEND(&r->items, &r->n, &range) : 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts them, and makes one of those that meet. */
static void ranges_merge(struct ranges *r)
{
	size_t kept = 0;

	if (r->n > 0)
		qsort(r->items, r->n, sizeof(*r->items), compare_ranges);
	for (size_t i = 0; i < r->n; i++) {
		struct interval *last = kept > 0 ? &r->items[kept - 1] : NULL;

		if (last && r->items[i].start <= last->end)
			last->end = max_u64(last->end, r->items[i].end);
		else
			r->items[kept++] = r->items[i];
	}
	r->n = kept;
}

/* Of `bytes` that lie in the sight, whose blocks are alike. In two terms so that nothing overflows;
 * that may be a page too little. */
static uint64_t resident_part(const struct sight *v, uint64_t bytes, const struct mmu_geometry *g)
{
	uint64_t pages = bytes >> g->base_shift, blocks = pages >> g->pmd_order;

	if (v->seen == SEEN_HUGE)
		return bytes;
	if (v->seen == SEEN_UNKNOWN || v->seen == SEEN_NOTHING || v->fill == FILL_UNKNOWN)
		return 0;
	pages = (v->present_pages / v->blocks * pages >> g->pmd_order) +
		v->present_pages % v->blocks * blocks / v->blocks;
	return pages << g->base_shift;
}

static uint64_t resident_bytes(struct ranges *r, const struct snapshot *s)
{
	const struct mmu_geometry *g = &s->geometry;
	uint64_t sum = 0;
	size_t i = 0, k = 0;

	ranges_merge(r);
	while (i < r->n && k < s->n_sights) {
		const struct sight *v = &s->sights[k];
		hva_t end = sight_end(v, g), from = max_u64(r->items[i].start, v->start),
		      to = min_u64(r->items[i].end, end);

		sum += resident_part(v, sat_sub_u64(to, from), g);
		if (r->items[i].end < end)
			i++;
		else
			k++;
	}
	return sum;
}

/* Whole blocks of the guest's, which a slot with other addresses could have huge. */
static bool has_blocks(const struct memslot *m, uint64_t block)
{
	return align_up(m->gpa, block) < align_down(m->gpa + m->bytes, block);
}

static bool is_congruent(const struct memslot *m, uint64_t block)
{
	return !has_blocks(m, block) || memslot_misalignment(m, block) == 0;
}

enum reason memslot_reason(const struct memslot *m, const struct mmu_geometry *g)
{
	uint64_t block = block_bytes(g);

	if (m->flags & MEMSLOT_GUEST_MEMFD)
		return REASON_SEV_OR_GUEST_MEMFD;
	if (!has_blocks(m, block))
		return REASON_SLOT_HEAD_TAIL;
	return is_congruent(m, block) ? REASON_NONE : REASON_SLOT_NOT_CONGRUENT;
}

static int add_head_and_tail(struct ranges *r, const struct memslot *m, uint64_t block)
{
	gpa_t end = m->gpa + m->bytes;
	uint64_t head = align_up(m->gpa, block) - m->gpa, tail = end - align_down(end, block);
	int err;

	if (!has_blocks(m, block))
		return ranges_add(r, m->hva, m->hva + m->bytes);
	err = ranges_add(r, m->hva, m->hva + head);
	return err < 0 ? err : ranges_add(r, m->hva + m->bytes - tail, m->hva + m->bytes);
}

static bool is_ram(const struct memslot *m)
{
	return m->address_space == 0 && !(m->flags & MEMSLOT_READONLY);
}

int slots_view_of(const struct snapshot *s, struct slots_view *ret)
{
	uint64_t block = block_bytes(&s->geometry);
	struct slots_view v = {
		.is_known = snapshot_has_memslots(s),
		.is_inferred = s->memslots_inferred_ns > 0,
	};
	struct ranges disagreeing = {0}, edges = {0};
	int r = 0;

	for (size_t i = 0; i < s->n_memslots && r == 0; i++) {
		const struct memslot *m = &s->memslots[i];

		if (!is_ram(m))
			continue;
		if (m->flags & MEMSLOT_GUEST_MEMFD)
			v.private_bytes += m->bytes;
		if (is_congruent(m, block))
			r = add_head_and_tail(&edges, m, block);
		else
			r = ranges_add(&disagreeing, m->hva, m->hva + m->bytes);
	}
	if (r == 0) {
		v.not_congruent_bytes = resident_bytes(&disagreeing, s);
		v.head_tail_bytes = resident_bytes(&edges, s);
		*ret = v;
	}
	free(disagreeing.items);
	free(edges.items);
	return r;
}
