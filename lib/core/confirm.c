/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "confirm.h"

static bool sight_allows(const struct action *a, const struct sight *s, uint16_t min_populated_bp)
{
	if (s->seen == SEEN_HUGE)
		return true;
	if (a->kind == ACTION_REMAP)
		return s->seen == SEEN_FOLIO;
	if (s->flags & (SIGHT_SWAP | SIGHT_GUARD | SIGHT_ANON_COPY))
		return false;
	return fill_suffices(s->fill, min_populated_bp);
}

/* A move leaves alone what is not there, and what is already. */
static bool needs_placing(const struct action *a, const struct sight *sights, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sights[i].node >= 0 && sights[i].node != a->node)
			return true;
	return false;
}

/* Of what is populated only the blocks that are still empty count (kernel/fill.h). */
static bool needs_populating(const struct sight *sights, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sights[i].seen == SEEN_NOTHING && !(sights[i].flags & SIGHT_GUARD))
			return true;
	return false;
}

bool action_is_confirmed(const struct action *a, const struct sight *sights, size_t n,
			 uint16_t min_populated_bp, const struct mmu_geometry *g)
{
	uint64_t blocks = 0;

	if (a->kind == ACTION_PLACE)
		return needs_placing(a, sights, n);
	if (a->kind == ACTION_POPULATE)
		return needs_populating(sights, n);
	for (size_t i = 0; i < n; i++) {
		if (!sight_allows(a, &sights[i], min_populated_bp))
			return false;
		blocks += sights[i].blocks;
	}
	return blocks == a->target.bytes / block_bytes(g);
}

bool action_needs_room(const struct action *a)
{
	return a->kind == ACTION_PLACE || (a->kind == ACTION_POPULATE && a->node >= 0);
}

bool action_has_room(const struct action *a, const struct host *h, uint64_t reserve_bytes)
{
	return !action_needs_room(a) ||
	       host_room_bytes(h, a->node, reserve_bytes) >= a->target.bytes;
}
