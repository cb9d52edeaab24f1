/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "lease.h"

static int read_path(int fd, char *path, size_t size)
{
	char self[32];
	ssize_t n;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, size - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	return path[0] == '/' && (size_t)n < size - 1 ? 0 : -ENAMETOOLONG;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int fill_names(struct replacement *r, const char *name)
{
	int n = snprintf(r->spare, sizeof(r->spare), ".thpd-realign.%s", name);

	if (n < 0 || (size_t)n >= sizeof(r->spare))
		return -ENAMETOOLONG;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	return 0;
}

static bool leads_to(const struct replacement *r, const char *name, int fd)
{
	struct stat named, own;

	return fstatat(r->directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(fd, &own) == 0 && is_same_file(&named, &own);
}

/* A file that nobody has open: what a run that was cut off has left is such a one. */
static int sweep(const struct replacement *r)
{
	_cleanup_close_ int fd = openat(r->directory_fd, r->spare,
					O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -EBUSY;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || lease_take(fd) < 0)
		return -EBUSY;
	return replace_drop(r, fd);
}

/* The path may be somebody else's by now, so what it leads to is compared. */
static int find(int fd, char *path, struct replacement *r)
{
	char *slash = strrchr(path, '/');
	struct stat own, named;
	int e = fill_names(r, slash + 1);

	if (e < 0)
		return e;
	slash[slash == path] = '\0';
	r->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->directory_fd < 0 || fstat(fd, &own) < 0)
		return -errno;
	if (fstatat(r->directory_fd, r->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_same_file(&own, &named) || own.st_nlink != 1)
		return -EMLINK;
	return 0;
}

int replace_open(int fd, struct replacement *ret)
{
	struct replacement r = REPLACEMENT_INIT;
	char path[PATH_MAX];
	int e = read_path(fd, path, sizeof(path));

	if (e == 0)
		e = find(fd, path, &r);
	if (e == 0)
		e = sweep(&r);
	if (e < 0) {
		replace_close(&r);
		return e;
	}
	*ret = r;
	return 0;
}

void replace_close(struct replacement *r)
{
	if (r->directory_fd >= 0)
		(void)close(r->directory_fd);
	r->directory_fd = -EBADF;
}

int replace_name(const struct replacement *r, int new_fd)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", new_fd);
	return linkat(AT_FDCWD, self, r->directory_fd, r->spare, AT_SYMLINK_FOLLOW) < 0 ? -errno
											: 0;
}

bool replace_has_name(const struct replacement *r, int fd)
{
	return leads_to(r, r->name, fd);
}

bool replace_leads_to(const struct replacement *r, int name_fd, int spare_fd)
{
	return leads_to(r, r->name, name_fd) && leads_to(r, r->spare, spare_fd);
}

int replace_swap(const struct replacement *r)
{
	return renameat2(r->directory_fd, r->name, r->directory_fd, r->spare, RENAME_EXCHANGE) < 0
		       ? -errno
		       : 0;
}

int replace_sync(const struct replacement *r)
{
	return fsync(r->directory_fd) < 0 ? -errno : 0;
}

int replace_drop(const struct replacement *r, int fd)
{
	if (!leads_to(r, r->spare, fd))
		return -ESTALE;
	return unlinkat(r->directory_fd, r->spare, 0) < 0 ? -errno : replace_sync(r);
}

static int keep_as(const struct replacement *r, const char *name)
{
	return renameat2(r->directory_fd, r->spare, r->directory_fd, name, RENAME_NOREPLACE) < 0
		       ? -errno
		       : replace_sync(r);
}

enum { KEPT_MAX = 9 };

/* The spare name is longer, so this one fits. */
int replace_keep(const struct replacement *r)
{
	char kept[sizeof(r->name) + 24]; /* room for any int: GCC knows no better */
	int e;

	(void)snprintf(kept, sizeof(kept), "%s.thpd-kept", r->name);
	e = keep_as(r, kept);
	for (int i = 2; e == -EEXIST && i <= KEPT_MAX; i++) {
		(void)snprintf(kept, sizeof(kept), "%s.thpd-kept%d", r->name, i);
		e = keep_as(r, kept);
	}
	return e;
}
