/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memslot of KVM: a range of guest memory at a range of the VMM's. Who says so is known of the
 * table that it is in. */

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

/* As in linux/kvm.h, which says nothing to the pure layers. */
enum {
	MEMSLOT_LOG_DIRTY = 1 << 0,
	MEMSLOT_READONLY = 1 << 1,
	MEMSLOT_GUEST_MEMFD = 1 << 2,
};

struct memslot {
	gpa_t gpa;
	uint64_t bytes; /* > 0 */
	hva_t hva;
	uint32_t flags;
	uint16_t slot, address_space; /* 1: x86's system management mode */
};
