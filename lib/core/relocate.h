/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which pieces of a file are to be moved, and in which batches. Pure. */

#include "move.h"
#include "piece.h"

enum relocation {
	RELOCATE_MISPLACED = 0, /* what is misaligned or split (realign) */
	RELOCATE_HOLES,		/* what is not there yet (prealloc) */
};

struct relocation_limits {
	/* Of a batch: so much free space is needed, and so much copying is lost if it is cut off.
	 */
	uint64_t batch_bytes;
	/* Of a move: somebody who wants the file waits for one. */
	uint64_t move_bytes;
};

/* Both limits count in whole pieces, one at least. 0 or -ENOMEM. */
int relocate_plan(const struct alignment *a, enum relocation what,
		  const struct relocation_limits *limits, struct moves *ret);
