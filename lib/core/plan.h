/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "action.h"
#include "home.h"
#include "interval.h"
#include "run.h"
#include "snapshot.h"

struct plan {
	struct action *actions; /* owned; in the order in which they should be started */
	size_t n_actions;
	uint64_t remap_bytes, copy_bytes, place_bytes, populate_bytes; /* what is planned now */
	/* Would pay, but is beyond the allowance. */
	uint64_t deferred_copy_bytes, deferred_place_bytes, deferred_populate_bytes;
};

#define PLAN_INIT \
	{         \
		0 \
	}

struct plan_limits {
	uint64_t copy_allowance_bytes; /* from the governor; UINT64_MAX = unlimited */
	/* A move under way (mover.h): of what lies elsewhere than the home says that part of it
	 * which belongs to place_node. What belongs to nodes of the home that are full alone is
	 * treated as if it were there. Moves come out of the same allowance as copies, and out of
	 * this one. */
	struct home home;		    /* no nodes: nothing is moved */
	int16_t place_node;		    /* of the home; -1: all go, each where it belongs */
	node_set_t place_full;		    /* nodes of the home */
	uint64_t place_allowance_bytes;	    /* from the governor */
	const struct interval_set *refused; /* did not go before; may be NULL */
	/* Where what is populated lands (landing.h), and how much at most, beside the allowance of
	 * copies. */
	node_set_t populate_nodes;	   /* 0: not known, and no bound */
	uint64_t populate_allowance_bytes; /* from the governor */
	uint32_t first_id;		   /* ids count up from here */
	uint32_t max_actions;		   /* 0 = no bound */
};

/* Turns a diagnosis into bounded actions: remaps first, larger runs first; then moves, of whole
 * folios first (what may be remapped moves when it is huge); then what is populated, by address,
 * never more than the VM's memory cgroup, or the node that it lands on, has room for; then copies
 * by address within the allowance, but for what is to be moved: it would be huge on the wrong node.
 * No action holds a block that is not remappable (copyable, or folio-unknown; to be moved:
 * mover.h), none crosses a region, none overlaps another, each is at most policy.remap_call_bytes
 * (copy_call_bytes) long. Mode other than full: no actions. Pure. Returns 0 or -ENOMEM. */
int plan_make(const struct snapshot *s, const struct diagnosis *d, const struct plan_limits *limits,
	      struct plan *ret);
void plan_clear(struct plan *p);

/* What is no longer worth doing of a plan. */
enum plan_stop {
	PLAN_STOP_NONE = 0,
	PLAN_STOP_KIND, /* what is of the same kind; a plan holds that in a row */
	PLAN_STOP_ALL,
};

/* After what came of one of its actions; err: 0 or errno. Pure. */
enum plan_stop plan_stop_after(enum action_kind kind, int err);
