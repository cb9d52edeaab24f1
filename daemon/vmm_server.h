/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The socket RUNTIME_DIR/vmm, for VMMs that load libthpd-vmm (lib/vmm/wire.h), and all who are
 * connected: one connection a process. Everybody may connect; a process is held to be what the
 * kernel says it is. */

#include <systemd/sd-event.h>

#include "sys.h"
#include "vmm_peer.h"

struct runtime_dir;
struct vmm_server;

struct vmm_server_hooks {
	/* What happened (VMM_GREETED, VMM_TOLD, VMM_ANSWERED); answers that did not come in time
	 * are answers. */
	void (*happened)(void *userdata, struct vmm_peer *p, enum vmm_event event);
	/* p, which had greeted, is about to be freed. */
	void (*ended)(void *userdata, struct vmm_peer *p);
	void *userdata;
};

/* The directory outlives the server. 0 or a negative errno, as of runtime_dir_listen(). */
int vmm_server_new(sd_event *event, struct sys *sys, const struct runtime_dir *d,
		   const struct vmm_server_hooks *hooks, struct vmm_server **ret);

/* Closes all connections, without a word to the hooks, and removes the socket. */
struct vmm_server *vmm_server_free(struct vmm_server *s);

/* The connection of the process that has this pid now, and greeted; NULL: there is none. s may be
 * NULL. */
struct vmm_peer *vmm_server_find(const struct vmm_server *s, pid_t pid);

/* Now and then: ends who does not greet, and gives up who does not answer. */
void vmm_server_tend(struct vmm_server *s);
