/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Holes of a shmem file that a process maps. */

#include "region.h"

/* Gives the file one small page at the block's start, so that a collapse of the block finds it not
 * empty; no byte of the file changes, nor its size. Only if the whole block is a hole in the file;
 * pages that are swapped out are none, pages that were allocated and never written are one.
 * dirfd: a held /proc/PID. 0; -EEXIST: there are data; -EPERM: sealed against writing (which Linux
 * 6.18 itself would not mind); -EACCES: no
 * right to write to the file; -ENOSPC; -EINVAL: beyond the file's end; -ESRCH: this mapping is not
 * there any more; or another -errno. May wait (process.h). */
int hole_seed(int dirfd, const struct region *r, hva_t block, uint64_t bytes);
