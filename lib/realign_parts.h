/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the file systems do differently, and what all of it shares. For realign*.c alone. */

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
	/* Everything that can be done without changing the file, for all moves of the batch.
	 * -EOPNOTSUPP: parts of this file cannot be moved. */
	int (*prepare)(struct batch *b);
	/* Does the move; afterwards the file holds the same data, or it failed. */
	int (*move)(struct batch *b, const struct move *m);
};

extern const struct realign_method realign_xfs, realign_ext4;

/* Copies the file to b->donor_fd, which takes its name. */
int realign_replace(struct batch *b);

/* Gives the donor so much aligned space. */
int realign_make_donor(struct batch *b, uint64_t bytes);

int realign_note_times(struct batch *b);

/* Nobody has come or changed the file since its times were noted. */
int realign_check_undisturbed(struct batch *b);

int realign_fail(struct realign *r, int err, const char *why);
