/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What to cut out of a file that has more space than it needs, so that aligned pieces remain. */

#include <stddef.h>
#include <stdint.h>

struct cut {
	uint64_t offset, bytes; /* of the file as it is; multiples of the file system's blocks */
};

struct shape {
	struct cut *cuts; /* owned; by offset, none touches another */
	size_t n_cuts;
	uint64_t aligned_bytes; /* what remains: whole pieces, each in one extent, aligned */
};

#define SHAPE_INIT \
	{          \
		0  \
	}

void shape_clear(struct shape *s);
