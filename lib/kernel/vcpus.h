/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The threads that run a VM's virtual CPUs. */

#include "process.h"
#include "vcpu.h"

/* Finds them by the names that VMMs give them ("CPU 0/KVM": QEMU; "vcpu0": Cloud Hypervisor;
 * "fc_vcpu 0": Firecracker; "crosvm_vcpu0"), SNAPSHOT_VCPUS_MAX at most, and reads where each ran
 * last, where it may run, and how long it has run. A VMM that gives its threads false names
 * misleads about itself alone. with_migrations: also what NUMA balancing moved for each.
 * *ret is malloc'ed, in the order of /proc. May wait (process.h): stat. 0, -ESRCH, -ENOMEM or
 * -errno. */
int vcpus_read(struct sys *sys, const struct process *p, bool with_migrations, struct vcpu **ret,
	       size_t *ret_n);
