/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The private socket: who may connect, and how many. What one connection may do is bus_client.c's,
 * what can be asked bus_object.c's. */
#include "bus.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bus_client.h"
#include "cleanup.h"
#include "runtime_dir.h"

enum {
	CLIENTS_MAX = 64,
	/* The rest is kept for root, so that others cannot lock the operator out. */
	UNPRIVILEGED_CLIENTS_MAX = 32,
	CLIENTS_PER_UID_MAX = 16,
	/* Bounds the turns of the loop when accept itself fails (no descriptors left). */
	ACCEPTS_MAX = 1000,
	ACCEPTS_INTERVAL_US = 1000 * 1000,
};

struct bus {
	sd_event *event;
	struct manager *manager;
	const struct runtime_dir *directory; /* not owned */
	int listen_fd;
	sd_event_source *accept, *exit;
	struct bus_client *clients[CLIENTS_MAX]; /* owned */
	size_t n_clients;
};

const char *bus_error_sentence(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "Another thpd serves this runtime directory: stop it (systemctl stop thpd), "
		       "or give this one its own --runtime-dir=.";
	case -EPERM:
		return "The runtime directory belongs to another user or others may write to it: "
		       "use one that is thpd's alone (mode 0755).";
	case -ENOTDIR:
		return "The runtime directory is not a directory.";
	case -ENOENT:
		return "The parent of the runtime directory does not exist.";
	case -EACCES:
	case -EROFS:
		return "thpd may not write to the runtime directory.";
	default:
		return "The socket in the runtime directory cannot be made.";
	}
}

static void remove_client(struct bus *b, size_t i)
{
	(void)bus_client_free(b->clients[i]);
	b->clients[i] = b->clients[--b->n_clients];
}

static void remove_all_clients(struct bus *b)
{
	while (b->n_clients > 0)
		remove_client(b, b->n_clients - 1);
}

static void on_client_end(struct bus_client *c, void *userdata)
{
	struct bus *b = userdata;

	for (size_t i = 0; i < b->n_clients; i++)
		if (b->clients[i] == c) {
			remove_client(b, i);
			return;
		}
}

static size_t count_clients_of(const struct bus *b, uid_t uid, size_t *ret_oldest)
{
	uint64_t oldest_us = UINT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < b->n_clients; i++) {
		uint64_t used_us = bus_client_last_used_us(b->clients[i]);

		if (bus_client_uid(b->clients[i]) != uid)
			continue;
		n++;
		if (used_us < oldest_us) {
			oldest_us = used_us;
			*ret_oldest = i;
		}
	}
	return n;
}

static size_t count_unprivileged(const struct bus *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_clients; i++)
		if (!bus_client_is_privileged(b->clients[i]))
			n++;
	return n;
}

/* Makes room for one more of this user, if need be by the connection of his own that was silent
 * longest: forgotten connections lock nobody out, and nobody can push out another user's. */
static bool make_room(struct bus *b, uid_t uid, bool is_privileged)
{
	size_t oldest = 0;

	if (count_clients_of(b, uid, &oldest) >= CLIENTS_PER_UID_MAX)
		remove_client(b, oldest);
	if (!is_privileged && count_unprivileged(b) >= UNPRIVILEGED_CLIENTS_MAX)
		return false;
	return b->n_clients < CLIENTS_MAX;
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct bus *b = userdata;
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	struct bus_client_options o = {
		.event = b->event,
		.manager = b->manager,
		.on_end = on_client_end,
		.userdata = b,
	};

	(void)source, (void)revents;
	/* A failure costs this connection, never the daemon. */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return 0;
	o.uid = peer.uid;
	o.is_privileged = peer.uid == 0 || peer.uid == geteuid();
	if (make_room(b, o.uid, o.is_privileged) &&
	    bus_client_new(TAKE_FD(fd), &o, &b->clients[b->n_clients]) >= 0)
		b->n_clients++;
	return 0;
}

/* sd-bus would flush every connection when the loop exits, and wait for those that do not read: the
 * connections must be gone before. */
static int on_exit_loop(sd_event_source *source, void *userdata)
{
	(void)source;
	remove_all_clients(userdata);
	return 0;
}

static int add_sources(struct bus *b)
{
	int r;

	r = sd_event_add_io(b->event, &b->accept, b->listen_fd, EPOLLIN, on_accept, b);
	if (r < 0)
		return r;
	r = sd_event_source_set_ratelimit(b->accept, ACCEPTS_INTERVAL_US, ACCEPTS_MAX);
	if (r < 0)
		return r;
	r = sd_event_add_exit(b->event, &b->exit, on_exit_loop, b);
	if (r < 0)
		return r;
	return sd_event_source_set_priority(b->exit, SD_EVENT_PRIORITY_IMPORTANT);
}

int bus_new(sd_event *event, struct manager *m, const struct runtime_dir *d, struct bus **ret)
{
	struct bus *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->event = sd_event_ref(event);
	b->manager = m;
	b->directory = d;
	b->listen_fd = -EBADF;
	r = runtime_dir_listen(d, "bus", SOCK_STREAM, &b->listen_fd);
	if (r >= 0)
		r = add_sources(b);
	if (r < 0) {
		(void)bus_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

struct bus *bus_free(struct bus *b)
{
	if (!b)
		return NULL;
	remove_all_clients(b);
	sd_event_source_disable_unref(b->exit);
	sd_event_source_disable_unref(b->accept);
	b->listen_fd = runtime_dir_unlisten(b->directory, "bus", b->listen_fd);
	sd_event_unref(b->event);
	free(b);
	return NULL;
}
