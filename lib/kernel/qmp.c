/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"
#include "vm.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static int fail(struct qmp *q, int error, const char *why)
{
	q->error = error;
	q->why = why;
	return error;
}

/* ---- Text to values ------------------------------------------------------------------------- */

/* An empty object costs some 700 bytes of memory and two of text: so the values of a message are
 * counted before json-c sees them. It takes keys in single quotes even when strict: those would
 * hide what is counted. */
struct census {
	bool is_in_string, is_escaped;
	unsigned n_containers, n_commas;
};

static int census_take(struct census *c, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char x = text[i];

		if (c->is_in_string) {
			c->is_in_string = c->is_escaped || x != '"';
			c->is_escaped = !c->is_escaped && x == '\\';
			continue;
		}
		if (x == '\'')
			return -EPROTO;
		c->is_in_string = x == '"';
		c->n_containers += x == '{' || x == '[';
		c->n_commas += x == ',';
	}
	return c->n_containers <= QMP_CONTAINERS_MAX && c->n_commas <= QMP_COMMAS_MAX ? 0
										      : -EMSGSIZE;
}

/* A message that is being read. */
struct parse {
	struct json_tokener *tokener;
	struct census census;
	size_t n_bytes;
};

static int parse_begin(struct parse *p)
{
	*p = (struct parse){.tokener = json_tokener_new_ex(QMP_DEPTH_MAX)};
	if (!p->tokener)
		return -ENOMEM;
	json_tokener_set_flags(p->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	return 0;
}

static void parse_end(struct parse *p)
{
	json_tokener_free(p->tokener);
}

/* Takes text on. 0 and *ret: the message is whole; -EAGAIN: more is needed; -EPROTO, -EMSGSIZE. */
static int parse_more(struct parse *p, const char *text, size_t size, size_t *ret_taken,
		      struct json_object **ret)
{
	struct json_object *object;
	int r = census_take(&p->census, text, size);

	p->n_bytes += size;
	if (r < 0 || p->n_bytes > QMP_MESSAGE_BYTES_MAX)
		return r < 0 ? r : -EMSGSIZE;
	object = json_tokener_parse_ex(p->tokener, text, (int)size);
	*ret_taken = json_tokener_get_parse_end(p->tokener);
	if (json_tokener_get_error(p->tokener) == json_tokener_continue)
		return -EAGAIN;
	if (!json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		return -EPROTO;
	}
	*ret = object;
	return 0;
}

ssize_t qmp_parse(const char *text, size_t size, struct json_object **ret)
{
	struct parse p;
	size_t taken = 0;
	int r = size <= QMP_MESSAGE_BYTES_MAX ? parse_begin(&p) : -EMSGSIZE;

	if (r < 0)
		return r;
	r = parse_more(&p, text, size, &taken, ret);
	parse_end(&p);
	return r < 0 ? r : (ssize_t)taken;
}

struct json_object *qmp_member(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value))
		return NULL;
	return value;
}

bool qmp_number(struct json_object *object, const char *key, uint64_t *ret)
{
	struct json_object *value = qmp_member(object, key);
	int64_t number;

	if (!json_object_is_type(value, json_type_int))
		return false;
	number = json_object_get_int64(value); /* cut at INT64_MAX */
	if (number < 0)
		return false;
	*ret = (uint64_t)number;
	return true;
}

const char *qmp_text(struct json_object *object, const char *key)
{
	struct json_object *value = qmp_member(object, key);
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

/* ---- The socket ----------------------------------------------------------------------------- */

static int wait_for(struct qmp *q, short events)
{
	uint64_t now = q->sys->ops->now_ns(q->sys);
	struct pollfd p = {.fd = q->fd, .events = events};
	int n;

	if (now >= q->deadline_ns)
		return fail(q, -ETIMEDOUT, "the monitor did not answer in time");
	n = poll(&p, 1, (int)((q->deadline_ns - now) / 1000000 + 1));
	if (n < 0 && errno != EINTR)
		return fail(q, -errno, "the monitor's socket cannot be waited for");
	return 0;
}

static int send_all(struct qmp *q, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = send(q->fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			text += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EAGAIN || errno == EINTR) {
			if (wait_for(q, POLLOUT) < 0)
				return q->error;
			continue;
		}
		return fail(q, -ECONNRESET, "the monitor closed the connection");
	}
	return 0;
}

/* Fills the empty buffer. The clock is asked at each turn, so that a peer that sends without end
 * holds nobody longer than one that is silent. */
static int receive(struct qmp *q)
{
	for (;;) {
		ssize_t n;

		if (wait_for(q, POLLIN) < 0)
			return q->error;
		n = recv(q->fd, q->buffer, sizeof(q->buffer), MSG_DONTWAIT);
		if (n == 0)
			return fail(q, -ECONNRESET, "the monitor closed the connection");
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return fail(q, -errno, "the monitor cannot be read");
		q->at = 0;
		q->end = (size_t)n;
		q->n_received += (size_t)n;
		return q->n_received <= QMP_SESSION_BYTES_MAX
			       ? 0
			       : fail(q, -EMSGSIZE, "the monitor says more than it may");
	}
}

static int read_with(struct qmp *q, struct parse *p, struct json_object **ret)
{
	int r;

	do {
		size_t taken = 0;

		if (q->at == q->end && receive(q) < 0)
			return q->error;
		r = parse_more(p, q->buffer + q->at, q->end - q->at, &taken, ret);
		q->at = r == -EAGAIN ? q->end : q->at + taken;
	} while (r == -EAGAIN);
	if (r == -EMSGSIZE)
		return fail(q, r, "the monitor's answer is too large");
	return r < 0 ? fail(q, r, "the monitor does not speak QMP") : 0;
}

static int read_message(struct qmp *q, struct json_object **ret)
{
	struct parse p;
	int r = parse_begin(&p);

	if (r < 0)
		return fail(q, r, "no memory");
	r = read_with(q, &p, ret);
	parse_end(&p);
	return r;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static int send_command(struct qmp *q, const char *command, const char *arguments)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "{\"execute\":\"%s\",\"arguments\":%s,\"id\":%llu}\n",
			 command, arguments ? arguments : "{}", (unsigned long long)++q->serial);

	if (n < 0 || (size_t)n >= sizeof(text))
		return fail(q, -EINVAL, "the question is too long");
	return send_all(q, text, (size_t)n);
}

/* 0 with what `message` returns, QMP_REFUSED, or -EPROTO: it is no answer to the last question. */
static int take_answer(struct qmp *q, struct json_object *message, struct json_object **ret)
{
	struct json_object *value;
	uint64_t id;

	if (!qmp_number(message, "id", &id) || id != q->serial)
		return -EPROTO;
	if (json_object_object_get_ex(message, "error", &value)) {
		const char *words = qmp_text(value, "desc");

		vm_sanitize(q->refusal, sizeof(q->refusal), words ? words : "");
		return QMP_REFUSED;
	}
	if (!json_object_object_get_ex(message, "return", &value))
		return -EPROTO;
	*ret = json_object_get(value);
	return 0;
}

int qmp_execute(struct qmp *q, const char *command, const char *arguments, struct json_object **ret)
{
	if (q->error < 0 || send_command(q, command, arguments) < 0)
		return q->error;
	for (;;) {
		struct json_object *message;
		bool is_event;
		int r;

		if (read_message(q, &message) < 0)
			return q->error;
		is_event = qmp_member(message, "event") != NULL;
		r = is_event ? 0 : take_answer(q, message, ret);
		json_object_put(message);
		if (r < 0)
			return fail(q, r, "the monitor's answer is to no question of ours");
		if (!is_event)
			return r;
		if (++q->n_events > QMP_EVENTS_MAX)
			return fail(q, -EMSGSIZE, "the monitor says more than it may");
	}
}

int qmp_human(struct qmp *q, const char *line, char **ret)
{
	struct json_object *answer = NULL;
	char arguments[256];
	const char *text;
	int r;

	(void)snprintf(arguments, sizeof(arguments), "{\"command-line\":\"%s\"}", line);
	r = qmp_execute(q, "human-monitor-command", arguments, &answer);
	if (r != 0)
		return r;
	text = json_object_is_type(answer, json_type_string) ? json_object_get_string(answer)
							     : NULL;
	*ret = text ? strdup(text) : NULL;
	json_object_put(answer);
	if (!text)
		return fail(q, -EPROTO, "the human monitor's answer is no text");
	return *ret ? 0 : fail(q, -ENOMEM, "no memory");
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int greet(struct qmp *q)
{
	struct json_object *greeting = NULL, *answer = NULL;
	bool is_qmp;
	int r;

	if (read_message(q, &greeting) < 0) {
		if (q->error == -ETIMEDOUT)
			q->why = "the monitor does not greet: another client may hold it";
		return q->error;
	}
	is_qmp = qmp_member(greeting, "QMP") != NULL;
	json_object_put(greeting);
	if (!is_qmp)
		return fail(q, -EPROTO, "the monitor does not speak QMP");
	r = qmp_execute(q, "qmp_capabilities", NULL, &answer);
	json_object_put(answer);
	return r == QMP_REFUSED ? fail(q, -EPROTO, "the monitor refuses the session") : r;
}

static void begin(struct sys *sys, struct qmp *q)
{
	*q = (struct qmp)QMP_INIT;
	q->sys = sys;
	q->deadline_ns = sys->ops->now_ns(sys) + QMP_SESSION_NS;
}

int qmp_open_fd(struct sys *sys, int fd, struct qmp *ret)
{
	begin(sys, ret);
	ret->fd = fd;
	return greet(ret);
}

/* The socket file, held, so that what is connected to is what was looked at. */
static int open_socket_file(struct qmp *q, const struct qmp_target *t, int *ret)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (t->path[0] != '/')
		return fail(q, -EINVAL, "the monitor's path is not absolute");
	fd = open(t->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(q, -errno,
			    errno == ENOENT ? "there is no such monitor socket"
					    : "the monitor's socket cannot be reached");
	if (fstat(fd, &st) < 0)
		return fail(q, -errno, "the monitor's socket cannot be looked at");
	if (!S_ISSOCK(st.st_mode))
		return fail(q, -ENOTSOCK, "the monitor's path is no socket");
	if (st.st_uid != 0 && st.st_uid != t->uid)
		return fail(q, -EPERM, "the monitor's socket is neither root's nor the VM's");
	*ret = TAKE_FD(fd);
	return 0;
}

static const char *connect_fault(int error)
{
	switch (error) {
	case EACCES:
		return "the monitor's socket may not be written to: its mode and group decide";
	case ECONNREFUSED:
		return "nobody listens on the monitor's socket";
	case EAGAIN:
		return "the monitor is busy with other clients";
	default:
		return "the monitor cannot be connected to";
	}
}

static int connect_to(struct qmp *q, int file)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	/* By the fd: the same file as before, and a path of any length. */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0)
		return fail(q, -errno, "no socket");
	if (connect(q->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return fail(q, -errno, connect_fault(errno));
	return 0;
}

/* A pid may have been another process's when it was noted: the pidfd says. Before Linux 6.5 the
 * number has to do. */
static bool peer_is_gone(struct qmp *q)
{
	int pidfd = -EBADF, is_alive;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(q->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		return errno != ENOPROTOOPT;
	is_alive = q->sys->ops->pidfd_is_alive(q->sys, pidfd);
	(void)close_fd(pidfd);
	return is_alive != 1;
}

static int check_peer(struct qmp *q, const struct process *p)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return fail(q, -errno, "nobody knows who answers on the monitor");
	if (peer.pid != p->pid || peer_is_gone(q) || !process_is_alive(q->sys, p))
		return fail(q, -EXDEV, "another process than the VM answers on the monitor");
	return 0;
}

int qmp_open(struct sys *sys, const struct qmp_target *target, struct qmp *ret)
{
	_cleanup_close_ int file = -EBADF;

	begin(sys, ret);
	if (open_socket_file(ret, target, &file) < 0 || connect_to(ret, file) < 0 ||
	    check_peer(ret, target->process) < 0)
		return ret->error;
	return greet(ret);
}

void qmp_close(struct qmp *q)
{
	q->fd = close_fd(q->fd);
}
