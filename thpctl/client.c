/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include "choice.h"
#include "document.h"
#include "format.h"
#include "scope.h"

enum { CONNECT_MAX_S = 5, CALL_MAX_US = 60 * 1000 * 1000, PROBLEM_MAX = 1024 };

struct client {
	sd_bus *bus;
	char problem[PROBLEM_MAX];
};

const char *client_problem(const struct client *c)
{
	return c->problem;
}

struct client *client_close(struct client *c)
{
	if (c)
		sd_bus_close_unref(c->bus);
	free(c);
	return NULL;
}

__attribute__((format(printf, 2, 3))) static void set_problem(struct client *c, const char *format,
							      ...)
{
	char text[PROBLEM_MAX];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	(void)format_printable(text, c->problem, sizeof(c->problem));
}

/* By the directory's descriptor, since the address of a socket holds no long path. */
static int connect_socket(const char *runtime_dir, int *ret)
{
	_close_ int dirfd = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = CONNECT_MAX_S};
	_close_ int fd = -EBADF;

	if (dirfd < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/bus", dirfd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret = fd;
	fd = -EBADF;
	return 0;
}

static char *connect_problem(int r, const char *runtime_dir)
{
	char *text = NULL;
	int n;

	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOTDIR:
		n = asprintf(
			&text,
			"thpd is not running (nobody listens on %s/bus). Start it with `systemctl "
			"start thpd` or `thpd --runtime-dir=%s`; if it runs elsewhere, say "
			"--runtime-dir=.",
			runtime_dir, runtime_dir);
		break;
	case -EACCES:
	case -EPERM:
		n = asprintf(&text, "No permission to reach %s/bus: run thpctl as root.",
			     runtime_dir);
		break;
	case -EAGAIN:
	case -ETIMEDOUT:
		n = asprintf(
			&text,
			"thpd does not answer on %s/bus. See `systemctl status thpd` or its log.",
			runtime_dir);
		break;
	default:
		n = asprintf(&text, "Cannot reach thpd on %s/bus: %s.", runtime_dir, strerror(-r));
	}
	return n < 0 ? NULL : text;
}

static int start_bus(struct client *c, const char *runtime_dir)
{
	int fd = -EBADF, r;

	r = connect_socket(runtime_dir, &fd);
	if (r < 0)
		return r;
	r = sd_bus_new(&c->bus);
	if (r >= 0)
		r = sd_bus_set_fd(c->bus, fd, fd);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	(void)sd_bus_set_method_call_timeout(c->bus, CALL_MAX_US);
	return sd_bus_start(c->bus);
}

int client_open(const char *runtime_dir, struct client **ret, char **ret_problem)
{
	struct client *c = calloc(1, sizeof(*c));
	int r = c ? start_bus(c, runtime_dir) : -ENOMEM;

	if (r < 0) {
		*ret_problem = connect_problem(r, runtime_dir);
		(void)client_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

static int send_call(struct client *c, const char *method, const char *first, const char *second,
		     sd_bus_error *error, sd_bus_message **ret)
{
	sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(c->bus, &m, NULL, "/org/thpd1", "org.thpd1.Manager",
					   method);
	if (r >= 0 && first)
		r = sd_bus_message_append(m, "s", first);
	if (r >= 0 && second)
		r = sd_bus_message_append(m, "s", second);
	if (r >= 0)
		r = sd_bus_call(c->bus, m, 0, error, ret);
	sd_bus_message_unref(m);
	return r;
}

static struct json_object *ask_status(struct client *c)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	struct json_object *status = NULL;
	const char *text;

	if (send_call(c, "GetStatus", NULL, NULL, &error, &reply) >= 0 &&
	    sd_bus_message_read(reply, "s", &text) >= 0)
		status = document_parse(text);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return status;
}

static void explain_error(struct client *c, int r, const char *who, const sd_bus_error *error)
{
	if (sd_bus_error_has_name(error, "org.thpd1.NoSuchVM")) {
		_put_ struct json_object *status = ask_status(c);

		choice_problem(-ENOENT, status, who ? who : "", c->problem, sizeof(c->problem));
	} else if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
		set_problem(c, "%s Run thpctl as root.", error->message);
	} else if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD)) {
		set_problem(c,
			    "This thpd cannot do that; are thpd and thpctl of the same version?");
	} else if (error->message && r != -ECONNRESET && r != -ETIMEDOUT) {
		set_problem(c, "%s", error->message);
	} else if (r == -ETIMEDOUT) {
		set_problem(c, "thpd does not answer. See `systemctl status thpd` or its log.");
	} else if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE) {
		set_problem(c, "thpd closed the connection: it ended, or too many connections are "
			       "open. Try again.");
	} else {
		set_problem(c, "The call failed: %s.", strerror(-r));
	}
}

static int call(struct client *c, const char *method, const char *first, const char *second,
		sd_bus_message **ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = send_call(c, method, first, second, &error, ret);

	if (r < 0)
		explain_error(c, r, first, &error);
	sd_bus_error_free(&error);
	return r;
}

int client_call(struct client *c, const char *method, const char *first, const char *second,
		char **ret_text)
{
	sd_bus_message *reply = NULL;
	const char *text;
	int r = call(c, method, first, second, &reply);

	if (r >= 0 && ret_text) {
		r = sd_bus_message_read(reply, "s", &text);
		if (r >= 0 && !(*ret_text = strdup(text)))
			r = -ENOMEM;
		if (r < 0)
			set_problem(c, "thpd's answer cannot be read: %s.", strerror(-r));
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : 0;
}

int client_call_u64(struct client *c, const char *method, const char *first, const char *second,
		    uint64_t *ret)
{
	sd_bus_message *reply = NULL;
	int r = call(c, method, first, second, &reply);

	if (r >= 0) {
		r = sd_bus_message_read(reply, "t", ret);
		if (r < 0)
			set_problem(c, "thpd's answer cannot be read: %s.", strerror(-r));
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : 0;
}
