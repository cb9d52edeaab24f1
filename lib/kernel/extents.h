/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The extents of a file, by FIEMAP: no page is walked and nothing is written back. */

#include "layout.h"

/* Reads all extents and the size of the open file. Addresses have base_bytes added. A file that
 * changes meanwhile gives a layout of several moments, still in order. 0 or a negative errno:
 * -EOPNOTSUPP where the file system cannot tell, -EFBIG beyond 2^26 extents. */
int extents_read(int fd, uint64_t base_bytes, struct layout *ret);

/* The same of what touches [start, end) only, and of at most `max` extents: -EFBIG beyond. */
int extents_read_range(int fd, uint64_t base_bytes, uint64_t start, uint64_t end, size_t max,
		       struct layout *ret);
