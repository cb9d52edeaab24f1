/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two file systems do differently. For realign*.c alone. */

#include <time.h>

#include "realign.h"
#include "transfer.h"

/* The moves that share a donor. */
struct batch {
	struct realign *realign;
	struct transfer *transfer;
	const struct move *moves;
	size_t n_moves;
	int donor_fd;
	struct timespec mtime, ctime; /* of the file, as thpd left it */
};

/* Each returns 0 or a negative errno, with a sentence in realign->why. */
struct realign_method {
	/* Everything that can be done without changing the file, for all moves of the batch. */
	int (*prepare)(struct batch *b);
	/* Does the move; afterwards the file holds the same data, or it failed. */
	int (*move)(struct batch *b, const struct move *m);
};

extern const struct realign_method realign_xfs, realign_ext4;

int realign_fail(struct realign *r, int err, const char *why);
