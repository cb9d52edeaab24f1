/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What thpd remembers of one VM: which blocks it made huge, and which ranges it leaves alone until
 * when. Pure. */

#include "action.h"
#include "hold.h"
#include "interval.h"
#include "snapshot.h"

struct ledger {
	struct interval_set made; /* blocks that thpd made huge */
	struct hold *holds; /* owned; sorted, disjoint; one that is over is kept for a while for
			       its strikes */
	size_t n_holds;
	uint64_t memcg_until_ns; /* no copies for this VM before: EBUSY */
	uint8_t memcg_strikes;
};

#define LEDGER_INIT                       \
	{                                 \
		.made = INTERVAL_SET_INIT \
	}

void ledger_clear(struct ledger *l);

/* Learns from an executed action: what the second look (after: sorted sights of exactly the
 * target's range) shows as huge goes into `made` and its holds are cleared; what is not gets a hold
 * by errno: EAGAIN 1, 4, 16, 64 min (from the 4th strike on pinned-suspected), as does what is not
 * huge after a call that claimed success; EINVAL: only the first block that is not huge
 * (kernel-refused, 1 h), since the kernel gives up there, unless it became empty meanwhile; EBUSY:
 * memcg_until_ns 1, 4, 16, 64 min; ENOMEM of a copy: no hold (the governor backs off); ESRCH,
 * EPERM, EACCES: none; anything else as EAGAIN. Of what was to be populated only what is empty
 * still gets one, where populate_refusal() knows why: for an hour, which holds up nothing else that
 * is done there, or as any EAGAIN. Not for actions that were not executed (--dry-run). Returns 0 or
 * -ENOMEM. */
int ledger_learn(struct ledger *l, const struct action *a, const struct outcome *o,
		 const struct sight *after, size_t n_after, const struct mmu_geometry *g,
		 uint64_t now_ns);

/* Compares a fresh look with what thpd made: a block of `made` that is not huge and not fully
 * present (or in swap) any more was given back by the guest: hold lost-pages for
 * policy.hold_lost_ns, and out of `made`. Blocks of `made` whose fill is not known are left in
 * place (diagnose wants them counted). What is in no region any more is forgotten. Drops holds that
 * are over. Returns 0 or -ENOMEM. */
int ledger_observe(struct ledger *l, const struct snapshot *s, uint64_t now_ns);

/* Puts the holds that count at s->taken_ns into the snapshot, in place of what is there, so that
 * diagnose sees them. Until memcg_until_ns the snapshot says that the memory cgroup has no
 * headroom: the kernel just said so; it bars copies and leaves remaps alone. Returns 0 or -ENOMEM.
 */
int ledger_export(const struct ledger *l, struct snapshot *s);
