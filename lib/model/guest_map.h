/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The NUMA nodes that the guest was told of: which of its memory and which of its vCPUs belong
 * together. */

#include <stdint.h>

#include "address.h"

enum { GUEST_NODES_MAX = 128 };

/* A range of the VMM's addresses that is memory of one guest node. */
struct guest_span {
	hva_t start;
	uint64_t bytes;
	int16_t guest_node; /* 0 .. GUEST_NODES_MAX - 1 */
};
