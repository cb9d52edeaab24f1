/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus_listen.h"

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
static void socket_address(int dirfd, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/bus", dirfd);
}

/* 0: nobody listens, and the name is free now. */
static int remove_stale_socket(int dirfd, const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno == ENOENT)
		return 0;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlinkat(dirfd, "bus", 0) < 0 ? -errno : 0;
}

static int bind_socket(int dirfd, int *ret)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un address;
	int r;

	socket_address(dirfd, &address);
	r = remove_stale_socket(dirfd, &address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Reading the status is open to all; what else a client may do is asked per call. */
	if (fchmodat(dirfd, "bus", 0666, 0) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		(void)unlinkat(dirfd, "bus", 0);
		return r;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

int bus_listen(const char *runtime_dir, struct bus_listener *ret)
{
	_cleanup_close_ int dirfd = -EBADF, lockfd = -EBADF, fd = -EBADF;
	int r;

	r = open_directory(runtime_dir, &dirfd);
	if (r < 0)
		return r;
	r = take_lock(dirfd, &lockfd);
	if (r < 0)
		return r;
	r = bind_socket(dirfd, &fd);
	if (r < 0)
		return r;
	*ret = (struct bus_listener){
		.dirfd = TAKE_FD(dirfd), .lockfd = TAKE_FD(lockfd), .fd = TAKE_FD(fd)};
	return 0;
}

void bus_listener_close(struct bus_listener *l)
{
	if (l->fd >= 0)
		(void)unlinkat(l->dirfd, "bus", 0);
	l->fd = close_fd(l->fd);
	l->lockfd = close_fd(l->lockfd);
	l->dirfd = close_fd(l->dirfd);
}
