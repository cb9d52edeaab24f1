/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A range of a file that is to lie elsewhere: copied to a donor's aligned space if it holds data,
 * then exchanged with it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct move {
	uint64_t offset, bytes; /* whole pieces of the file */
	uint64_t donor_offset;	/* where in the donor of its batch */
	size_t batch;		/* each batch has a donor of its own; they count from 0 */
	bool has_data;		/* else it reads as zeros, as the donor does */
	bool is_split;		/* over several extents, written and unwritten ones and holes */
};

struct moves {
	struct move *items; /* owned; by offset */
	size_t n_items;
	size_t n_batches;
	uint64_t bytes; /* of all */
};

#define MOVES_INIT \
	{          \
		0  \
	}

void moves_clear(struct moves *m);

/* The moves of one batch: the first of them, and how many. */
const struct move *moves_of_batch(const struct moves *m, size_t batch, size_t *ret_n);
