/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of a block by what was seen of it, in a VMA that is not barred. */

#include "run.h"
#include "snapshot.h"

enum count_need {
	COUNT_KNOWN = 0,  /* residency is known */
	COUNT_FOR_REPORT, /* it is not; only the report suffers */
	COUNT_FOR_ACTION, /* it is not, and a copy depends on it */
	COUNT_IMPOSSIBLE, /* it is not, and counting would not help before a look */
};

struct judgement {
	enum block_state state;
	enum reason reason;
	enum count_need count;
	bool is_whole; /* every byte of the blocks is resident, counted or not */
};

/* What the sight (all blocks of it are alike) means in region r, the region's own bar aside. */
struct judgement judge_blocks(const struct snapshot *s, const struct region *r,
			      const struct sight *sight);

/* What becomes of it in a region that is barred as a whole. */
struct judgement judge_barred(const struct judgement *j, const struct sight *sight,
			      enum reason bar);

/* What becomes of it under a hold that still counts. */
struct judgement judge_held(const struct judgement *j, const struct sight *sight,
			    enum reason hold_reason);

/* Policy, pause, what holds up copies on this host, and whether holes are populated change the
 * reason, never the state. */
struct judgement judge_policy(const struct judgement *j, const struct snapshot *s,
			      const struct region *r);
