/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exchange.h"

#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <sys/ioctl.h>

/* fs/xfs/libxfs/xfs_fs.h (Linux 6.10); Debian 12 has no header with it. */
struct xfs_exchange_range { /* ABI */
	__s32 file1_fd;
	__u32 pad;
	__u64 file1_offset, file2_offset, length, flags;
};

#define XFS_IOC_EXCHANGE_RANGE _IOW('X', 129, struct xfs_exchange_range)

/* Likewise (Linux 6.12). */
struct xfs_commit_range { /* ABI */
	__s32 file1_fd;
	__u32 pad;
	__u64 file1_offset, file2_offset, length, flags;
	__u64 file2_freshness[6];
};

#define XFS_IOC_START_COMMIT _IOR('X', 130, struct xfs_commit_range)
#define XFS_IOC_COMMIT_RANGE _IOW('X', 131, struct xfs_commit_range)

enum { XFS_EXCHANGE_RANGE_DSYNC = 1 << 1, XFS_EXCHANGE_RANGE_DRY_RUN = 1 << 2 };

/* fs/ext4/ext4.h; in no header for programs. */
struct move_extent { /* ABI */
	__u32 reserved, donor_fd;
	__u64 orig_start, donor_start, len, moved_len; /* blocks */
};

#define EXT4_IOC_MOVE_EXT _IOWR('f', 15, struct move_extent)

int exchange_xfs(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset, uint64_t bytes,
		 bool is_trial)
{
	struct xfs_exchange_range x = {
		.file1_fd = donor_fd,
		.file1_offset = donor_offset,
		.file2_offset = offset,
		.length = bytes,
		.flags = is_trial ? XFS_EXCHANGE_RANGE_DRY_RUN : XFS_EXCHANGE_RANGE_DSYNC,
	};

	return ioctl(fd, XFS_IOC_EXCHANGE_RANGE, &x) < 0 ? -errno : 0;
}

struct freshness exchange_xfs_note(int fd)
{
	struct xfs_commit_range x = {.file1_fd = 0};
	struct freshness f = {.is_known = ioctl(fd, XFS_IOC_START_COMMIT, &x) == 0};

	memcpy(f.words, x.file2_freshness, sizeof(f.words));
	return f;
}

int exchange_xfs_if_fresh(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset,
			  uint64_t bytes, const struct freshness *f)
{
	struct xfs_commit_range x = {
		.file1_fd = donor_fd,
		.file1_offset = donor_offset,
		.file2_offset = offset,
		.length = bytes,
		.flags = XFS_EXCHANGE_RANGE_DSYNC,
	};

	if (!f->is_known)
		return exchange_xfs(fd, offset, donor_fd, donor_offset, bytes, false);
	memcpy(x.file2_freshness, f->words, sizeof(f->words));
	return ioctl(fd, XFS_IOC_COMMIT_RANGE, &x) < 0 ? -errno : 0;
}

int exchange_ext4(int fd, uint64_t offset, int donor_fd, uint64_t donor_offset, uint64_t bytes,
		  uint64_t block_bytes)
{
	uint64_t n_blocks = bytes / block_bytes, done = 0;

	while (done < n_blocks) {
		struct move_extent m = {
			.donor_fd = (__u32)donor_fd,
			.orig_start = offset / block_bytes + done,
			.donor_start = donor_offset / block_bytes + done,
			.len = n_blocks - done,
		};

		if (ioctl(fd, EXT4_IOC_MOVE_EXT, &m) < 0 && errno != EINTR)
			return -errno;
		if (m.moved_len == 0)
			return -EBUSY;
		done += m.moved_len;
	}
	return 0;
}
