/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The NUMA nodes that the guest was told of: which of its memory and which of its vCPUs belong
 * together. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"

enum { GUEST_NODES_MAX = 128 };

/* A range of the VMM's addresses that is memory of one guest node. */
struct guest_span {
	hva_t start;
	uint64_t bytes;
	int16_t guest_node; /* 0 .. GUEST_NODES_MAX - 1 */
};

/* A virtual CPU of one guest node, by the thread of the VMM that runs it. */
struct guest_cpu {
	pid_t tid;
	int16_t guest_node;
};

/* As a VMM tells it: in any order, and whatever it likes. */
struct guest_map {
	struct guest_span *spans; /* owned */
	size_t n_spans;
	struct guest_cpu *cpus; /* owned */
	size_t n_cpus;
};

void guest_map_clear(struct guest_map *m); /* frees what it owns and makes it empty */
