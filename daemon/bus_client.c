/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation. sd-bus speaks the protocol, but it takes messages of up to 128 MiB from
 * anybody and queues answers without a useful bound. So it does not read the client's socket: the
 * inlet does, cuts whole pieces of bounded size out of the stream and hands one at a time to sd-bus
 * through a pipe, which is thereby never more than one piece full and never blocks. Before each
 * piece the queue of unread answers is looked at. sd-bus writes to a duplicate of the socket: an
 * epoll set holds each descriptor once, and both sides watch. */
#include "bus_client.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "bus_inlet.h"
#include "bus_object.h"
#include "cleanup.h"

enum {
	HANDSHAKE_MAX_US = 5 * 1000 * 1000,
	/* Answers that wait for a client that still asks for more. thpctl has one call at a time.
	 */
	QUEUED_ANSWERS_MAX = 8,
	/* What the kernel keeps for a client that does not read; sd-bus would make it 8 MiB. */
	SEND_BUFFER_BYTES = 128 * 1024,
	/* Calls that others than root get served: enough to watch, too few to keep thpd busy. */
	UNPRIVILEGED_READS_MAX = 100,
	UNPRIVILEGED_INTERVAL_US = 1000 * 1000,
	/* Behind thpd's own work. */
	UNPRIVILEGED_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10,
};

struct bus_client {
	struct bus_client_options options;
	struct bus_caller caller;
	struct bus_inlet inlet;
	int fd;	    /* the client's socket, for reading */
	int pipefd; /* whole pieces go in here, sd-bus reads the other end */
	sd_bus *bus;
	sd_event_source *input, *deadline;
	uint64_t last_used_us; /* CLOCK_MONOTONIC */
};

uid_t bus_client_uid(const struct bus_client *c)
{
	return c->options.uid;
}

bool bus_client_is_privileged(const struct bus_client *c)
{
	return c->options.is_privileged;
}

uint64_t bus_client_last_used_us(const struct bus_client *c)
{
	return c->last_used_us;
}

struct bus_client *bus_client_free(struct bus_client *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->deadline);
	sd_event_source_disable_unref(c->input);
	/* No flush: it would wait for a client that does not read. */
	sd_bus_close_unref(c->bus);
	c->pipefd = close_fd(c->pipefd);
	c->fd = close_fd(c->fd);
	free(c);
	return NULL;
}

static void touch(struct bus_client *c)
{
	(void)sd_event_now(c->options.event, CLOCK_MONOTONIC, &c->last_used_us);
}

static void end_handshake(struct bus_client *c)
{
	c->inlet.is_handshake_ended = true;
	c->deadline = sd_event_source_disable_unref(c->deadline);
}

/* Gives the whole piece in the inlet to sd-bus and lets it answer. */
static int serve_piece(struct bus_client *c)
{
	uint64_t n_queued;
	int r;

	r = sd_bus_get_n_queued_write(c->bus, &n_queued);
	if (r < 0)
		return r;
	if (n_queued > QUEUED_ANSWERS_MAX)
		return -ENOBUFS;
	/* The pipe is empty and larger than a piece, so this is all or an error. */
	if (write(c->pipefd, c->inlet.buffer, c->inlet.have) != (ssize_t)c->inlet.have)
		return -EIO;
	bus_inlet_next(&c->inlet);
	touch(c);
	do
		r = sd_bus_process(c->bus, NULL);
	while (r > 0);
	if (r < 0)
		return r;
	if (!c->inlet.is_handshake_ended && sd_bus_is_ready(c->bus) > 0)
		end_handshake(c);
	return sd_bus_is_open(c->bus) > 0 ? 0 : -ECONNRESET;
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct bus_client *c = userdata;
	int r;

	(void)source, (void)revents;
	r = bus_inlet_read(&c->inlet, fd);
	if (r > 0)
		r = serve_piece(c);
	if (r < 0)
		c->options.on_end(c, c->options.userdata);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct bus_client *c = userdata;

	(void)source, (void)now_us;
	c->options.on_end(c, c->options.userdata);
	return 0;
}

/* sd-bus shall read what passed the inlet and write to the client. */
static int attach_fds(struct bus_client *c)
{
	_cleanup_close_ int output = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
	int pipefds[2], r;

	if (output < 0)
		return -errno;
	if (pipe2(pipefds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	c->pipefd = pipefds[1];
	r = sd_bus_set_fd(c->bus, pipefds[0], output);
	if (r < 0)
		(void)close_fd(pipefds[0]);
	else
		(void)TAKE_FD(output);
	return r;
}

/* Anonymous, because sd-bus has no socket to ask: who the client is was read from the kernel when
 * it connected. */
static int start_bus(struct bus_client *c)
{
	int64_t priority = c->options.is_privileged ? (int64_t)SD_EVENT_PRIORITY_NORMAL
						    : (int64_t)UNPRIVILEGED_PRIORITY;
	sd_id128_t id;
	int r;

	if ((r = sd_bus_new(&c->bus)) < 0 || (r = sd_id128_randomize(&id)) < 0 ||
	    (r = sd_bus_set_description(c->bus, "thpd-private")) < 0 ||
	    (r = sd_bus_set_server(c->bus, 1, id)) < 0 ||
	    (r = sd_bus_set_anonymous(c->bus, 1)) < 0 ||
	    (r = sd_bus_negotiate_fds(c->bus, 0)) < 0 || (r = attach_fds(c)) < 0 ||
	    (r = bus_object_add(c->bus, &c->caller)) < 0 || (r = sd_bus_start(c->bus)) < 0)
		return r;
	return sd_bus_attach_event(c->bus, c->options.event, (int)priority);
}

static int add_sources(struct bus_client *c)
{
	sd_event *event = c->options.event;
	int r;

	r = sd_event_add_io(event, &c->input, c->fd, EPOLLIN, on_input, c);
	if (r < 0)
		return r;
	if (!c->options.is_privileged) {
		(void)sd_event_source_set_priority(c->input, UNPRIVILEGED_PRIORITY);
		(void)sd_event_source_set_ratelimit(c->input, UNPRIVILEGED_INTERVAL_US,
						    UNPRIVILEGED_READS_MAX);
	}
	return sd_event_add_time_relative(event, &c->deadline, CLOCK_MONOTONIC, HANDSHAKE_MAX_US, 0,
					  on_deadline, c);
}

int bus_client_new(int fd, const struct bus_client_options *o, struct bus_client **ret)
{
	int send_buffer_bytes = SEND_BUFFER_BYTES, r;
	struct bus_client *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)close_fd(fd);
		return -ENOMEM;
	}
	c->options = *o;
	c->caller = (struct bus_caller){.manager = o->manager, .is_privileged = o->is_privileged};
	c->fd = fd;
	c->pipefd = -EBADF;
	touch(c);
	r = start_bus(c);
	if (r >= 0)
		r = add_sources(c);
	/* After sd_bus_start(), which raises it. */
	if (r >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes,
				 sizeof(send_buffer_bytes)) < 0)
		r = -errno;
	if (r < 0) {
		(void)bus_client_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
