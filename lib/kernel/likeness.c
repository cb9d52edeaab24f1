/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "likeness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cleanup.h"

/* The kernel's own limits (xattr(7)). */
enum { NAMES_BYTES_MAX = 64 << 10, VALUE_BYTES_MAX = 64 << 10 };

/* Of a regular file, and changeable; the others are told by the file system. */
static const uint32_t kept_flags =
	FS_XFLAG_SYNC | FS_XFLAG_NOATIME | FS_XFLAG_NODUMP | FS_XFLAG_NODEFRAG | FS_XFLAG_DAX;

/* Those of ext4 that the call below does not know. */
static const int kept_ext4_flags =
	FS_JOURNAL_DATA_FL | FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_NOTAIL_FL | FS_DIRSYNC_FL;

static int copy_ext4_flags(int from_fd, int to_fd)
{
	int from = 0, to = 0;

	if (ioctl(from_fd, FS_IOC_GETFLAGS, &from) < 0 || ioctl(to_fd, FS_IOC_GETFLAGS, &to) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
	if (((from ^ to) & kept_ext4_flags) == 0)
		return 0;
	to = (to & ~kept_ext4_flags) | (from & kept_ext4_flags);
	return ioctl(to_fd, FS_IOC_SETFLAGS, &to) < 0 ? -errno : 0;
}

static int copy_flags(int from_fd, int to_fd)
{
	struct fsxattr from, to;
	uint32_t flags;

	if (ioctl(from_fd, FS_IOC_FSGETXATTR, &from) < 0 ||
	    ioctl(to_fd, FS_IOC_FSGETXATTR, &to) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
	flags = (to.fsx_xflags & ~kept_flags) | (from.fsx_xflags & kept_flags);
	if (flags == to.fsx_xflags && from.fsx_projid == to.fsx_projid)
		return 0;
	to.fsx_xflags = flags;
	to.fsx_projid = from.fsx_projid;
	return ioctl(to_fd, FS_IOC_FSSETXATTR, &to) < 0 ? -errno : 0;
}

static int copy_attribute(int from_fd, int to_fd, const char *name, char *value)
{
	ssize_t n = fgetxattr(from_fd, name, value, VALUE_BYTES_MAX);

	if (n < 0)
		return -errno;
	return fsetxattr(to_fd, name, value, (size_t)n, 0) < 0 ? -errno : 0;
}

/* A new file may have inherited some (a default ACL), which would let others in. A label that
 * cannot be taken away is one that every file has. */
static int remove_others(int from_fd, int to_fd)
{
	_cleanup_free_ char *names = malloc(NAMES_BYTES_MAX);
	ssize_t size;

	if (!names)
		return -ENOMEM;
	size = flistxattr(to_fd, names, NAMES_BYTES_MAX);
	if (size < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; name < names + size; name += strlen(name) + 1) {
		if (fgetxattr(from_fd, name, NULL, 0) >= 0 || errno != ENODATA)
			continue;
		/* XFS has an ACL under two names, which go together. */
		if (fremovexattr(to_fd, name) < 0 && errno != ENODATA &&
		    strncmp(name, "security.", 9) != 0)
			return -errno;
	}
	return 0;
}

static int copy_attributes(int from_fd, int to_fd)
{
	_cleanup_free_ char *names = malloc(NAMES_BYTES_MAX + VALUE_BYTES_MAX);
	char *value;
	ssize_t size;
	int e = 0;

	if (!names)
		return -ENOMEM;
	value = names + NAMES_BYTES_MAX;
	size = flistxattr(from_fd, names, NAMES_BYTES_MAX);
	if (size < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; e == 0 && name < names + size; name += strlen(name) + 1)
		e = copy_attribute(from_fd, to_fd, name, value);
	return e;
}

/* A change of owner takes set-id bits away, so the mode comes after it; an ACL says part of the
 * mode again. */
int likeness_copy(int from_fd, int to_fd)
{
	struct statx x;
	struct stat st;
	int e;

	if (statx(from_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) < 0 || fstat(from_fd, &st) < 0)
		return -errno;
	if (x.stx_attributes & STATX_ATTR_VERITY)
		return -EOPNOTSUPP;
	if (fchown(to_fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	e = remove_others(from_fd, to_fd);
	if (e == 0 && fchmod(to_fd, st.st_mode & 07777) < 0)
		e = -errno;
	if (e == 0)
		e = copy_attributes(from_fd, to_fd);
	if (e == 0)
		e = copy_flags(from_fd, to_fd);
	if (e == 0)
		e = copy_ext4_flags(from_fd, to_fd);
	if (e < 0)
		return e;
	return futimens(to_fd, (const struct timespec[]){st.st_atim, st.st_mtim}) < 0 ? -errno : 0;
}
