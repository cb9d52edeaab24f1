/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verify.h"

#include <errno.h>

#include "governor.h"
#include "populate.h"
#include "sights.h"

static uint64_t present_in(const struct sight *s, hva_t start, hva_t end,
			   const struct mmu_geometry *g)
{
	if (s->seen == SEEN_HUGE)
		return end - start;
	if (s->seen == SEEN_NOTHING)
		return 0;
	return min_u64(sight_part_pages(s, s->present_pages, start, end, g) * page_bytes(g),
		       end - start);
}

/* Blocks known to have had holes. What a remap maps is one folio, resident as a whole however much
 * of it was mapped; and to populate is to fill holes. */
static bool had_holes(enum action_kind kind, const struct sight *before)
{
	if (kind == ACTION_POPULATE || (kind == ACTION_REMAP && before->seen == SEEN_FOLIO))
		return false;
	return before->seen == SEEN_NOTHING ||
	       (before->seen != SEEN_UNKNOWN && before->seen != SEEN_HUGE &&
		before->fill < FILL_FULL);
}

struct looks {
	const struct sight *before, *after;
	size_t n_before, n_after;
};

static uint64_t refilled_bytes(const struct action *a, const struct looks *l,
			       const struct mmu_geometry *g)
{
	hva_t first = a->target.start, last = first + a->target.bytes;
	uint64_t bytes = 0;
	size_t i = 0, j = 0;

	while (i < l->n_before && j < l->n_after) {
		const struct sight *before = &l->before[i], *after = &l->after[j];
		hva_t start = max_u64(max_u64(before->start, after->start), first),
		      end = min_u64(min_u64(sight_end(before, g), sight_end(after, g)), last);

		if (start < end && after->seen == SEEN_HUGE && had_holes(a->kind, before))
			bytes += end - start - present_in(before, start, end, g);
		if (sight_end(before, g) <= sight_end(after, g))
			i++;
		else
			j++;
	}
	return bytes;
}

static enum effect effect_of(uint64_t huge_before, uint64_t huge_after, uint64_t bytes)
{
	if (huge_after < huge_before)
		return EFFECT_WORSE;
	if (huge_after == huge_before)
		return EFFECT_NONE;
	return huge_after == bytes ? EFFECT_DONE : EFFECT_PARTIAL;
}

static bool was_not_looked_at(const struct sight *sights, size_t n, const struct action *a,
			      const struct mmu_geometry *g)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < n; i++) {
		hva_t from = max_u64(sights[i].start, a->target.start),
		      to = min_u64(sight_end(&sights[i], g), a->target.start + a->target.bytes);

		seen += sights[i].seen == SEEN_UNKNOWN ? 0 : sat_sub_u64(to, from);
	}
	return seen < a->target.bytes;
}

static enum reason reason_of_errno(int err)
{
	switch (err) {
	case EAGAIN:
		return REASON_BUSY_RETRY;
	case EBUSY:
		return REASON_MEMCG_LIMIT;
	case ENOMEM:
		return REASON_NO_FREE_HUGE_PAGE;
	case ESRCH:
		return REASON_VANISHED;
	case EPERM:
	case EACCES:
		return REASON_NO_PERMISSION;
	case 0:
		return REASON_BUSY_RETRY; /* it was taken apart again before the second look */
	default:
		return REASON_KERNEL_REFUSED;
	}
}

/* ENOMEM also says that the mapping is gone: then it is no lack of memory. */
static enum reason reason_of_failure(const struct action *a, const struct outcome *o,
				     const struct sight *after, size_t n_after)
{
	bool is_told = n_after > 0 && a->kind != ACTION_POPULATE;

	return reason_of_errno(is_told ? outcome_node_errno(o, 0, after, n_after) : o->err);
}

static enum reason reason_of_stay(int err)
{
	switch (err) {
	case 0:
	case EBUSY: /* the kernel tried ten times */
	case EAGAIN:
		return REASON_PINNED_SUSPECTED;
	case ENOMEM:
		return REASON_NODE_FULL;
	default:
		return reason_of_errno(err);
	}
}

/* Blocks that are empty by now: given back by the guest, or unmapped by a kernel that could not
 * move them. */
static uint64_t empty_bytes(const struct looks *l, hva_t start, hva_t end,
			    const struct mmu_geometry *g)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < l->n_after; i++)
		if (l->after[i].seen == SEEN_NOTHING)
			bytes += sat_sub_u64(min_u64(sight_end(&l->after[i], g), end),
					     max_u64(l->after[i].start, start));
	return bytes;
}

/* A move: what counts is where the blocks are; and none may have lost its size on the way. What was
 * not looked at again, for instance of a VM that ended, did not get worse. */
static struct verdict verify_place(const struct action *a, const struct outcome *o,
				   const struct looks *l, const struct mmu_geometry *g)
{
	hva_t start = a->target.start, end = start + a->target.bytes;
	uint64_t huge_before = sights_huge_bytes(l->before, l->n_before, start, end, g),
		 huge_after = sights_huge_bytes(l->after, l->n_after, start, end, g),
		 there_before = sights_bytes_on(l->before, l->n_before, a->node, start, end, g),
		 there_after = sights_bytes_on(l->after, l->n_after, a->node, start, end, g),
		 left = a->target.bytes - empty_bytes(l, start, end, g);
	struct verdict v = {
		.action = a->id,
		.effect = effect_of(there_before, there_after, left),
		.placed_bytes = sat_sub_u64(there_after, there_before),
	};

	if (there_after != left)
		v.reason = reason_of_stay(o->err);
	if (was_not_looked_at(l->after, l->n_after, a, g)) {
		v.effect = v.placed_bytes > 0 ? EFFECT_PARTIAL : EFFECT_NONE;
		v.reason = o->err == 0 ? REASON_NOT_LOOKED_YET : v.reason;
		return v;
	}
	v.huge_bytes_delta = (int64_t)(huge_after - huge_before);
	if (sights_split_bytes(l->before, l->n_before, l->after, l->n_after, start, end, g) > 0) {
		v.effect = EFFECT_WORSE;
		/* Without a free block the kernel moves the pages one by one (KERNEL 9.1). */
		if (v.reason == REASON_NONE)
			v.reason = REASON_NODE_FULL;
	}
	return v;
}

struct verdict verify_action(const struct action *a, const struct outcome *o,
			     const struct sight *before, size_t n_before, const struct sight *after,
			     size_t n_after, const struct mmu_geometry *g)
{
	const struct looks looks = {before, after, n_before, n_after};
	hva_t start = a->target.start, end = start + a->target.bytes;
	uint64_t huge_before = sights_huge_bytes(before, n_before, start, end, g);
	uint64_t huge_after = sights_huge_bytes(after, n_after, start, end, g);
	struct verdict v = {
		.action = a->id,
		.effect = effect_of(huge_before, huge_after, a->target.bytes),
		.huge_bytes_delta = (int64_t)(huge_after - huge_before),
		.refilled_bytes = refilled_bytes(a, &looks, g),
	};

	if (a->kind == ACTION_PLACE)
		return verify_place(a, o, &looks, g);
	if (huge_after == a->target.bytes)
		v.reason = REASON_NONE;
	else if (o->err == 0 && was_not_looked_at(after, n_after, a, g))
		v.reason = REASON_NOT_LOOKED_YET;
	else if (a->kind == ACTION_POPULATE && populate_refusal(o->err) != REASON_NONE)
		v.reason = populate_refusal(o->err);
	else
		v.reason = reason_of_failure(a, o, after, n_after);
	return v;
}
