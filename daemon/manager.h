/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The owner of everything the daemon knows: VMs, their cycles, the governor, the executor. One
 * thread, one writer. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "sys.h"

struct manager;

struct manager_options {
	const char *config_dir;	 /* NULL = the standard places */
	const char *runtime_dir; /* socket and state */
	bool is_once;		 /* stop when nothing that pays is left */
	bool is_dry_run;	 /* everything but the last call */
};

int manager_new(sd_event *event, struct sys *sys, const struct manager_options *o,
		struct manager **ret);

/* Waits for what is in flight. False: some of it hangs, so that nothing may be freed and the
 * process has to end without it. */
bool manager_stop(struct manager *m);
struct manager *manager_free(struct manager *m); /* stopped */
int manager_start(struct manager *m);		 /* first discovery, timers */
int manager_reload(struct manager *m);

/* Listens to VMMs that load libthpd-vmm, until it is told to leave; the directory stays until then.
 * 0 or a negative errno. */
struct runtime_dir;
int manager_listen_to_vmms(struct manager *m, const struct runtime_dir *d);
void manager_leave_vmms(struct manager *m);

bool manager_is_done(const struct manager *m); /* --once: nothing left */

/* For the bus: each returns 0 with malloc'ed JSON, -ENOENT (no such VM; `who` is a name, UUID or
 * pid), -ENOTUNIQ (several VMs of that name), or another -errno. Formats: docs/ARCHITECTURE.md,
 * "Interface". */
int manager_status_json(struct manager *m, char **ret);
int manager_show_json(struct manager *m, const char *who, char **ret);
int manager_explain_json(struct manager *m, const char *who, const char *address,
			 char **ret); /* address "" = all */
int manager_plan_json(struct manager *m, const char *who, char **ret);
int manager_snapshot_json(struct manager *m, const char *who, char **ret);
int manager_config_text(struct manager *m, char **ret);

/* Looks at and serves the VM at once, ignoring its holds of kind busy-retry. *ret_ticket: the
 * request is done when the VM's "cycles" in status is at least the ticket. */
int manager_collapse(struct manager *m, const char *who, uint64_t *ret_ticket);
/* The same, and gives memory that was never there huge pages; forced: also such as the guest may
 * have given back (populate.h). */
int manager_populate(struct manager *m, const char *who, bool is_forced, uint64_t *ret_ticket);
/* The same, and has KVM map anew what it maps by small pages, whether that seems to help or not
 * (nudge.h). */
int manager_nudge(struct manager *m, const char *who, uint64_t *ret_ticket);
int manager_pause(struct manager *m, const char *who, bool is_paused);
