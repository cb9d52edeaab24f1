/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much may be done now: a token bucket in bytes per second for copies and moves over all VMs,
 * and back-off of a node that has no free huge pages. Pure: time is an argument. */

#include "action.h"
#include "host.h"
#include "landing.h"
#include "sight.h"

struct budget {
	uint64_t copy_bytes_per_s;   /* UINT64_MAX: unlimited (thpd --once) */
	uint64_t free_reserve_bytes; /* free huge-page memory that copies never use */
	uint64_t block_bytes; /* of the machine; the burst is never less, so that a slow budget can
				 pay for one block, and allowances are whole blocks; 0: not told */
};

struct governor {
	struct budget budget;
	uint64_t tokens_bytes, refilled_ns;
	uint64_t refill_rest;	  /* bytes times ns that did not make a whole byte yet */
	uint64_t enomem_until_ns; /* no copies before; doubles from 1 s to 64 s while ENOMEM goes on
				   */
	uint8_t enomem_strikes;
	uint64_t in_flight_bytes; /* granted, not yet settled: counted against free memory */
};

void governor_init(struct governor *g, const struct budget *budget, uint64_t now_ns);
void governor_set_budget(struct governor *g, const struct budget *budget,
			 uint64_t now_ns); /* on reload */

/* How many bytes of copies may be started now given the host's free blocks; 0 with *ret_reason =
 * why not (no-free-huge-page; policy-off if the budget is 0; none if the bucket is empty) and
 * *ret_retry_ns = when to ask again (UINT64_MAX: never). Otherwise none and now_ns. Refills the
 * bucket (burst: one second's worth, at least one block). */
uint64_t governor_copy_allowance(struct governor *g, const struct host *host, uint64_t now_ns,
				 enum reason *ret_reason, uint64_t *ret_retry_ns);

/* The same for moves to one node: from the same bucket, and only into free blocks of that node. 0
 * with node-full where it has none above the reserve. */
uint64_t governor_place_allowance(struct governor *g, const struct host *host, int node,
				  uint64_t now_ns, enum reason *ret_reason, uint64_t *ret_retry_ns);

/* How much of them populating may put there, whatever the bucket holds: as much as each of the
 * nodes has (landing.h). 0 with node-full where one has none above the reserve, and without a
 * reason where all of it is under way. */
uint64_t governor_populate_allowance(const struct governor *g, const struct host *host,
				     node_set_t nodes, uint64_t now_ns, enum reason *ret_reason,
				     uint64_t *ret_retry_ns);

void governor_spend(struct governor *g, const struct action *a); /* when an action is handed out */

/* The errno that tells something about the node. ENOMEM has two meanings (no huge page, or no
 * mapping there any more): where a second look finds nothing at all, or fails, it is ESRCH, so that
 * a VMM that unmaps its memory in a loop does not stop the copies of all others. after: sorted
 * sights of the action's range. */
int outcome_node_errno(const struct outcome *o, int look_error, const struct sight *after,
		       size_t n_after);

/* When it is over, with its true errno; ECANCELED: it was never started, so what it cost goes back.
 */
void governor_settle(struct governor *g, const struct action *a, const struct outcome *o,
		     uint64_t now_ns);
