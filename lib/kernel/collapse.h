/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only place that changes a VM's memory. */

#include "action.h"
#include "process.h"
#include "region.h"

/* Asks the kernel whether the VMA at start (of a whole block) can be collapsed at all, by
 * collapsing nothing: the call covers one page, so no block is inside it, but the VMA is checked
 * first (tests/expect proves it). */
enum eligibility collapse_probe(struct sys *sys, const struct process *p, hva_t start,
				const struct mmu_geometry *g);

/* One bounded process_madvise(MADV_COLLAPSE). Refuses (err = EINVAL, no call) what is not block
 * aligned, is longer than 1 GiB, or is not this process. err: 0 or positive errno. */
struct outcome collapse_act(struct sys *sys, const struct process *p, const struct action *a,
			    const struct mmu_geometry *g);
