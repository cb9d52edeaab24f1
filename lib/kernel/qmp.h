/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A client of QEMU's machine protocol: questions and answers over a unix socket, one at a time.
 *
 * The other end is hostile. Everything is bounded: one session takes QMP_SESSION_NS at most from
 * its opening to its close, whatever the other end does or leaves undone; an answer has
 * QMP_MESSAGE_BYTES_MAX bytes, the session QMP_SESSION_BYTES_MAX, and what an answer becomes in
 * memory is bounded by the number of its values. For worker threads: it waits. A monitor serves one
 * client at a time, so a session is opened, asked and closed at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"

struct json_object;

#define QMP_SESSION_NS UINT64_C(1000000000)

enum {
	QMP_MESSAGE_BYTES_MAX = 1 << 20, /* `info mtree -f` of a large VM has some 100 KiB */
	QMP_SESSION_BYTES_MAX = 4 << 20, /* with all events */
	QMP_DEPTH_MAX = 16,
	QMP_CONTAINERS_MAX = 8192, /* objects and arrays of a message; two for each vCPU */
	QMP_COMMAS_MAX = 32768,	   /* outside of strings; some ten for each vCPU */
	QMP_EVENTS_MAX = 1024,	   /* of a session */
	QMP_REFUSED = 1,	   /* QEMU answered with an error of its own */
	QMP_REFUSAL_MAX = 160,	   /* what is kept of its words */
};

/* Whom to ask, and by which socket. */
struct qmp_target {
	const struct process *process; /* the VM's own: nobody else may answer */
	uid_t uid;		       /* that it runs as */
	const char *path;	       /* absolute */
};

struct qmp {
	struct sys *sys;
	int fd; /* owned */
	uint64_t deadline_ns;
	uint64_t serial;
	int error;		       /* that ended the session; 0 or negative */
	const char *why;	       /* of the error: a static text */
	char refusal[QMP_REFUSAL_MAX]; /* QEMU's words for the last QMP_REFUSED, printable; or "" */
	size_t n_received, n_events;
	size_t at, end; /* what is not parsed yet */
	char buffer[8192];
};

#define QMP_INIT             \
	{                    \
		.fd = -EBADF \
	}

/* Connects, sees that the VM's own process listens there (SO_PEERCRED, and its pidfd where the
 * kernel has SO_PEERPIDFD), and takes up the session. 0, or negative, with ret->why: -ENOENT,
 * -ENOTSOCK, -EPERM (the socket is neither root's nor the VM's), -EACCES (it may not be written
 * to), -ECONNREFUSED, -EXDEV (another process answers), and as qmp_execute(). */
int qmp_open(struct sys *sys, const struct qmp_target *target, struct qmp *ret);

/* The same on a connected socket, which becomes the session's; non-blocking. Who is at the other
 * end was seen to. */
int qmp_open_fd(struct sys *sys, int fd, struct qmp *ret);

/* Asks; arguments: the text of a JSON object, or NULL. Events in between are passed over. *ret: to
 * be put (json_object_put()); NULL where the answer is null. 0, QMP_REFUSED (the session goes on),
 * or negative, and then every further call fails the same: -ETIMEDOUT, -ECONNRESET, -EMSGSIZE,
 * -EPROTO (no QMP), or another. */
int qmp_execute(struct qmp *q, const char *command, const char *arguments,
		struct json_object **ret);

/* A line for the human monitor, of characters that need no escape in JSON, and its answer, to be
 * freed. Results as of qmp_execute(). */
int qmp_human(struct qmp *q, const char *line, char **ret);

void qmp_close(struct qmp *q);

/* The next message in a text, for tests and fuzzing: the parser with all its bounds. The number of
 * bytes taken, or -EPROTO, -EMSGSIZE, -EAGAIN (the text ends before the message). */
ssize_t qmp_parse(const char *text, size_t size, struct json_object **ret);

/* A whole number, not negative, of a member of an object; false if there is none such. */
bool qmp_number(struct json_object *object, const char *key, uint64_t *ret);
/* A text; NULL if there is none such. */
const char *qmp_text(struct json_object *object, const char *key);
/* An object (or any value of that type); NULL if there is none such. */
struct json_object *qmp_member(struct json_object *object, const char *key);
