/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Facts of the host: geometry, knobs, nodes. Each reads below sys->rootfd; what is missing is
 * unknown, not an error. */

#include "host.h"
#include "sys.h"

int host_read_geometry(
	struct sys *sys,
	struct mmu_geometry *ret); /* page size, hpage_pmd_size. 0, -EOPNOTSUPP without THP */
int host_read_knobs(struct sys *sys, const struct mmu_geometry *g,
		    struct host *h); /* thp, shmem, ksm, release, cpus */
int host_read_memory(struct sys *sys, const struct mmu_geometry *g,
		     struct host *h); /* meminfo and host_read_zones(): cheap, read often */

/* Free memory by node, and what of it may be had in blocks (buddyinfo, zoneinfo). Where there is no
 * zoneinfo the kernel is taken to keep nothing. */
void host_read_zones(struct sys *sys, const struct mmu_geometry *g, struct host *h);

/* Of the nodes that host_read_memory() found: size, CPUs, distances; and whether the kernel moves
 * memory between them. Nothing where there is one. */
void host_read_nodes(struct sys *sys, struct host *h);

/* Does the process hold a userfaultfd, or could its fds not be listed? May wait (process.h);
 * allocates nothing. */
bool process_may_hold_userfaultfd(struct sys *sys, pid_t pid);
/* Is there certainly none on the whole host? The kernel's slab cache of them was never used, or has
 * been emptied (it has a constructor, so that it is never merged with another cache:
 * fs/userfaultfd.c). false: there may be one, or the file cannot be read. Never waits for a
 * process; a few microseconds. */
bool host_rules_out_userfaultfd(struct sys *sys);
/* Does anybody hold one? Walks all of /proc unless it is ruled out. May wait. */
bool host_has_userfaultfd(struct sys *sys);
