/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM maps into the guests of a process, as the kernel's debugfs tells it. */

#include "kvm_counts.h"
#include "process.h"

/* A VM of the process, and where the kernel tells of it. */
struct kvm_debugfs_vm {
	uint64_t tid, fd; /* the thread that made it, and its descriptor */
	char path[64];	  /* its directory, below the root */
};

enum { KVM_DEBUGFS_FILES = 4 };

/* The files of that directory that are read; of no other is any use made. */
extern const char *const kvm_debugfs_files[KVM_DEBUGFS_FILES];

/* The VMs of the process: *ret is malloc'ed. 0, also where there are none; -ENOENT: there is no
 * debugfs; -E2BIG: more than `max` of them, or more than can be; or another -errno. May wait, as
 * below. */
int kvm_debugfs_list(struct sys *sys, const struct process *p, size_t max,
		     struct kvm_debugfs_vm **ret, size_t *ret_n);

/* The counts of the process's VMs, summed, of one moment or nearly so. May wait (process.h): for
 * worker threads. 0; -ENOENT: there is no debugfs, or no VM of this process in it, or KVM does not
 * count pages there (not x86); -E2BIG, -ERANGE: more than can be; or another -errno. *ret is set
 * only on success. */
int kvm_debugfs_read(struct sys *sys, const struct process *p, struct kvm_counts *ret);
