/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A piece is one aligned range of huge page size of a file, as a block is one of memory: what a
 * single huge mapping could hold. Equal neighbours are kept as one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

enum piece_state {
	PIECE_ALIGNED = 0, /* in one extent, at a multiple of its size */
	PIECE_MISALIGNED,  /* in one extent, off by off_by bytes */
	PIECE_SPLIT,	   /* over several extents, or partly a hole */
	PIECE_HOLE,
	PIECE_TAIL,	/* the file ends in it */
	PIECE_UNPLACED, /* its place is not known or does not count */
	PIECE_STATE_MAX,
};

const char *piece_state_name(enum piece_state state); /* "aligned", "misaligned", ... */

/* Why such a piece is not huge when a VMM maps the file with DAX; REASON_NONE for aligned ones. */
enum reason piece_state_reason(enum piece_state state);

struct piece {
	uint64_t offset, bytes; /* whole pieces, except for the tail */
	enum piece_state state;
	uint64_t off_by; /* PIECE_MISALIGNED: 1 .. unit - 1 */
	/* In part at least: allocated and reading as zeros; shared; holding data. */
	bool is_unwritten, is_shared, has_data;
};

struct alignment {
	uint64_t unit;	      /* bytes of a piece */
	uint64_t size_bytes;  /* of the file */
	struct piece *pieces; /* owned; by offset, without gaps up to the size of the file */
	size_t n_pieces;
	uint64_t by_state[PIECE_STATE_MAX];	/* bytes; their sum is the size of the file */
	uint64_t unwritten_bytes, shared_bytes; /* of pieces that are at least in part */
};

#define ALIGNMENT_INIT \
	{              \
		0      \
	}

void alignment_clear(struct alignment *a);

/* Nothing that could be aligned is not: holes and the tail are no fault. */
bool alignment_is_whole(const struct alignment *a);
