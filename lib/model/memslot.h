/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memslot of KVM: a range of guest memory at a range of the VMM's. Who says so is known of the
 * table that it is in. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

/* As in linux/kvm.h, which says nothing to the pure layers. */
enum {
	MEMSLOT_LOG_DIRTY = 1 << 0,
	MEMSLOT_READONLY = 1 << 1,
	MEMSLOT_GUEST_MEMFD = 1 << 2,
	MEMSLOT_FLAGS = (1 << 3) - 1,
};

/* KVM's own: there is no more than that of x86's system management mode. */
enum { MEMSLOT_ADDRESS_SPACES = 2 };

struct memslot {
	gpa_t gpa;
	uint64_t bytes; /* > 0 */
	hva_t hva;
	uint32_t flags;
	uint16_t slot, address_space; /* 1: x86's system management mode */
};

/* Not empty, of whole pages, at addresses that fit 63 bits on both sides, and with nothing that is
 * not known. */
bool memslot_is_lawful(const struct memslot *m, uint64_t page_bytes);

/* By address space, then by guest address. */
void memslots_sort(struct memslot *slots, size_t n);

/* How far the addresses are off, in bytes modulo `unit` (a power of two); 0 if they agree, so that
 * KVM can map by pages of that size what lies whole in the slot. */
uint64_t memslot_misalignment(const struct memslot *m, uint64_t unit);
