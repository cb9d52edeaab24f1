/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation. All connections are in one epoll set, which is one source of the event loop:
 * each turn takes one event of one connection and reads one message, in rotation, behind thpd's own
 * work. What all of them together may send is bounded by the source's rate: beyond it nobody is
 * read for the rest of 100 ms, and who goes on sending is held back by his own socket. Who breaks a
 * law is closed, and the process that did is refused for a minute; it is held by its pidfd, so that
 * no other that gets its pid is meant. */
#include "vmm_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bits.h"
#include "cleanup.h"
#include "log.h"
#include "runtime_dir.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum {
	/* A VM is one process, and libvirt runs all VMs of a host as one user. */
	PEERS_MAX = 4096,
	PEERS_PER_UID_MAX = 2048,
	/* Each has two descriptors, and others need some. */
	DESCRIPTORS_PER_PEER = 8,
	/* Of all tables: 64 MiB with what grows. A VM has some ten to some hundred slots. */
	SLOTS_MAX = 1 << 20,
	SLOTS_PER_UID_MAX = SLOTS_MAX / 2,
	/* A host with 1000 VMs says so within a second after thpd was started. */
	EVENTS_MAX = 500,
	ACCEPTS_MAX = 100,
	INTERVAL_US = 100 * 1000,
	/* Behind thpd's own work. */
	PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10,
	REFUSED_MAX = 256,
	COMPLAINTS_MAX = 20, /* within that time */
};

#define REFUSED_NS (UINT64_C(60) * 1000000000)

/* A connection in the epoll set: its socket, and its process. */
struct watch {
	struct link *link;
	bool is_process;
};

struct link {
	struct vmm_peer *peer; /* owned */
	size_t held_slots;     /* of it, as they are in the server's sum */
	struct watch socket, process;
};

struct refused {
	pid_t pid;
	int pidfd; /* owned */
	uint64_t until_ns;
};

struct vmm_server {
	sd_event *event;
	struct sys *sys;
	const struct runtime_dir *directory; /* not owned */
	struct vmm_server_hooks hooks;
	int listen_fd, epoll_fd;
	sd_event_source *accept, *events;
	struct link *links[PEERS_MAX]; /* owned; by age */
	size_t n_links, max_links;
	size_t held_slots;
	struct refused refused[REFUSED_MAX];
	size_t n_refused;
	uint64_t complaints_since_ns;
	unsigned complaints;
};

static uint64_t now_of(const struct vmm_server *s)
{
	uint64_t us = 0;

	(void)sd_event_now(s->event, CLOCK_MONOTONIC, &us);
	return us * 1000;
}

/* ---- who is refused -------------------------------------------------------------------- */

static bool is_alive(const struct vmm_server *s, int pidfd)
{
	return s->sys->ops->pidfd_is_alive(s->sys, pidfd) == 1;
}

static void forget_refused(struct vmm_server *s, size_t i)
{
	(void)close_fd(s->refused[i].pidfd);
	s->refused[i] = s->refused[--s->n_refused];
}

static void forgive(struct vmm_server *s, uint64_t now_ns)
{
	for (size_t i = s->n_refused; i > 0; i--)
		if (now_ns >= s->refused[i - 1].until_ns || !is_alive(s, s->refused[i - 1].pidfd))
			forget_refused(s, i - 1);
}

static bool is_refused(const struct vmm_server *s, pid_t pid, uint64_t now_ns)
{
	for (size_t i = 0; i < s->n_refused; i++)
		if (s->refused[i].pid == pid && now_ns < s->refused[i].until_ns &&
		    is_alive(s, s->refused[i].pidfd))
			return true;
	return false;
}

/* Where there is no room for one more, the one whose time is over first is let go. */
static void refuse(struct vmm_server *s, const struct vmm_identity *who, uint64_t now_ns)
{
	struct refused one = {
		.pid = who->pid,
		.pidfd = fcntl(who->pidfd, F_DUPFD_CLOEXEC, 3),
		.until_ns = now_ns + REFUSED_NS,
	};
	size_t first = 0;

	if (one.pidfd < 0)
		return;
	for (size_t i = 1; i < s->n_refused; i++)
		if (s->refused[i].until_ns < s->refused[first].until_ns)
			first = i;
	if (s->n_refused == REFUSED_MAX)
		forget_refused(s, first);
	s->refused[s->n_refused++] = one;
}

static void complain(struct vmm_server *s, const struct vmm_identity *who, const char *why,
		     uint64_t now_ns)
{
	if (now_ns >= s->complaints_since_ns + REFUSED_NS) {
		s->complaints_since_ns = now_ns;
		s->complaints = 0;
	}
	if (s->complaints++ < COMPLAINTS_MAX)
		log_warning("pid %d of user %u does not speak as libthpd-vmm does: %s; its "
			    "connection is closed, and it is refused for a minute",
			    (int)who->pid, (unsigned)who->uid, why);
}

/* ---- connections ----------------------------------------------------------------------- */

static size_t index_of(const struct vmm_server *s, const struct link *l)
{
	size_t i = 0;

	while (i < s->n_links && s->links[i] != l)
		i++;
	return i;
}

/* Out of the set by name: a scout that is out has descriptors of its own, which would keep it
 * there. */
static void free_link(struct vmm_server *s, struct link *l)
{
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, vmm_peer_fd(l->peer), NULL);
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, vmm_peer_identity(l->peer)->pidfd, NULL);
	(void)vmm_peer_free(l->peer);
	free(l);
}

static void end_link(struct vmm_server *s, struct link *l)
{
	size_t i = index_of(s, l);

	memmove(&s->links[i], &s->links[i + 1], (s->n_links - i - 1) * sizeof(s->links[0]));
	s->n_links--;
	s->held_slots -= l->held_slots;
	if (vmm_peer_library(l->peer))
		s->hooks.ended(s->hooks.userdata, l->peer);
	free_link(s, l);
}

static void end_in_anger(struct vmm_server *s, struct link *l, const char *why)
{
	complain(s, vmm_peer_identity(l->peer), why, now_of(s));
	refuse(s, vmm_peer_identity(l->peer), now_of(s));
	end_link(s, l);
}

static bool is_of(const struct link *l, uid_t uid)
{
	return vmm_peer_identity(l->peer)->uid == uid;
}

/* Bounded for root, too, but only by what there is for all. */
static bool holds_too_much(const struct vmm_server *s, uid_t uid)
{
	size_t n = 0;

	if (s->held_slots <= SLOTS_PER_UID_MAX)
		return false;
	for (size_t i = 0; uid != 0 && i < s->n_links; i++)
		n += is_of(s->links[i], uid) ? s->links[i]->held_slots : 0;
	return n > SLOTS_PER_UID_MAX || s->held_slots > SLOTS_MAX;
}

static bool has_grown_too_much(struct vmm_server *s, struct link *l)
{
	size_t before = l->held_slots;

	l->held_slots = vmm_peer_held_slots(l->peer);
	s->held_slots += l->held_slots - before;
	return l->held_slots > before && holds_too_much(s, vmm_peer_identity(l->peer)->uid);
}

static const char *sentence_of(int error, const char *why)
{
	if (error == -ENOSPC)
		return "more memslots than a process can have";
	return why ? why : strerror(-error);
}

static void read_link(struct vmm_server *s, struct link *l)
{
	const char *why = NULL;
	int r = vmm_peer_read(l->peer, now_of(s), &why);

	if (r == -EPROTO || r == -EPROTONOSUPPORT || r == -ENOSPC)
		end_in_anger(s, l, sentence_of(r, why));
	else if (r < 0)
		end_link(s, l);
	else if (has_grown_too_much(s, l))
		end_in_anger(s, l, "too many memslots, with those of others");
	else if (r > 0)
		s->hooks.happened(s->hooks.userdata, l->peer, (enum vmm_event)r);
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct vmm_server *s = userdata;
	struct epoll_event e;
	const struct watch *w;

	(void)source, (void)revents;
	if (epoll_wait(fd, &e, 1, 0) < 1)
		return 0;
	w = e.data.ptr;
	if (w->is_process)
		end_link(s, w->link);
	else
		read_link(s, w->link);
	return 0;
}

/* ---- who connects ---------------------------------------------------------------------- */

/* Where the kernel does not tell it (before Linux 6.5), the one that has the pid now is the one
 * that connected if that still holds its end, unless it left the end to a child, died, and gave its
 * pid to another, all since it connected. Then the child tells lies of that one, whose user is the
 * same (hearing.c). */
static int open_pidfd(const struct vmm_server *s, int fd, pid_t pid)
{
	struct pollfd hung_up = {.fd = fd, .events = POLLRDHUP};
	_cleanup_close_ int pidfd = -EBADF;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		return TAKE_FD(pidfd);
	if (errno != ENOPROTOOPT)
		return -errno;
	pidfd = s->sys->ops->pidfd_open(s->sys, pid);
	if (pidfd >= 0 && poll(&hung_up, 1, 0) != 0)
		return -ESRCH;
	return TAKE_FD(pidfd);
}

/* -ESRCH: it is not in our pid namespace, or gone. */
static int identify(const struct vmm_server *s, int fd, struct vmm_identity *ret)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.pid <= 0)
		return -ESRCH;
	*ret = (struct vmm_identity){
		.pid = peer.pid, .uid = peer.uid, .pidfd = open_pidfd(s, fd, peer.pid)};
	return ret->pidfd < 0 ? ret->pidfd : 0;
}

static struct link *find_link(const struct vmm_server *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (vmm_peer_identity(s->links[i]->peer)->pid == pid)
			return s->links[i];
	return NULL;
}

static size_t count_of(const struct vmm_server *s, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_links; i++)
		n += is_of(s->links[i], uid);
	return n;
}

/* The oldest one that belongs to no VM; NULL: there is none. */
static struct link *find_idle(const struct vmm_server *s, bool is_of_all, uid_t uid)
{
	for (size_t i = 0; i < s->n_links; i++)
		if ((is_of_all || is_of(s->links[i], uid)) && !vmm_peer_owner(s->links[i]->peer))
			return s->links[i];
	return NULL;
}

/* Forgotten connections lock nobody out: the user's own go first. Those of VMs are never pushed
 * out. */
static bool make_room(struct vmm_server *s, uid_t uid)
{
	bool is_full = s->n_links >= s->max_links,
	     is_over = uid != 0 && count_of(s, uid) >= min_u64(PEERS_PER_UID_MAX, s->max_links / 2);
	struct link *idle;

	if (!is_full && !is_over)
		return true;
	idle = find_idle(s, false, uid);
	if (!idle && !is_over)
		idle = find_idle(s, true, uid);
	if (idle)
		end_link(s, idle);
	return idle;
}

/* One connection a process. Another process of the same pid is gone, whoever holds its end. */
static bool may_connect(struct vmm_server *s, const struct vmm_identity *who)
{
	struct link *other = find_link(s, who->pid);

	if (is_refused(s, who->pid, now_of(s)))
		return false;
	if (other && is_alive(s, vmm_peer_identity(other->peer)->pidfd))
		return false;
	if (other)
		end_link(s, other);
	return make_room(s, who->uid);
}

static int watch(struct vmm_server *s, int fd, struct watch *w)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = w};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* Takes fd and who's pidfd. */
static void add_link(struct vmm_server *s, int fd, const struct vmm_identity *who)
{
	struct vmm_peer *peer = vmm_peer_new(fd, who, now_of(s));
	struct link *l = peer ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		(void)vmm_peer_free(peer);
		return;
	}
	*l = (struct link){.peer = peer, .socket = {.link = l}, .process = {l, true}};
	if (watch(s, fd, &l->socket) < 0 || watch(s, who->pidfd, &l->process) < 0)
		free_link(s, l);
	else
		s->links[s->n_links++] = l;
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct vmm_server *s = userdata;
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vmm_identity who;

	(void)source, (void)revents;
	/* A failure costs this connection, never the daemon. */
	if (fd < 0 || identify(s, fd, &who) < 0)
		return 0;
	if (may_connect(s, &who))
		add_link(s, TAKE_FD(fd), &who);
	else
		(void)close_fd(who.pidfd);
	return 0;
}

struct vmm_peer *vmm_server_find(const struct vmm_server *s, pid_t pid)
{
	struct link *l = s ? find_link(s, pid) : NULL;

	return l && vmm_peer_library(l->peer) ? l->peer : NULL;
}

/* ---- life ------------------------------------------------------------------------------ */

void vmm_server_tend(struct vmm_server *s)
{
	uint64_t now_ns = now_of(s);

	forgive(s, now_ns);
	for (size_t i = s->n_links; i > 0; i--) {
		struct vmm_peer *p = s->links[i - 1]->peer;

		if (vmm_peer_is_silent(p, now_ns))
			end_link(s, s->links[i - 1]);
		else if (vmm_peer_give_up(p, now_ns))
			s->hooks.happened(s->hooks.userdata, p, VMM_ANSWERED);
	}
}

static int add_source(struct vmm_server *s, int fd, sd_event_io_handler_t handler, unsigned max,
		      sd_event_source **ret)
{
	int r = sd_event_add_io(s->event, ret, fd, EPOLLIN, handler, s);

	if (r >= 0)
		r = sd_event_source_set_priority(*ret, PRIORITY);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(*ret, INTERVAL_US, max);
	return r;
}

static int start(struct vmm_server *s)
{
	struct rlimit limit = {0};
	int r = runtime_dir_listen(s->directory, "vmm", SOCK_SEQPACKET, &s->listen_fd);

	if (r < 0)
		return r;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	s->max_links = min_u64(PEERS_MAX, limit.rlim_cur / DESCRIPTORS_PER_PEER);
	r = add_source(s, s->listen_fd, on_accept, ACCEPTS_MAX, &s->accept);
	return r < 0 ? r : add_source(s, s->epoll_fd, on_events, EVENTS_MAX, &s->events);
}

int vmm_server_new(sd_event *event, struct sys *sys, const struct runtime_dir *d,
		   const struct vmm_server_hooks *hooks, struct vmm_server **ret)
{
	struct vmm_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->event = sd_event_ref(event);
	s->sys = sys;
	s->directory = d;
	s->hooks = *hooks;
	s->listen_fd = s->epoll_fd = -EBADF;
	r = start(s);
	if (r < 0) {
		(void)vmm_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct vmm_server *vmm_server_free(struct vmm_server *s)
{
	if (!s)
		return NULL;
	sd_event_source_disable_unref(s->accept);
	sd_event_source_disable_unref(s->events);
	while (s->n_links > 0)
		free_link(s, s->links[--s->n_links]);
	while (s->n_refused > 0)
		forget_refused(s, 0);
	(void)close_fd(s->epoll_fd);
	(void)runtime_dir_unlisten(s->directory, "vmm", s->listen_fd);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}
