/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM maps into the guests of a process, as the kernel's debugfs tells it. */

#include "kvm_counts.h"
#include "process.h"

/* The counts of the process's VMs, summed, of one moment or nearly so. May wait (process.h): for
 * worker threads. 0; -ENOENT: there is no debugfs, or no VM of this process in it, or KVM does not
 * count pages there (not x86); -E2BIG, -ERANGE: more than can be; or another -errno. *ret is set
 * only on success. */
int kvm_debugfs_read(struct sys *sys, const struct process *p, struct kvm_counts *ret);
