/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives a file aligned space by search: neither XFS nor ext4 can be asked for alignment (KERNEL
 * 8.2), so more is allocated than is needed, and what is not aligned is cut out and given back. */

#include "storage.h"

/* Makes a file that nobody else knows `bytes` long (a multiple of unit), in aligned pieces of
 * `unit`, all unwritten. *ret_searched_bytes is what was allocated on the way. 0 or a negative
 * errno: -ENOSPC if the free space, without the reserve, holds no more aligned pieces. The file is
 * of no use after a failure. */
int prepare_aligned(int fd, const struct storage *s, uint64_t unit, uint64_t bytes,
		    uint64_t *ret_searched_bytes);
