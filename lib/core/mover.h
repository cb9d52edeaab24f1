/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When the memory of one VM may be moved to another node: what thpd remembers of its home and of
 * its last move. A move is a campaign of many actions: it begins when the home has been the same
 * for StableFor=, MoveInterval= after the last one, if MinGain= is outside; it ends when nothing
 * that would go is outside any more, or when the home changes. So memory never follows vCPUs that
 * go back and forth. Pure. */

#include "action.h"
#include "home_piece.h"
#include "interval.h"
#include "whereabouts.h"

struct mover {
	struct home home;
	uint64_t since_ns; /* the home is the same */
	/* Of the move under way: the nodes of the home that have not run out of room in it; 0:
	 * none. */
	node_set_t target;
	bool has_ended; /* a move has; at ended_ns */
	uint64_t ended_ns;
	struct interval_set refused; /* what did not go, in the move under way */
	struct interval_set brought; /* what came, in that or the last one */
	/* How often in a row what a move brought was outside again for the next one, though the
	 * home had not changed: somebody else moves it, too (a second VM that shares the memory).
	 * Each doubles MoveInterval=. */
	uint8_t strikes;
	uint64_t moved_bytes; /* ever */
};

#define MOVER_INIT                                                         \
	{                                                                  \
		.refused = INTERVAL_SET_INIT, .brought = INTERVAL_SET_INIT \
	}

void mover_clear(struct mover *m);

/* Whether this VM's memory is moved at all: policy, a home, and nothing that forbids it (pause,
 * device assignment, a userfaultfd). */
bool mover_may_move(const struct snapshot *s, const struct home *h);

/* Whether a move to the nodes, those that this part of the memory belongs to (home_piece.h), takes
 * it along: it is elsewhere, and huge, remappable, copyable or of folios that cannot be told. What
 * is swapped out, sparse, held or barred stays. */
bool mover_takes(const struct snapshot *s, const struct run *run, node_set_t target);

/* Nothing is moved or looked at any more (Placement=off); what comes later begins anew. */
void mover_forget(struct mover *m);

/* Takes note of the home. A move to another one, or to one that is divided in another way, is over.
 */
void mover_observe(struct mover *m, const struct home *h, uint64_t now_ns);

/* When a move may begin, if it were worth it; now or earlier: it may; UINT64_MAX: the home is not
 * known. */
uint64_t mover_due_ns(const struct mover *m, const struct policy *p);

/* Whether a move may begin now: none is under way, enough is outside, and it is due. */
bool mover_may_begin(const struct mover *m, const struct snapshot *s, const struct whereabouts *w,
		     uint64_t now_ns);

/* Begins, goes on with or ends a move. One that finds nothing to take is over as it begins. *d, *w:
 * of the last look. Returns the nodes to which memory is moved now; 0: none. */
node_set_t mover_step(struct mover *m, const struct snapshot *s, const struct diagnosis *d,
		      const struct whereabouts *w, uint64_t now_ns);

struct mover_choice {
	int16_t node;	 /* where most is to go of those that have room; -1: nothing is to go */
	node_set_t full; /* where something is to go, and no block above the reserve is free */
};

/* Where the move under way goes next. What belongs to several nodes goes to the one with the most
 * free memory. Where all are full, the node is one of these. */
struct mover_choice mover_choose(const struct mover *m, const struct snapshot *s,
				 const struct diagnosis *d, const struct host *host,
				 uint64_t reserve_bytes);

/* Learns from an action of kind place; after: sorted sights of its range. What is not on the
 * target's node now is not tried again in this move; without room on the node (ENOMEM, or huge
 * pages that came in pieces) nothing more goes there; where no node is left, the move is over. 0 or
 * -ENOMEM. */
int mover_learn(struct mover *m, const struct action *a, const struct outcome *o,
		const struct sight *before, size_t n_before, const struct sight *after,
		size_t n_after, const struct mmu_geometry *g, uint64_t now_ns);
