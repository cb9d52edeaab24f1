/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The runtime directory, with the lock that says that it is served, and the sockets in it. */

#include <errno.h>

struct runtime_dir {
	int dirfd;  /* -EBADF if closed, as both */
	int lockfd; /* RUNTIME_DIR/lock, locked as long as we live */
};

#define RUNTIME_DIR_INIT                          \
	{                                         \
		.dirfd = -EBADF, .lockfd = -EBADF \
	}

/* Opens (and makes, if need be) the directory and takes the lock. Returns 0 or: -EADDRINUSE another
 * thpd serves the directory; -EPERM it belongs to another user or others may write to it; -ENOTDIR,
 * -ENOENT and other errnos of the calls. */
int runtime_dir_open(const char *path, struct runtime_dir *ret);

/* Gives the directory free. */
void runtime_dir_close(struct runtime_dir *d);

/* A socket of that type (SOCK_STREAM, SOCK_SEQPACKET) and name, which everybody may connect to; a
 * stale one is replaced. *ret_fd listens and is non-blocking. 0, -EADDRINUSE, or another errno. */
int runtime_dir_listen(const struct runtime_dir *d, const char *name, int type, int *ret_fd);

/* Removes the socket and closes fd, if it is open; returns -EBADF. */
int runtime_dir_unlisten(const struct runtime_dir *d, const char *name, int fd);
