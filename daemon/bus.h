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
 *   Pause(s who), Resume(s who), Reload()
 *   property Version s
 *
 * Errors: org.thpd1.NoSuchVM, org.thpd1.AmbiguousVM, org.freedesktop.DBus.Error.AccessDenied,
 * ...InvalidArgs. */

#include <systemd/sd-event.h>

struct bus;
struct manager;

/* Serves m on RUNTIME_DIR/bus; the directory is made if its parent exists. Returns 0 or a negative
 * errno, of which bus_error_sentence() explains: -EADDRINUSE (another thpd serves this directory),
 * -EPERM (the directory is not ours alone), -ENOTDIR, -ENOENT. */
int bus_new(sd_event *event, struct manager *m, const char *runtime_dir, struct bus **ret);
struct bus *bus_free(struct bus *b);

/* What an error of bus_new() means and what to do, as a sentence. */
const char *bus_error_sentence(int error);
