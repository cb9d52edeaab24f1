/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives holes of a shared shmem file huge folios: a small page each (hole.h), then a collapse,
 * which allocates a huge folio and clears it. Besides collapse.c and place.c the third place that
 * changes what a VM's memory is; no byte of it. */

#include "action.h"
#include "process.h"
#include "region.h"
#include "sight.h"

/* Populates the blocks of the target that the sights, of a look just made and sorted, show empty,
 * and that are holes in the file as well. r: the mapping that holds the target. If no huge page is
 * to be had, a small one stays in each hole that was tried (one, if not even the first block went
 * well): taking it out again could lose what the guest wrote meanwhile. They come from a->node, if
 * that is not -1 and the file has no policy of its own, and with them the huge ones, which the
 * kernel makes where most of a block is.
 *
 * Refuses (err = EINVAL, no call) what collapse_act() refuses, is longer than 64 MiB (or one block,
 * if that is more), or does not lie in r. err: 0, of what made it give up, or EEXIST where there
 * only were data in the file. */
struct outcome fill_act(struct sys *sys, const struct process *p, const struct action *a,
			const struct region *r, const struct sight *sights, size_t n,
			const struct mmu_geometry *g);
