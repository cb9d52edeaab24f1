/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memslots of a QEMU, as far as its human monitor tells. */

#include "memslot.h"
#include "qmp.h"

/* Each costs QEMU's main loop a question. A PC has some ten, each DIMM one more. */
enum { QEMU_SLOTS_MAX = 256 };

struct qemu_slots {
	struct memslot *items; /* owned; by guest address */
	size_t n;
};

/* Of the ranges of guest memory that `mtree` (the text of `info mtree -f`) says KVM has a slot of:
 * asks where the VMM has each. What the monitor does not tell is 0: the numbers of the slots, and
 * that their dirty log is on or that they have guest_memfd; and those of x86's system management
 * mode are not there. All or nothing. 0; or, with *ret_why (a static text): -ENODATA: it tells of
 * none, or of none that thpd asks about, and will not soon; -EAGAIN: memory came or went meanwhile;
 * another: the session is over, or -ENOMEM. */
int qemu_slots_read(struct qmp *q, const char *mtree, struct qemu_slots *ret, const char **ret_why);

void qemu_slots_clear(struct qemu_slots *slots);
