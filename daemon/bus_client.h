/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One connection to the private socket. It ends by itself when the peer hangs up, sends what is no
 * D-Bus, does not finish the handshake in time, or does not read its answers. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct bus_client;
struct manager;

struct bus_client_options {
	sd_event *event;
	struct manager *manager;
	uid_t uid; /* who connected (SO_PEERCRED) */
	bool is_privileged;
	/* The connection is over; the owner frees it, at once if it likes. */
	void (*on_end)(struct bus_client *c, void *userdata);
	void *userdata;
};

/* Takes fd in every case. */
int bus_client_new(int fd, const struct bus_client_options *o, struct bus_client **ret);
struct bus_client *bus_client_free(struct bus_client *c);

uid_t bus_client_uid(const struct bus_client *c);
bool bus_client_is_privileged(const struct bus_client *c);
/* When it last sent something whole, or connected. */
uint64_t bus_client_last_used_us(const struct bus_client *c);
