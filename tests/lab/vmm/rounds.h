/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is done to a slot again and again while the guest works in it, pass after pass
 * (machine_begin()). Functions return 0 or negative errno. */

#include "slot.h"

/* What the guest feels of a call: its slowest step from the call on, until 10 ms after it. */
struct stall {
	uint64_t call_us;  /* the call itself, the median of all rounds */
	uint64_t worst_us; /* the slowest step, the median of all rounds */
	uint64_t most_us;  /* the slowest of all */
	uint64_t step_ns;  /* half of all steps took no longer (a power of two of ticks) */
};

/* call may be NULL, for comparison. The guest makes a whole pass between two rounds. */
int rounds_stall(struct slot *s, struct machine *m, int rounds,
		 int (*call)(struct slot *s, struct machine *m), struct stall *ret);

struct churn {
	int left_over;	    /* rounds that left KVM with small pages */
	uint64_t most_left; /* at most so many */
	int refused;	    /* rounds whose collapse the kernel refused to the end: not counted */
};

/* Takes the mapping apart and collapses it. The guest touches all of it before the look at KVM. */
int rounds_churn(struct slot *s, struct machine *m, int rounds, struct churn *ret);
