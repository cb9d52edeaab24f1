/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exchanges what two files of one file system lie on (KERNEL 8.3). */

#include <stdbool.h>
#include <stdint.h>

/* XFS_IOC_EXCHANGE_RANGE: the ranges of both files change places, atomically and, unless it is a
 * trial, on the medium. Nothing is changed by a trial. 0 or a negative errno: -EOPNOTSUPP (the file
 * system was made without it), -ENOTTY (no XFS, or a kernel before 6.10). */
int exchange_xfs(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset, uint64_t bytes,
		 bool is_trial);

/* What the file was like at one moment, as the kernel sees it. */
struct freshness {
	uint64_t words[6]; /* the kernel's own */
	bool is_known;	   /* else the kernel does not compare: before Linux 6.12 */
};

/* XFS_IOC_START_COMMIT: notes what the file is like. */
struct freshness exchange_xfs_note(int fd);

/* XFS_IOC_COMMIT_RANGE: exchange_xfs(), but -EBUSY, and nothing changed, if the file was written to
 * since it was noted, compared and exchanged in one step. Without that knowledge it is
 * exchange_xfs(). */
int exchange_xfs_if_fresh(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset,
			  uint64_t bytes, const struct freshness *f);

/* EXT4_IOC_MOVE_EXT: the kernel copies the range's data to the donor's blocks and exchanges them.
 * Both ranges are allocated. 0 or a negative errno: -EOPNOTSUPP (DAX, bigalloc, encryption). */
int exchange_ext4(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset, uint64_t bytes,
		  uint64_t block_bytes);
