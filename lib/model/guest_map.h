/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The NUMA nodes that the guest was told of: which of its memory and which of its vCPUs belong
 * together. */

#include <stdbool.h>
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

/* The thread of a vCPU, as the VMM itself sees its number. */
struct guest_cpu {
	pid_t tid;
	int16_t guest_node; /* 0 .. GUEST_NODES_MAX - 1 */
};

struct guest_map {
	struct guest_span *spans; /* owned; sorted by start, disjoint */
	size_t n_spans;
	struct guest_cpu *cpus; /* owned */
	size_t n_cpus;
};

#define GUEST_MAP_INIT \
	{              \
		0      \
	}

/* Of a guest node, not empty, and in user space. */
bool guest_span_is_lawful(const struct guest_span *span);

/* By start. */
void guest_spans_sort(struct guest_span *spans, size_t n);

/* Sorts the spans. -EINVAL: one is empty, not of whole pages, beyond the address space, of no
 * node, or overlaps another one. */
int guest_map_settle(struct guest_map *map, uint64_t page_bytes);

void guest_map_clear(struct guest_map *map);
