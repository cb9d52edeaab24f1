/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves pieces of a file to aligned space, batch by batch, so that at any moment the file holds all
 * of the old or all of the new blocks of every piece, and the same data. */

#include "piece.h"
#include "relocate.h"
#include "storage.h"
#include "sys.h"

struct realign {
	struct sys *sys;
	int fd;		  /* open for reading and writing */
	const char *path; /* its directory is where donors are made */
	const struct storage *storage;
	const struct alignment *alignment; /* of the file as it was found, in pieces of `unit` */
	uint64_t unit;
	bool fills_holes; /* holes are what is to be given space */
	bool is_copying;  /* as a copy of the file, even where its parts could be moved */
	void (*progress)(void *userdata, uint64_t done_bytes, uint64_t all_bytes); /* may be NULL */
	void *userdata;
	uint64_t moved_bytes, copied_bytes; /* out */
	int new_fd; /* out, for the caller to close: the file that has taken its place; else -EBADF
		     */
	const char *why; /* out: a sentence, after a failure */
};

/* Comes first, before anything is looked at: takes the lease and brings all that was written to the
 * medium, because until then the file system calls space unwritten or a hole that has data to come.
 * 0 or a negative errno with r->why. */
int realign_hold(struct realign *r);

/* Does all moves; where parts of the file cannot be moved, a copy of it all takes its place
 * (r->new_fd). What was moved before a failure stays. 0 or a negative errno with r->why: -EBUSY if
 * somebody came, -ENOSPC, -EIO if what was copied differs (nothing is exchanged then). */
int realign_run(struct realign *r, const struct moves *moves);
