/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The D-Bus object org.thpd1, at /org/thpd1, interface org.thpd1.Manager, on a private socket
 * RUNTIME_DIR/bus.
 *
 *   GetStatus() -> s          open to every local user
 *   Show(s who) -> s          root or thpd's own user, as all below
 *   Explain(s who, s address) -> s
 *   Plan(s who) -> s
 *   Snapshot(s who) -> s
 *   CatConfig() -> s
 *   Collapse(s who) -> t ticket
 *   Populate(s who, s how) -> t ticket
 *   Nudge(s who) -> t ticket
 *   Pause(s who), Resume(s who), Reload()
 *   property Version s
 *
 * Errors: org.thpd1.NoSuchVM, org.thpd1.AmbiguousVM, org.freedesktop.DBus.Error.AccessDenied,
 * ...InvalidArgs. */

#include <systemd/sd-event.h>

struct bus;
struct manager;
struct runtime_dir;

/* Serves m on RUNTIME_DIR/bus; the directory outlives the bus. Returns 0 or a negative errno. */
int bus_new(sd_event *event, struct manager *m, const struct runtime_dir *d, struct bus **ret);
struct bus *bus_free(struct bus *b);

/* What an error of runtime_dir_open() or bus_new() means and what to do, as a sentence. */
const char *bus_error_sentence(int error);
