/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file behind a mapping of guest RAM; as far as DAX goes: whether it is mapped directly, and
 * how it lies. */

#include "process.h"
#include "region.h"
#include "layout.h"

/* Opens the file (flags: how) that the process held by dirfd maps at r, if it is the one that the
 * survey saw there; else -ESRCH. -EACCES: that, or to open files of other processes in this way
 * (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE), is not permitted. May wait. An fd or -errno. */
int mapped_file_open(int dirfd, const struct region *r, int flags);

/* Asks the inode and the device behind r, a mapping of a file on XFS or ext4 (others must not be
 * asked: a file system of the VMM's own may never answer). Fills r->is_dax, can_dax and the backing
 * that follows from them; of a file that is mapped directly also file_bytes, and appends its
 * extents to the sorted list, by address, cut to the region. The list grows to max at most; what
 * does not fit, or cannot be read (opening goes through /proc/PID/map_files: CAP_SYS_ADMIN), stays
 * unknown. May wait (process.h). 0 or -ENOMEM. */
int mapped_file_read(struct sys *sys, const struct process *p, struct region *r,
		     struct extent **list, size_t *n, size_t max);

/* Appends the extents of the open file as the region maps them. 0, -ENOMEM, -EFBIG or another
 * -errno. */
int mapped_extents_read(int fd, uint64_t base_bytes, struct region *r, struct extent **list,
			size_t *n, size_t max);
