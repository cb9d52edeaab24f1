/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a file that is mapped directly comes by huge pages: this process maps it and counts its
 * own page faults. It works on every kernel and needs no right, and tells what happened, not what
 * ought to. */

#include "piece.h"

struct probe {
	uint64_t tried_bytes; /* of pieces that are aligned */
	uint64_t huge_bytes;  /* of them: came whole by one fault */
};

/* Maps the aligned pieces of `a` (of one huge page each) for reading, and touches two places of
 * each. Pieces that are not aligned are left alone: their small entries would stay behind in the
 * file's mapping. Of a larger file the first max_bytes only. 0 or a negative errno: -EFAULT if a
 * page could not be read. */
int probe_file(int fd, const struct alignment *a, uint64_t max_bytes, struct probe *ret);
