/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The listening socket RUNTIME_DIR/bus, and the lock that says that this directory is served. */

#include <errno.h>

struct bus_listener {
	int dirfd;  /* the runtime directory; -EBADF if closed, as all three */
	int lockfd; /* RUNTIME_DIR/lock, locked as long as we live */
	int fd;	    /* listening, non-blocking */
};

#define BUS_LISTENER_INIT                                       \
	{                                                       \
		.dirfd = -EBADF, .lockfd = -EBADF, .fd = -EBADF \
	}

/* Opens (and makes, if need be) the directory, takes the lock, replaces a stale socket. Returns 0
 * or: -EADDRINUSE another thpd serves the directory; -EPERM it belongs to another user or others
 * may write to it; -ENOTDIR, -ENOENT and other errnos of the calls. */
int bus_listen(const char *runtime_dir, struct bus_listener *ret);

/* Removes the socket and gives the directory free. */
void bus_listener_close(struct bus_listener *l);
