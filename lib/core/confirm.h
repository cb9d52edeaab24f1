/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "action.h"
#include "host.h"
#include "sight.h"

/* Whether a fresh look (sorted sights of the target's range) still allows the action: for a copy
 * every block is fully counted and populated enough for the policy, nothing swapped, guarded
 * or copied; for a remap every block is huge already or a folio of block size. Blocks without a
 * sight are not confirmed. For a move: something is still elsewhere. For populating: something is
 * still empty. Pure. */
bool action_is_confirmed(const struct action *a, const struct sight *sights, size_t n,
			 uint16_t min_populated_bp, const struct mmu_geometry *g);

/* Whether it has to find room on its node: a move, and populating if that is for a node. Pure. */
bool action_needs_room(const struct action *a);

/* Whether it still does: free blocks for all of it above the reserve on its node, by what was read
 * of the host right before. Always true of what needs none. Pure. */
bool action_has_room(const struct action *a, const struct host *h, uint64_t reserve_bytes);
