/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is a VM, and which of its mappings are guest RAM. */

#include "process.h"
#include "snapshot.h"

/* Identity of a process: names, uid, exe, cgroup, what its fds say. Allocates nothing. May wait
 * (process.h), and for the process's own memory, too: its command line. 0, -ESRCH, or -errno. */
int vm_identify(struct sys *sys, const struct process *p, struct vm *ret);

/* The same anew for a VM that was identified, but for what its command line said. May wait. */
int vm_refresh(struct sys *sys, const struct process *p, struct vm *vm);

/* Whether a process is too small to hold guest RAM (its whole address space is below bytes), or a
 * kernel thread: one read of statm, so that discovery does not identify every process. Never
 * waits. */
bool process_is_smaller_than(struct sys *sys, pid_t pid, uint64_t bytes);

struct survey_options {
	uint64_t min_region_bytes;
	bool want_flags; /* read smaps even if nothing hints that it would tell something */
};

/* Reads maps and fills s->regions (guest RAM only), s->vm.has_device_dax_1g and the
 * memcg headroom; asks the kernel for each region's eligibility. smaps is read
 * (regions[].are_flags_known) only where it can tell something: a region that is not eligible, a
 * userfaultfd on the host or in the VMM, KSM at work on anon memory, no eligibility probe, or
 * want_flags; and never for a process with a 1 GiB device-dax mapping. s->geometry, s->host and
 * s->vm (identity) must be filled. Sights of s are left alone. 0, -ESRCH, -EACCES, -errno. */
int region_survey(struct sys *sys, const struct process *p, const struct survey_options *o,
		  struct snapshot *s);
