/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What VMMs tell by themselves, through libthpd-vmm: each connection is joined to the VM of its
 * process, whichever of the two comes first.
 *
 * Both the guest and the connection hold a pidfd: while both processes live, the same pid is the
 * same process. Slots that were told are taken into the snapshot by the next tick, not with each
 * message: it costs a sort of all of them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "state.h"

/* The user of the process that connected is compared, too, since a kernel before Linux 6.5 lets a
 * child pass for a process that has the pid of its parent by now (vmm_server.c). Root's powers may
 * have been dropped since. */
static bool is_of(const struct manager *m, const struct vmm_peer *p, const struct guest *g)
{
	const struct vmm_identity *who = vmm_peer_identity(p);

	return !g->is_doomed && g->process.pid == who->pid &&
	       (who->uid == 0 || who->uid == g->snapshot.vm.uid) &&
	       process_is_alive(m->sys, &g->process) &&
	       m->sys->ops->pidfd_is_alive(m->sys, who->pidfd) == 1;
}

static void join(struct guest *g, struct vmm_peer *p)
{
	g->library = p;
	g->has_news = true;
	vmm_peer_set_owner(p, g);
	log_vm(g->has_told ? LOG_DEBUG : LOG_INFO, g->snapshot.vm.name,
	       "tells of itself by libthpd-vmm %s", vmm_peer_library(p));
	g->has_told = true;
}

void hearing_join(struct manager *m, struct guest *g)
{
	struct vmm_peer *p = vmm_server_find(m->vmms, g->process.pid);

	if (p && !vmm_peer_owner(p) && is_of(m, p, g))
		join(g, p);
}

void hearing_leave(struct guest *g)
{
	if (!g->library)
		return;
	vmm_peer_set_owner(g->library, NULL);
	guest_forget_library(g);
}

static void on_greeted(struct manager *m, struct vmm_peer *p)
{
	for (struct guest *g = m->guests; g; g = g->next) {
		if (g->library || !is_of(m, p, g))
			continue;
		join(g, p);
		return;
	}
	discovery_suspect(m, vmm_peer_identity(p)->pid);
}

static void take_counts(struct manager *m, struct guest *g, const struct vmm_answer *a)
{
	if (guest_take_told_counts(g, a->err == 0 ? &a->counts : NULL, manager_now_ns(m)))
		log_vm(LOG_WARNING, g->snapshot.vm.name,
		       "its libthpd-vmm does not tell what KVM maps: %s", strerror(-a->err));
	nudging_observe(g);
}

static void on_answered(struct manager *m, struct guest *g, const struct vmm_answer *a)
{
	bool is_step = (a->question == WIRE_NUDGE) == (g->nudging == NUDGING_ASKED);

	if (a->question == WIRE_COUNT)
		take_counts(m, g, a);
	if (is_step && !guest_is_measured(g))
		nudging_go_on(m, g, a);
}

static void on_event(void *userdata, struct vmm_peer *p, enum vmm_event event)
{
	struct manager *m = userdata;
	struct guest *g = vmm_peer_owner(p);

	if (event == VMM_GREETED)
		on_greeted(m, p);
	else if (g && event == VMM_TOLD)
		g->has_news = true;
	else if (g && event == VMM_ANSWERED)
		on_answered(m, g, vmm_peer_answer(p));
}

static void on_end(void *userdata, struct vmm_peer *p)
{
	struct guest *g = vmm_peer_owner(p);

	if (!g)
		return;
	guest_forget_library(g);
	if (!guest_is_measured(g))
		nudging_break_off(userdata, g);
}

/* What cannot be taken is not known: the slots of two VMs, or for want of memory. */
void hearing_take(struct manager *m, struct guest *g)
{
	_cleanup_free_ struct memslot *slots = NULL;
	size_t n = 0;
	bool is_known;

	/* While it is nudged a log is on that is ours. */
	if (!g->has_news || g->nudging == NUDGING_ASKED || guest_is_measured(g))
		return;
	g->has_news = false;
	g->snapshot.geometry = m->geometry;
	is_known = vmm_peer_is_complete(g->library) &&
		   vmm_peer_copy_slots(g->library, &slots, &n) == 0;
	guest_take_memslots(g, &slots, n, is_known);
}

bool hearing_ask_counts(struct manager *m, struct guest *g)
{
	uint64_t now_ns = manager_now_ns(m);

	if (g->library && !g->awaits_counts && now_ns >= g->counts_of_library_ns)
		g->awaits_counts = vmm_peer_ask(g->library, WIRE_COUNT, now_ns) == 0;
	return g->awaits_counts;
}

void hearing_tend(struct manager *m)
{
	if (m->vmms)
		vmm_server_tend(m->vmms);
}

int manager_listen_to_vmms(struct manager *m, const struct runtime_dir *d)
{
	const struct vmm_server_hooks hooks = {
		.happened = on_event, .ended = on_end, .userdata = m};

	return vmm_server_new(m->event, m->sys, d, &hooks, &m->vmms);
}

void manager_leave_vmms(struct manager *m)
{
	for (struct guest *g = m->guests; g; g = g->next)
		hearing_leave(g);
	m->vmms = vmm_server_free(m->vmms);
}
