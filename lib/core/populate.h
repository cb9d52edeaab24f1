/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether memory of a VM that was never there is given huge pages before the guest touches it. A
 * hole that the guest made looks the same as one that was never filled, so only what is known from
 * the VM's start can tell. Pure. */

#include "action.h"
#include "interval.h"
#include "snapshot.h"

/* What an operator asked for, until it is done. */
enum populate_wish {
	POPULATE_WISH_NONE = 0,
	POPULATE_WISH_ASKED,  /* whatever the policy, and later than at the start */
	POPULATE_WISH_FORCED, /* besides, whatever the VM's history */
};

/* The history of one VM. */
struct populate_history {
	bool is_begun;		  /* it was observed once */
	bool is_from_start;	  /* the first time within 30 s of the start of its process */
	bool gave_back;		  /* what was once there is there no more */
	uint64_t until_ns;	  /* its first time is over: ten minutes from its start */
	struct interval_set seen; /* where something was, ever */
	enum populate_wish wish;
};

#define POPULATE_HISTORY_INIT             \
	{                                 \
		.seen = INTERVAL_SET_INIT \
	}

void populate_clear(struct populate_history *h);

/* Learns from a fresh look; s->vm.age_ns is of the survey before it. 0 or -ENOMEM. */
int populate_observe(struct populate_history *h, const struct snapshot *s, uint64_t now_ns);

/* Learns from the look that follows an action, of whatever kind: what was made must not first be
 * seen after the guest gave it back. What it saw, it saw; that it saw nothing counts only where
 * populating was done without an error, since a call that fails can leave a block unmapped that is
 * there, or never have made it. 0 or -ENOMEM. */
int populate_learn(struct populate_history *h, const struct action *a, const struct outcome *o,
		   const struct sight *after, size_t n, const struct mmu_geometry *g);

/* What becomes s->populate_held: why no hole of this VM may be populated now, or none. */
enum reason populate_held(const struct populate_history *h, const struct snapshot *s,
			  uint64_t now_ns);

/* Whether the next survey has to read the flags of mappings: without them nothing is populated. */
bool populate_wants_flags(const struct populate_history *h, const struct snapshot *s,
			  uint64_t now_ns);

/* The reason of an empty block of a region that nothing bars: to-populate, never-touched, or why it
 * is not populated. */
enum reason populate_reason(const struct snapshot *s, const struct region *r);

/* What the errno of populating says of this place; none: it says something of the node, the memory
 * cgroup or the process. */
enum reason populate_refusal(int err);
bool populate_is_refusal(enum reason reason);

/* Whether what came of populating one place says that populating the next would fail as well, each
 * at a page that is paid by whoever asks, not by the VM (kernel/fill.c). */
bool populate_ends_plan(int err);
