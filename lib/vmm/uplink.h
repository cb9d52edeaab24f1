/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connection to thpd: tells of the registry's VMs, and answers. thpd may come and go, be slow
 * or be none; nothing here waits for it. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "registry.h"
#include "wire.h"

enum uplink_state {
	UPLINK_AWAY,	 /* no connection; the timer says when to try */
	UPLINK_GREETING, /* connected; nothing is told before WIRE_WELCOME */
	UPLINK_UP,
};

/* What thpd knows of a VM. */
struct uplink_told {
	uint64_t birth; /* 0: nothing */
	uint32_t flags;
	bool has_table, is_sending;
	uint32_t generation;	/* of the table that it has, or that is being sent */
	uint32_t next;		/* slot, if is_sending */
	uint64_t not_before_ns; /* is a table begun again */
};

struct uplink {
	struct registry *registry;
	pthread_mutex_t mutex; /* one dispatches */
	enum uplink_state state;
	atomic_int epoll_fd, timer_fd, changed_fd, socket_fd;
	uint32_t events;    /* that the socket is watched for */
	uint32_t wait_s;    /* before the next try */
	int64_t daemon_uid; /* that is believed besides root and this one; -1: none */
	struct sockaddr_un address;
	struct uplink_told told[WIRE_VMS_MAX];
	size_t out_bytes;	/* 0: nothing is to be sent */
	union wire_message out; /* at the end: it has one that is open */
};

enum { UPLINK_WAIT_MIN_S = 1, UPLINK_WAIT_MAX_S = 10 };

/* Reads the environment: THPD_VMM_SOCKET, THPD_VMM_DAEMON_UID. 0, -EMFILE, -ENFILE, -ENOMEM,
 * -ENAMETOOLONG. The registry has to be there for as long. */
int uplink_init(struct uplink *u, struct registry *r);
void uplink_done(struct uplink *u);

/* To be polled for input; -1 in a child of this process. */
int uplink_fd(const struct uplink *u);

/* Whether it is one of its own descriptors, which nobody else has opened. */
bool uplink_owns(const struct uplink *u, int fd);

/* The first of them from first to last; -1. */
int uplink_own_in(const struct uplink *u, unsigned int first, unsigned int last);

/* Does what is due. errno stays. */
void uplink_dispatch(struct uplink *u);
