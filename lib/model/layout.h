/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a file lies on its device, as the file system tells it: one extent is one record of its own,
 * and a DAX fault sees no further than one record (KERNEL 8.1). */

#include <stddef.h>
#include <stdint.h>

enum extent_flag {
	EXTENT_UNWRITTEN = 1 << 0, /* allocated, reads as zero */
	EXTENT_SHARED = 1 << 1,	   /* with another file: a write goes elsewhere */
	EXTENT_UNPLACED = 1 << 2,  /* no address that counts: delayed, inline, compressed */
};

struct extent {
	uint64_t logical;  /* byte of the file */
	uint64_t physical; /* byte of the device, or address in memory where the base is known */
	uint64_t bytes;
	uint32_t flags; /* EXTENT_... */
};

struct layout {
	struct extent *extents; /* owned; by logical, none overlaps another */
	size_t n_extents;
	uint64_t size_bytes; /* i_size */
};

#define LAYOUT_INIT \
	{           \
		0   \
	}

void layout_clear(struct layout *l); /* frees; usable again */
