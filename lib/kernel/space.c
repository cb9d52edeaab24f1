/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "bits.h"
#include "cleanup.h"

static int open_directory_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int space_open_unnamed(const char *path)
{
	_cleanup_close_ int dirfd = open_directory_of(path);
	int fd;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int space_name(int fd, const char *path)
{
	_cleanup_close_ int dirfd = open_directory_of(path);
	char self[32];

	if (dirfd < 0)
		return dirfd;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 || fsync(dirfd) < 0)
		return -errno;
	return 0;
}

int space_free_bytes(int fd, uint64_t *ret)
{
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0)
		return -errno;
	*ret = (uint64_t)s.f_bavail * s.f_frsize;
	return 0;
}

static int size_of(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

int space_extend(int fd, uint64_t bytes, uint64_t step)
{
	uint64_t start, size;
	int r = size_of(fd, &start);

	for (size = start; r == 0 && size - start < bytes;) {
		uint64_t n = min_u64(bytes - (size - start), step);

		if (fallocate(fd, 0, (off_t)size, (off_t)n) == 0)
			size += n;
		else if (errno != EINTR)
			r = -errno;
	}
	return r == -ENOSPC && size > start ? 0 : r;
}

int space_fill(int fd, uint64_t offset, uint64_t bytes)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) < 0 ? -errno : 0;
}

int space_set_size(int fd, uint64_t bytes)
{
	return ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
}

int space_open_hole(int fd, uint64_t offset, uint64_t bytes)
{
	uint64_t size = 0;
	int r = size_of(fd, &size);

	if (r < 0)
		return r;
	if (offset >= size)
		return space_set_size(fd, offset + bytes);
	return fallocate(fd, FALLOC_FL_INSERT_RANGE, (off_t)offset, (off_t)bytes) < 0 ? -errno : 0;
}

/* The kernel collapses no range that reaches the end of the file: that is a truncation. */
static int cut_one(int fd, const struct cut *cut, uint64_t size)
{
	int r = cut->offset + cut->bytes >= size ? ftruncate(fd, (off_t)cut->offset)
						 : fallocate(fd, FALLOC_FL_COLLAPSE_RANGE,
							     (off_t)cut->offset, (off_t)cut->bytes);

	return r < 0 ? -errno : 0;
}

/* From the end, so that the offsets of the others stay what they were. */
int space_cut(int fd, const struct shape *s)
{
	uint64_t size;
	int r = size_of(fd, &size);

	for (size_t i = s->n_cuts; r == 0 && i > 0; i--) {
		r = cut_one(fd, &s->cuts[i - 1], size);
		size -= s->cuts[i - 1].bytes;
	}
	return r;
}

int space_sync(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

int space_hint(int fd, uint64_t bytes)
{
	struct fsxattr x;
	struct statfs fs;

	/* ext4 takes the call and has no such thing. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != XFS_SUPER_MAGIC)
		return -EOPNOTSUPP;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	if ((x.fsx_xflags & FS_XFLAG_EXTSZINHERIT) && x.fsx_extsize >= bytes &&
	    is_aligned(x.fsx_extsize, bytes))
		return 0;
	x.fsx_xflags |= FS_XFLAG_EXTSZINHERIT;
	x.fsx_extsize = (uint32_t)bytes;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}
