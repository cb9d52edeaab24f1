/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The object /org/thpd1 with the interface org.thpd1.Manager (methods: bus.h), for any sd_bus
 * connection. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

struct manager;

/* On whose behalf calls of one connection are answered. Owned by the connection; must live as long
 * as it. */
struct bus_caller {
	struct manager *manager;
	bool is_privileged; /* root or thpd's own user */
};

/* Answers longer than this are refused rather than queued. */
enum { BUS_ANSWER_MAX_BYTES = 64 * 1024 * 1024 };

int bus_object_add(sd_bus *bus, struct bus_caller *caller);

/* Replaces by '?' every byte that is not part of valid UTF-8: sd-bus refuses to send anything else,
 * and one odd name must not cost the whole answer. */
void bus_text_repair(char *text);
