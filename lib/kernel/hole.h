/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Holes of a shmem file that a process maps. */

#include "region.h"

/* A block of a mapping that is to be a hole of its file. */
struct hole {
	const struct region *region; /* that it lies in */
	hva_t start;
	uint64_t bytes;
	int node; /* on which its page shall be; -1: nobody says */
};

/* Gives the file one small page at the block's start, so that a collapse of the block finds it not
 * empty; no byte of the file changes, nor its size. Only if the whole block is a hole in the file;
 * pages that are swapped out are none, pages that were allocated and never written are one.
 * dirfd: a held /proc/PID. 0; -EEXIST: there are data; -EPERM: sealed against writing (which Linux
 * 6.18 itself would not mind); -EACCES: no
 * right to write to the file; -ENOSPC; -EINVAL: beyond the file's end; -ESRCH: this mapping is not
 * there any more; -ENODEV: thpd itself may have no memory of the node; or another -errno. May wait
 * (process.h).
 *
 * Where the page comes from is what the file's own policy says (that a VMM gave its mapping by
 * mbind(), or the mount has), else the node, as long as that has a free page. */
int hole_seed(int dirfd, const struct hole *hole);
