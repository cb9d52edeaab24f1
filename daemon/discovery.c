/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who is there: finds VMs among the processes of the host. A process is a VM if it holds a KVM VM
 * fd or if a vm.d rule claims it. Processes that are neither are remembered for a while, so that a
 * host full of them costs little. */

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "inventory.h"
#include "log.h"
#include "state.h"

/* All of /proc is read again this often even if no process was made: exec makes no pid. */
#define FULL_EVERY_NS (UINT64_C(10) * 1000000000)
#define YOUNG_NS      (UINT64_C(5) * 1000000000)

static int compare_strangers(const void *a, const void *b)
{
	const struct stranger *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct stranger *find_stranger(const struct manager *m, pid_t pid)
{
	struct stranger key = {.pid = pid};

	if (m->n_strangers == 0)
		return NULL;
	return bsearch(&key, m->strangers, m->n_strangers, sizeof(key), compare_strangers);
}

static bool is_cared_for(const struct manager *m, pid_t pid)
{
	for (const struct guest *g = m->guests; g; g = g->next)
		if (g->process.pid == pid && !g->is_doomed)
			return true;
	return false;
}

static void append_guest(struct manager *m, struct guest *g)
{
	struct guest **at = &m->guests;

	while (*at)
		at = &(*at)->next;
	*at = g;
}

static int adopt(struct manager *m, struct process *p, const struct vm *vm)
{
	struct guest *g = guest_new(m->next_guest_id, p, vm);

	if (!g)
		return -ENOMEM;
	m->next_guest_id++;
	g->adopted_ns = manager_now_ns(m);
	guest_apply_policy(g, &m->config);
	append_guest(m, g);
	m->counters.vms_adopted++;
	log_vm(LOG_INFO, vm->name, "found: pid %d, %s, mode %s%s%s", (int)vm->pid,
	       vm->has_kvm ? "KVM" : "no KVM", mode_name(g->snapshot.policy.mode),
	       g->rule ? ", by " : "", g->rule ? g->rule->file : "");
	return 0;
}

/* No policy looks at less; an address space below it holds no guest RAM. */
static uint64_t smallest_region(const struct config *c)
{
	uint64_t smallest = c->policy.min_region_bytes;

	for (size_t i = 0; i < c->n_rules; i++)
		smallest = min_u64(smallest, c->rules[i].policy.min_region_bytes);
	return smallest;
}

/* 1: it is a VM and was adopted; 0: it is none; negative errno otherwise. */
static int examine(struct manager *m, pid_t pid)
{
	_cleanup_(process_close) struct process p = PROCESS_INIT;
	struct vm vm = {0};
	int r;

	if (process_is_smaller_than(m->sys, pid, smallest_region(&m->config)))
		return 0;
	r = process_open(m->sys, pid, &p);
	if (r == 0)
		r = vm_identify(m->sys, &p, &vm);
	if (r < 0)
		return r;
	if (!vm.has_kvm && !config_find_rule(&m->config, &vm))
		return 0;
	r = adopt(m, &p, &vm);
	return r < 0 ? r : 1;
}

/* A VMM is a small process first, under its parent's name. */
static bool is_young(const struct stranger *s, uint64_t now_ns)
{
	return now_ns < s->first_ns + YOUNG_NS;
}

static bool must_examine(struct manager *m, pid_t pid, uint64_t now_ns)
{
	const struct stranger *s;

	if (is_cared_for(m, pid))
		return false;
	s = find_stranger(m, pid);
	return !s || is_young(s, now_ns) || now_ns >= s->seen_ns + FULL_EVERY_NS;
}

/* The strangers among the pids that exist now, with the time at which each was examined last. */
static int remember(struct manager *m, struct stranger **fresh, size_t *n, pid_t pid,
		    bool was_examined, uint64_t now_ns)
{
	const struct stranger *old = find_stranger(m, pid);
	struct stranger s = {
		.pid = pid,
		.first_ns = old ? old->first_ns : now_ns,
		.seen_ns = was_examined || !old ? now_ns : old->seen_ns,
	};

	m->has_young_strangers |= m->discovered_ns != 0 && is_young(&s, now_ns);
	return ARRAY_APPEND(fresh, n, &s);
}

int discovery_run(struct manager *m, bool has_new_pids)
{
	uint64_t now_ns = manager_now_ns(m);
	_cleanup_free_ pid_t *pids = NULL;
	struct stranger *fresh = NULL;
	size_t n_pids = 0, n_fresh = 0;
	int r;

	if (!has_new_pids && !m->has_young_strangers && m->discovered_ns != 0 &&
	    now_ns < m->discovered_ns + FULL_EVERY_NS)
		return 0;
	m->has_young_strangers = false;
	r = process_list(m->sys, &pids, &n_pids);
	for (size_t i = 0; r == 0 && i < n_pids; i++) {
		bool must = must_examine(m, pids[i], now_ns);

		if (must && examine(m, pids[i]) > 0)
			continue;
		if (!is_cared_for(m, pids[i]))
			r = remember(m, &fresh, &n_fresh, pids[i], must, now_ns);
	}
	if (r < 0) {
		free(fresh);
		return r;
	}
	free(m->strangers);
	m->strangers = fresh;
	m->n_strangers = n_fresh;
	if (!has_new_pids || m->discovered_ns == 0)
		m->discovered_ns = now_ns;
	return 0;
}

void discovery_forget_strangers(struct manager *m)
{
	m->n_strangers = 0;
	m->discovered_ns = 0;
}
