/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. One epoll descriptor stands for three: the socket, a timer (when to look for
 * thpd again, or to tell of a table that changes often), and an eventfd that the registry writes.
 * Whatever made it readable, all of it is looked at.
 *
 * There is one message to be sent at most, and while there is, no question is read: thpd asks one
 * at a time, and what it does not read costs one message. What is told of comes from the registry
 * when it can be sent, by parts, each under the registry's lock for as long as it takes to copy 64
 * slots. A table that has changed in between is begun anew, but a table begins at most ten times a
 * second, so that thousands of memslots set one by one are told in a few tables.
 *
 * Whoever is believed is root's, this user's, or the one's in THPD_VMM_DAEMON_UID, since a nudge is
 * done for him. Whoever says what is not lawful, or in another version, is left alone for the
 * longest time. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "kvm_stats.h"
#include "toggle.h"
#include "uplink.h"

#define SOCKET_PATH "/run/thpd/vmm"

enum { QUESTIONS_AT_ONCE = 4 };

static const uint64_t TABLE_INTERVAL_NS = 100000000, SECOND_NS = 1000000000;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* --- descriptors ----------------------------------------------------------------------------- */

/* It is none of ours any more before it is closed: the preload keeps others from closing ours. */
static void fd_close(atomic_int *fd)
{
	int was = atomic_exchange(fd, -1);

	if (was >= 0)
		close(was);
}

static void fds_close(struct uplink *u)
{
	fd_close(&u->socket_fd);
	fd_close(&u->timer_fd);
	fd_close(&u->changed_fd);
	fd_close(&u->epoll_fd);
}

static int watch(const struct uplink *u, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events};

	return epoll_ctl(u->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

static int fds_open(struct uplink *u)
{
	u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll_fd < 0)
		return -errno;
	u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (u->timer_fd < 0)
		return -errno;
	u->changed_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (u->changed_fd < 0)
		return -errno;
	if (watch(u, EPOLL_CTL_ADD, u->timer_fd, EPOLLIN) < 0 ||
	    watch(u, EPOLL_CTL_ADD, u->changed_fd, EPOLLIN) < 0)
		return -ENOMEM;
	return 0;
}

/* A child that was cloned may have the socket, too: it is shut down, and watched no more. */
static void socket_close(struct uplink *u)
{
	if (u->socket_fd < 0)
		return;
	shutdown(u->socket_fd, SHUT_RDWR);
	watch(u, EPOLL_CTL_DEL, u->socket_fd, 0);
	fd_close(&u->socket_fd);
}

/* Whether it had something to say. */
static bool drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

static void wake_after(const struct uplink *u, uint64_t ns)
{
	const struct itimerspec when = {
		.it_value = {(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)},
	};

	timerfd_settime(u->timer_fd, 0, &when, NULL);
}

/* --- its life -------------------------------------------------------------------------------- */

static int64_t uid_of(const char *text)
{
	unsigned long uid;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	uid = strtoul(text, &end, 10);
	return *end || errno || uid > UINT32_MAX ? -1 : (int64_t)uid;
}

static int address_set(struct sockaddr_un *a, const char *path)
{
	if (!path || !*path)
		path = SOCKET_PATH;
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, path);
	return 0;
}

static void forget_in_child(void *userdata)
{
	fds_close(userdata);
}

int uplink_init(struct uplink *u, struct registry *r)
{
	int saved = errno, e;

	*u = (struct uplink){
		.registry = r,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.epoll_fd = -1,
		.timer_fd = -1,
		.changed_fd = -1,
		.socket_fd = -1,
		.wait_s = UPLINK_WAIT_MIN_S,
		.daemon_uid = uid_of(secure_getenv("THPD_VMM_DAEMON_UID")),
	};
	e = address_set(&u->address, secure_getenv("THPD_VMM_SOCKET"));
	e = e < 0 ? e : fds_open(u);
	if (e < 0) {
		fds_close(u);
	} else {
		registry_tell(r, u->changed_fd, forget_in_child, u);
		wake_after(u, 1);
	}
	errno = saved;
	return e;
}

void uplink_done(struct uplink *u)
{
	int saved = errno;

	registry_tell(u->registry, -1, NULL, NULL);
	if (forklock_is_ours(&u->registry->lock))
		socket_close(u);
	fds_close(u);
	errno = saved;
}

int uplink_fd(const struct uplink *u)
{
	return u->epoll_fd;
}

int uplink_own_in(const struct uplink *u, unsigned int first, unsigned int last)
{
	const int own[] = {u->epoll_fd, u->timer_fd, u->changed_fd, u->socket_fd};
	int lowest = -1;

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (own[i] >= 0 && (unsigned int)own[i] >= first && (unsigned int)own[i] <= last &&
		    (lowest < 0 || own[i] < lowest))
			lowest = own[i];
	return lowest;
}

bool uplink_owns(const struct uplink *u, int fd)
{
	return fd >= 0 && uplink_own_in(u, (unsigned int)fd, (unsigned int)fd) == fd;
}

/* --- the connection -------------------------------------------------------------------------- */

static void connection_end(struct uplink *u)
{
	socket_close(u);
	u->state = UPLINK_AWAY;
	u->out_bytes = 0;
	wake_after(u, u->wait_s * SECOND_NS);
	u->wait_s = 2 * u->wait_s < UPLINK_WAIT_MAX_S ? 2 * u->wait_s : UPLINK_WAIT_MAX_S;
}

static void connection_shun(struct uplink *u)
{
	u->wait_s = UPLINK_WAIT_MAX_S;
	connection_end(u);
}

static bool is_believed(const struct uplink *u)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	return getsockopt(u->socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid() || peer.uid == u->daemon_uid);
}

static void send_later(struct uplink *u, enum wire_type type, size_t bytes, uint32_t serial)
{
	wire_seal(&u->out, type, bytes, serial);
	u->out_bytes = bytes;
}

static void hello(struct uplink *u)
{
	u->out.hello = (struct wire_hello){.library = THPD_VERSION};
	send_later(u, WIRE_HELLO, sizeof(u->out.hello), 0);
}

static void connection_begin(struct uplink *u)
{
	u->socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	u->events = EPOLLIN;
	if (u->socket_fd < 0 ||
	    connect(u->socket_fd, (const struct sockaddr *)&u->address, sizeof(u->address)) < 0 ||
	    watch(u, EPOLL_CTL_ADD, u->socket_fd, u->events) < 0)
		connection_end(u);
	else if (!is_believed(u))
		connection_shun(u);
	else {
		u->state = UPLINK_GREETING;
		hello(u);
	}
}

/* --- telling --------------------------------------------------------------------------------- */

static void tell_vm(struct uplink *u, uint32_t vm, const struct registry_view *view)
{
	u->out.vm = (struct wire_vm){.vm = vm, .flags = view->flags};
	u->told[vm].birth = view->birth;
	u->told[vm].flags = view->flags;
	send_later(u, WIRE_VM, sizeof(u->out.vm), 0);
}

static void tell_gone(struct uplink *u, uint32_t vm)
{
	u->out.vm_gone = (struct wire_vm_gone){.vm = vm};
	u->told[vm] = (struct uplink_told){0};
	send_later(u, WIRE_VM_GONE, sizeof(u->out.vm_gone), 0);
}

/* n slots from told->next on are in the message. */
static void tell_slots(struct uplink *u, uint32_t vm, const struct registry_view *view, uint32_t n)
{
	struct uplink_told *told = &u->told[vm];
	struct wire_slots *t = &u->out.slots;

	t->vm = vm;
	t->generation = view->generation;
	t->first = told->next;
	t->n = n;
	t->total = view->total;
	t->reserved = 0;
	told->next += n;
	if (told->next == view->total) {
		told->is_sending = false;
		told->has_table = true;
	}
	send_later(u, WIRE_SLOTS, wire_slots_bytes(n), 0);
}

/* Whether a table is to be begun, now. *wait_ns: how long not, if that is less. */
static bool begin_table(struct uplink_told *told, const struct registry_view *view, uint64_t now,
			uint64_t *wait_ns)
{
	if (told->has_table && told->generation == view->generation)
		return false;
	if (now < told->not_before_ns) {
		if (told->not_before_ns - now < *wait_ns)
			*wait_ns = told->not_before_ns - now;
		return false;
	}
	told->has_table = false;
	told->is_sending = true;
	told->generation = view->generation;
	told->next = 0;
	told->not_before_ns = now + TABLE_INTERVAL_NS;
	return true;
}

/* Whether there is something to be sent of this VM. */
static bool compose_vm(struct uplink *u, uint32_t vm, uint64_t now, uint64_t *wait_ns)
{
	struct uplink_told *told = &u->told[vm];
	uint32_t first = told->is_sending ? told->next : 0, n;
	struct registry_view view;

	n = registry_read(u->registry, vm, first, WIRE_SLOTS_MAX, u->out.slots.slots, &view);
	if (told->birth && told->birth != view.birth)
		tell_gone(u, vm);
	else if (view.birth && (!told->birth || told->flags != view.flags))
		tell_vm(u, vm, &view);
	else if (view.birth && told->is_sending && told->generation == view.generation)
		tell_slots(u, vm, &view, n);
	else if (view.birth && told->is_sending) {
		told->is_sending = false;
		return compose_vm(u, vm, now, wait_ns);
	} else if (view.birth && begin_table(told, &view, now, wait_ns))
		tell_slots(u, vm, &view, n);
	return u->out_bytes > 0;
}

static bool compose(struct uplink *u, uint64_t now)
{
	uint64_t wait_ns = UINT64_MAX;

	for (uint32_t vm = 0; vm < WIRE_VMS_MAX; vm++)
		if (compose_vm(u, vm, now, &wait_ns))
			return true;
	if (wait_ns < UINT64_MAX)
		wake_after(u, wait_ns);
	return false;
}

static void send_what_is(struct uplink *u, uint64_t now)
{
	while (u->state != UPLINK_AWAY &&
	       (u->out_bytes > 0 || (u->state == UPLINK_UP && compose(u, now)))) {
		if (send(u->socket_fd, &u->out, u->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			u->out_bytes = 0;
		else if (errno == EAGAIN || errno == EINTR)
			return;
		else
			connection_end(u);
	}
}

/* --- answering ------------------------------------------------------------------------------- */

static void answer_count(struct uplink *u, const struct wire_count *q)
{
	struct kvm_stats s = {0};
	int e;

	toggle_settle(u->registry, q->vm);
	e = kvm_stats_read(u->registry, q->vm, &s);
	u->out.counts = (struct wire_counts){
		.vm = q->vm,
		.err = -e,
		.pages_4k = s.pages_4k,
		.pages_2m = s.pages_2m,
		.pages_1g = s.pages_1g,
		.nx_splits = s.nx_splits,
	};
	send_later(u, WIRE_COUNTS, sizeof(u->out.counts), q->header.serial);
}

static void answer_nudge(struct uplink *u, const struct wire_nudge *q)
{
	toggle_settle(u->registry, q->vm);
	toggle_nudge(u->registry, q, &u->out.nudged);
	send_later(u, WIRE_NUDGED, sizeof(u->out.nudged), q->header.serial);
}

static void welcome(struct uplink *u)
{
	u->state = UPLINK_UP;
	u->wait_s = UPLINK_WAIT_MIN_S;
	memset(u->told, 0, sizeof(u->told));
}

static void obey(struct uplink *u, const union wire_message *m)
{
	const bool is_welcome = m->header.type == WIRE_WELCOME;

	if (is_welcome != (u->state == UPLINK_GREETING))
		connection_shun(u);
	else if (is_welcome)
		welcome(u);
	else if (m->header.type == WIRE_COUNT)
		answer_count(u, &m->count);
	else
		answer_nudge(u, &m->nudge);
}

static void receive(struct uplink *u)
{
	union wire_message m;
	ssize_t n = recv(u->socket_fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		connection_end(u);
	else if (wire_check(&m, (size_t)n, false, NULL) < 0)
		connection_shun(u);
	else
		obey(u, &m);
}

/* --- what is due ----------------------------------------------------------------------------- */

static void converse(struct uplink *u)
{
	uint64_t now = now_ns();

	send_what_is(u, now);
	for (int i = 0; i < QUESTIONS_AT_ONCE && u->state != UPLINK_AWAY && u->out_bytes == 0;
	     i++) {
		receive(u);
		send_what_is(u, now);
	}
}

static void watch_anew(struct uplink *u)
{
	uint32_t events = u->out_bytes > 0 ? EPOLLOUT : EPOLLIN;

	if (u->state == UPLINK_AWAY || events == u->events)
		return;
	u->events = events;
	if (watch(u, EPOLL_CTL_MOD, u->socket_fd, events) < 0)
		connection_end(u);
}

void uplink_dispatch(struct uplink *u)
{
	int saved = errno;
	bool is_time;

	if (!forklock_is_ours(&u->registry->lock) || pthread_mutex_trylock(&u->mutex) != 0)
		return;
	is_time = drain(u->timer_fd);
	drain(u->changed_fd);
	if (u->state == UPLINK_AWAY && is_time)
		connection_begin(u);
	if (u->state != UPLINK_AWAY)
		converse(u);
	watch_anew(u);
	pthread_mutex_unlock(&u->mutex);
	errno = saved;
}
