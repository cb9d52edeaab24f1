/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "action.h"
#include "snapshot.h"

/* Compares two looks at the target's range (sorted sights; what lies outside is ignored) and says
 * what the action did. The outcome's errno names the reason of a failure, never its extent.
 * Refilled is only what was a hole in a block that is huge now: what the guest itself touched
 * meanwhile in other blocks is not thpd's doing. verify(x, a, o, x) is EFFECT_NONE with delta 0.
 * Pure. */
struct verdict verify_action(const struct action *a, const struct outcome *o,
			     const struct sight *before, size_t n_before, const struct sight *after,
			     size_t n_after, const struct mmu_geometry *g);
