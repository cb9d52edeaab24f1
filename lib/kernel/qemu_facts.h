/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What QEMU's monitor tells of a guest. */

#include <errno.h>

#include "guest_map.h"
#include "kvm_counts.h"
#include "qemu_slots.h"
#include "qmp.h"
#include "storage.h"

struct qemu_facts {
	/* Empty where the guest was told of no nodes, or they are not known: then map_why says why,
	 * a static text. The caller checks the spans against the regions that it found itself. */
	struct guest_map map;
	const char *map_why;
	/* Where slots_err is 0; else it is as of qemu_slots_read(), with slots_why. */
	struct qemu_slots slots;
	int slots_err;
	const char *slots_why;
	struct kvm_counts kvm; /* source KVM_SOURCE_NONE: QEMU is older than 7.1, or has no KVM */
	enum answer is_migrating; /* or about to */
	uint64_t balloon_bytes;	  /* memory that the guest has left; UINT64_MAX: not known */
};

#define QEMU_FACTS_INIT                                                                            \
	{                                                                                          \
		.slots_err = -EAGAIN, .slots_why = "nobody asked it", .balloon_bytes = UINT64_MAX, \
	}

/* Every command runs in QEMU's main loop: nothing is asked that nobody wants. */
enum {
	QEMU_WANT_MAP = 1 << 0,	    /* the guest's nodes */
	QEMU_WANT_SLOTS = 1 << 1,   /* KVM's memslots */
	QEMU_WANT_NUMBERS = 1 << 2, /* the rest */
};

/* Asks the monitor of the held process for what is wanted, the numbers first; the rest is as
 * QEMU_FACTS_INIT. Takes QMP_SESSION_NS at most, and waits, also for the process's own memory (its
 * command line): for worker threads. 0: something was told; for what the session was too short,
 * map_why and slots_why say so. Or what qmp_open() says, or -ESRCH: the process went; with
 * *ret_why, a static text. *ret is set only on success. */
int qemu_facts_read(struct sys *sys, const struct qmp_target *target, unsigned int want,
		    struct qemu_facts *ret, const char **ret_why);

/* Whether it migrates, or is about to; *ret stays as it is where QEMU does not say. 0 or negative:
 * the session is over. */
int qemu_facts_read_migration(struct qmp *q, enum answer *ret);

void qemu_facts_clear(struct qemu_facts *facts);
