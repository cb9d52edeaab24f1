/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A thread of the VMM that runs a virtual CPU: where, and how busily. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node_set.h"

struct vcpu {
	pid_t tid;
	int16_t node;	    /* of the CPU that it ran on last; -1: not known */
	int16_t guest_node; /* of the guest, by its VMM's word; -1: not known */
	node_set_t allowed; /* nodes of the CPUs that it may run on; 0: not known */
	/* Since it was made; 0: not known. */
	uint64_t ran_ns;	 /* on a CPU */
	uint64_t migrated_pages; /* moved for it by the kernel's NUMA balancing */
	/* Between two readings; VCPU_BUSY_UNKNOWN and 0 until there were two. */
	uint32_t busy_bp; /* share of a CPU */
	uint32_t migrated_pages_per_s;
};

enum { VCPU_BUSY_UNKNOWN = UINT32_MAX };

/* Where it runs: where it was tied to, if that is one node; else where it ran last. -1: not known.
 */
int vcpu_node(const struct vcpu *v);

void vcpus_sort(struct vcpu *vcpus, size_t n);			   /* by thread */
struct vcpu *vcpus_find(struct vcpu *sorted, size_t n, pid_t tid); /* NULL: no such */

/* Compares a reading with the one `ns` before: fills what is between the two, thread by thread, and
 * carries over the guest nodes. Sorts the old one. */
void vcpus_compare(struct vcpu *news, size_t n_news, struct vcpu *olds, size_t n_olds, uint64_t ns);
