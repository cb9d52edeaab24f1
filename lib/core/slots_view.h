/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM can never map by huge pages, because of how the VMM made its memslots, whatever the host
 * does. Pure. */

#include "reason.h"
#include "snapshot.h"

struct slots_view {
	bool is_known;	  /* else nobody told, and the sums below are 0 */
	bool is_inferred; /* by QEMU's monitor, which does not tell of guest_memfd */
	/* Resident, as far as its pages are counted; a byte once in a sum, however many slots it is
	 * in. */
	uint64_t not_congruent_bytes; /* in slots whose two addresses disagree within a block */
	uint64_t head_tail_bytes;     /* before the first and behind the last whole block */
	uint64_t private_bytes;	      /* of slots with guest_memfd: their size */
};

/* Why KVM cannot map all whole blocks of the slot huge where the host does: slot-not-congruent,
 * slot-head-tail (it has none), sev-or-guest-memfd, or none: it can. */
enum reason memslot_reason(const struct memslot *m, const struct mmu_geometry *g);

/* Only of what is guest RAM: the first address space (the other one has the same memory once more),
 * and not what the guest may not write (ROM). 0 or -ENOMEM. */
int slots_view_of(const struct snapshot *s, struct slots_view *ret);
