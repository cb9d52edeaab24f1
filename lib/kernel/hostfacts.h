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
		     struct host *h); /* meminfo, buddyinfo: cheap, read often */

/* Does the process hold a userfaultfd, or could its fds not be listed? May wait (process.h);
 * allocates nothing. */
bool process_may_hold_userfaultfd(struct sys *sys, pid_t pid);
/* Does any? Walks all of /proc. May wait. */
bool host_has_userfaultfd(struct sys *sys);
