/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves memory of a VM to another node. The other place, besides collapse.c, that changes what a
 * VM's memory is. */

#include "action.h"
#include "process.h"
#include "sight.h"

/* A few bounded move_pages(2) to a->node, one if nothing stands in the way: one address for each
 * block that is one folio, every page of any other; blocks that are there already, or of which
 * nothing is known, are left alone. sights: of a look just made, sorted. Pages that other processes
 * map as well are moved in a call of their own.
 *
 * A folio keeps its size only if the node has a free block for it. If not, the kernel splits it and
 * moves the pieces, if there is room for these, and says that all is well; a split folio of shmem
 * is mapped nowhere any more (measured on Linux 6.1, 6.12 and 7.3). So who calls sees to it that
 * there is room, and looks again: err does not tell.
 *
 * Refuses (err = EINVAL, no call) what collapse_act() refuses, or is longer than 64 MiB (or one
 * block, if that is more). err: 0, ENOMEM if the node had no room for some small page, else the
 * errno of some page that did not move (EBUSY where the kernel tells none: it is pinned, or there
 * was no room for a folio), or of the call. The kernel goes by the pid: a process that ended in
 * between could only be mistaken for one that got its pid within the microseconds after it was seen
 * alive, and that has no memory at these addresses or would have it moved, never changed. */
struct outcome place_act(struct sys *sys, const struct process *p, const struct action *a,
			 const struct sight *sights, size_t n, const struct mmu_geometry *g);
