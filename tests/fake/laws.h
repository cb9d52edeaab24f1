/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What must hold after every cycle, whatever the guests, the host and the faults did. Written
 * against the model's truth, on its own: it shares no code with the ledger or the governor. */

#include "driver.h"

struct law_hold {
	pid_t pid;
	uint64_t starttime, mm_key;
	hva_t block;
	uint64_t until_ns;
	bool is_of_hole; /* for what populates only */
};

struct law_vm {
	pid_t pid;
	uint64_t starttime, mm_key;
	uint64_t no_copy_until_ns; /* EBUSY */
};

/* A block in which thpd has seen something, or made it. */
struct law_seen {
	pid_t pid;
	uint64_t starttime, mm_key;
	hva_t block;
	bool is_given_back; /* right now, before a call */
};

struct laws {
	struct law_hold *holds; /* owned */
	size_t n_holds;
	struct law_vm *vms; /* owned */
	size_t n_vms;
	struct law_seen *seen; /* owned */
	size_t n_seen;
	uint64_t given_back_blocks, refilled_blocks; /* in calls that populate */
	uint64_t no_copy_until_ns;		     /* ENOMEM */
	uint64_t began_ns;
	struct budget budget;
	bool may_refill;      /* MinPopulated below 100 % */
	bool has_exact_looks; /* PAGEMAP_SCAN: claims about huge memory are exact */
	char why[256];	      /* the law that was broken */
};

void laws_init(struct laws *l, const struct driver *d);
void laws_clear(struct laws *l);

/* A driver's hook, userdata: laws. What is given back is looked at around each call. */
void laws_hook(struct driver *d, struct driver_vm *vm, enum driver_step step,
	       const struct action *a, void *userdata);

/* After driver_cycle(d, vm), which returned r. is_stale: the mapping or the process changed in the
 * middle of the cycle, so that sums are of a moment that is over. false: *l->why says what was
 * broken. */
bool laws_check(struct laws *l, struct driver *d, const struct driver_vm *vm, int r, bool is_stale);
