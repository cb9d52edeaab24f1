/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime_dir.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"

enum { BACKLOG = 128 };

static int open_directory(const char *path, int *ret)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -ENOTDIR : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Whoever may write here could put his own socket in place of ours. */
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return -EPERM;
	*ret = TAKE_FD(fd);
	return 0;
}

/* The lock file is readable by us alone: on the directory itself anybody could take the lock. */
static int take_lock(int dirfd, int *ret)
{
	_cleanup_close_ int fd =
		openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* The way over /proc keeps us in the directory that was checked and lets its path be of any
 * length. */
static void socket_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
}

/* 0: nobody listens, and the name is free now. */
static int remove_stale_socket(int dirfd, const char *name, int type)
{
	_cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (fd < 0)
		return -errno;
	socket_address(dirfd, name, &address);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno == ENOENT)
		return 0;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
}

int runtime_dir_listen(const struct runtime_dir *d, const char *name, int type, int *ret_fd)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un address;
	int r = remove_stale_socket(d->dirfd, name, type);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	socket_address(d->dirfd, name, &address);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Who may do what is asked of each who connected. */
	if (fchmodat(d->dirfd, name, 0666, 0) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		(void)unlinkat(d->dirfd, name, 0);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int runtime_dir_unlisten(const struct runtime_dir *d, const char *name, int fd)
{
	if (fd >= 0)
		(void)unlinkat(d->dirfd, name, 0);
	return close_fd(fd);
}

int runtime_dir_open(const char *path, struct runtime_dir *ret)
{
	_cleanup_close_ int dirfd = -EBADF, lockfd = -EBADF;
	int r = open_directory(path, &dirfd);

	if (r < 0)
		return r;
	r = take_lock(dirfd, &lockfd);
	if (r < 0)
		return r;
	*ret = (struct runtime_dir){.dirfd = TAKE_FD(dirfd), .lockfd = TAKE_FD(lockfd)};
	return 0;
}

void runtime_dir_close(struct runtime_dir *d)
{
	d->lockfd = close_fd(d->lockfd);
	d->dirfd = close_fd(d->dirfd);
}
