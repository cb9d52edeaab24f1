/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who is there: finds VMs among the processes of the host. A process is a VM if it holds a KVM VM
 * fd or if a vm.d rule claims it. Processes that are neither are remembered for a while, so that a
 * host full of them costs little.
 *
 * A pass lists /proc, takes those that are large enough and new enough as candidates, and has them
 * identified by a scout; the answers come later, one by one. A candidate that does not answer is
 * asked again, less and less often. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "inventory.h"
#include "log.h"
#include "state.h"

/* All of /proc is read again this often even if no process was made: exec makes no pid. A process
 * that becomes a VM maps memory; where nobody has mapped any, once in a while is enough. */
#define FULL_EVERY_NS	 (UINT64_C(10) * 1000000000)
#define QUIET_EVERY_NS	 (UINT64_C(60) * 1000000000)
#define YOUNG_NS	 (UINT64_C(5) * 1000000000)
#define SUSPECT_EVERY_NS (UINT64_C(1) * 1000000000)
#define SUSPECT_AGAIN_NS (UINT64_C(60) * 1000000000)
/* Each is held by four fds while a pass lasts. */
enum { CANDIDATES_MAX = 64 };
/* A process that hangs is asked after one such time, after two, four and so on: ten minutes. */
enum { SILENT_SHIFT_MAX = 6 };

static int compare_strangers(const void *a, const void *b)
{
	const struct stranger *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct stranger *find_stranger(const struct manager *m, pid_t pid)
{
	struct stranger key = {.pid = pid};

	if (m->discovery.n_strangers == 0)
		return NULL;
	return bsearch(&key, m->discovery.strangers, m->discovery.n_strangers, sizeof(key),
		       compare_strangers);
}

static struct guest *find_guest_of(const struct manager *m, pid_t pid)
{
	for (struct guest *g = m->guests; g; g = g->next)
		if (g->process.pid == pid && !g->is_doomed)
			return g;
	return NULL;
}

/* ---- answers --------------------------------------------------------------------------- */

static void append_guest(struct manager *m, struct guest *g)
{
	struct guest **at = &m->guests;

	while (*at)
		at = &(*at)->next;
	*at = g;
}

static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;

	(void)fd;
	(void)revents;
	for (struct guest *g = m->guests; g; g = g->next) {
		if (g->gone != source)
			continue;
		g->gone = sd_event_source_disable_unref(source);
		manager_drop_guest(m, g, "process gone");
		break;
	}
	return 0;
}

static void adopt(struct manager *m, struct process *p, const struct vm *vm)
{
	struct guest *g = guest_new(m->next_guest_id, p, vm);

	if (!g) {
		log_error("out of memory: pid %d is not looked after", (int)vm->pid);
		return;
	}
	m->next_guest_id++;
	g->adopted_ns = manager_now_ns(m);
	/* Without it, its size tells. */
	(void)sd_event_add_io(m->event, &g->gone, g->process.pidfd, EPOLLIN, on_gone, m);
	guest_apply_policy(g, &m->config);
	append_guest(m, g);
	hearing_join(m, g);
	manager_wake_at(m, 0);
	m->counters.vms_adopted++;
	log_vm(LOG_INFO, vm->name, "found: pid %d, %s, mode %s%s%s", (int)vm->pid,
	       vm->has_kvm ? "KVM" : "no KVM", mode_name(g->snapshot.policy.mode),
	       g->rule ? ", by " : "", g->rule ? g->rule->file : "");
}

/* A VM that executes another program: the same process, perhaps under another name. */
static void take_new_identity(struct manager *m, struct guest *g, const struct scout_report *r)
{
	if (r->starttime != g->process.starttime)
		return;
	g->must_identify = false;
	g->snapshot.vm = r->vm;
	g->is_due = true;
	manager_wake_at(m, 0);
	guest_apply_policy(g, &m->config);
	if (!r->vm.has_kvm && !g->rule)
		manager_drop_guest(m, g, "it is no VM any more");
	else
		hearing_join(m, g);
}

static void take_stranger(struct manager *m, struct process *p, const struct scout_report *r)
{
	if (!r->vm.has_kvm && !config_find_rule(&m->config, &r->vm))
		return;
	p->starttime = r->starttime;
	p->mm_key = r->mm_key;
	p->is_known = true;
	adopt(m, p, &r->vm);
}

static void note_silence(struct manager *m, pid_t pid)
{
	struct stranger *s = find_stranger(m, pid);

	m->counters.silent_processes++;
	if (!s)
		return;
	if (s->silent_times++ == 0)
		log_warning("pid %d does not let itself be identified (it hangs in execve, or its "
			    "memory lock is held): passed over, asked again later",
			    (int)pid);
}

static void take_answer(void *userdata, const struct scout_report *r)
{
	struct manager *m = userdata;
	struct process *p = &m->discovery.candidates[r->index];
	struct guest *g = find_guest_of(m, p->pid);
	struct stranger *s = find_stranger(m, p->pid);

	if (r->err == -ETIMEDOUT || r->err == -ECONNRESET) {
		note_silence(m, p->pid);
		return;
	}
	if (s)
		s->silent_times = 0;
	if (r->err < 0)
		return;
	if (!g)
		take_stranger(m, p, r);
	else if (g->must_identify)
		take_new_identity(m, g, r);
}

static void clear_candidates(struct discovery *d)
{
	for (size_t i = 0; i < d->n_candidates; i++)
		process_close(&d->candidates[i]);
	free(d->candidates);
	d->candidates = NULL;
	d->n_candidates = 0;
}

static void end_pass(void *userdata)
{
	struct manager *m = userdata;

	m->discovery.scouting = scouting_free(m->discovery.scouting);
	clear_candidates(&m->discovery);
	m->discovery.is_done = !m->discovery.has_more;
	/* Not for young strangers: they are looked at again in their time, by the tick. */
	if (m->discovery.has_more || m->discovery.is_wanted || (m->options.is_once && !m->guests))
		manager_wake_at(m, 0);
}

/* ---- a pass ---------------------------------------------------------------------------- */

/* No policy looks at less; an address space below it holds no guest RAM. */
static uint64_t smallest_region(const struct config *c)
{
	uint64_t smallest = c->policy.min_region_bytes;

	for (size_t i = 0; i < c->n_rules; i++)
		smallest = min_u64(smallest, c->rules[i].policy.min_region_bytes);
	return smallest;
}

static bool is_time_to_ask_again(const struct stranger *s, uint64_t now_ns)
{
	unsigned shift = s->silent_times - 1;

	return now_ns >= s->seen_ns + (FULL_EVERY_NS
				       << (shift < SILENT_SHIFT_MAX ? shift : SILENT_SHIFT_MAX));
}

/* A VMM is a small process first, under its parent's name. */
static bool is_young(const struct stranger *s, uint64_t now_ns)
{
	return now_ns < s->first_ns + YOUNG_NS;
}

static bool must_examine(const struct manager *m, pid_t pid, uint64_t now_ns)
{
	const struct guest *g = find_guest_of(m, pid);
	const struct stranger *s = find_stranger(m, pid);

	if (s && s->silent_times > 0)
		return is_time_to_ask_again(s, now_ns);
	if (g)
		return g->must_identify;
	return !s || is_young(s, now_ns) || s->seen_ns < m->discovery.full_ns;
}

/* The processes that are neither VMs nor were, with the time at which each was examined last; and a
 * VM that is to be identified anew, in case it does not answer. */
static int remember(struct manager *m, struct stranger **fresh, size_t *n, pid_t pid,
		    bool is_examined, uint64_t now_ns)
{
	const struct stranger *old = find_stranger(m, pid);
	struct stranger s = {
		.pid = pid,
		.first_ns = old ? old->first_ns : now_ns,
		.seen_ns = is_examined || !old ? now_ns : old->seen_ns,
		.suspected_ns = old ? old->suspected_ns : 0,
		.silent_times = old ? old->silent_times : 0,
	};

	/* Who is found by the first pass of all may be old. */
	m->discovery.has_young |= m->discovery.n_strangers > 0 && is_young(&s, now_ns);
	return ARRAY_APPEND(fresh, n, &s);
}

/* 1: it is a candidate now, 0: it is none; or -errno. */
static int nominate(struct manager *m, pid_t pid)
{
	struct discovery *d = &m->discovery;
	struct process p;
	int r;

	if (process_is_smaller_than(m->sys, pid, smallest_region(&m->config)))
		return 0;
	/* Gone already, or no fd for it: it is seen again if it exists. */
	if (process_hold(m->sys, pid, &p) < 0)
		return 0;
	r = ARRAY_APPEND(&d->candidates, &d->n_candidates, &p);
	if (r < 0)
		process_close(&p);
	return r < 0 ? r : 1;
}

static int visit(struct manager *m, pid_t pid, uint64_t now_ns, struct stranger **fresh, size_t *n)
{
	struct discovery *d = &m->discovery;
	const struct guest *g = find_guest_of(m, pid);
	bool must = must_examine(m, pid, now_ns);
	int r = 0;

	if (must && d->n_candidates == CANDIDATES_MAX) {
		d->has_more = true;
		/* Forgotten if it is new, so that the next pass begins with it. */
		return find_stranger(m, pid) ? remember(m, fresh, n, pid, false, now_ns) : 0;
	}
	if (must)
		r = nominate(m, pid);
	if (r >= 0 && (!g || g->must_identify))
		r = remember(m, fresh, n, pid, must, now_ns);
	return r < 0 ? r : 0;
}

static int visit_all(struct manager *m, uint64_t now_ns)
{
	struct discovery *d = &m->discovery;
	_cleanup_free_ pid_t *pids = NULL;
	struct stranger *fresh = NULL;
	size_t n_pids = 0, n_fresh = 0;
	int r = process_list(m->sys, &pids, &n_pids);

	for (size_t i = 0; r == 0 && i < n_pids; i++)
		r = visit(m, pids[i], now_ns, &fresh, &n_fresh);
	if (r < 0) {
		free(fresh);
		clear_candidates(d);
		return r;
	}
	free(d->strangers);
	d->strangers = fresh;
	d->n_strangers = n_fresh;
	return 0;
}

static int send_for(struct manager *m)
{
	struct discovery *d = &m->discovery;
	const struct scouting_plan plan = {
		.ask = scout_identify,
		.subjects = d->candidates,
		.n = d->n_candidates,
		.answer = take_answer,
		.end = end_pass,
		.userdata = m,
	};
	int r = 0;

	if (d->n_candidates > 0)
		r = scouting_start(m->event, m->sys, &plan, &d->scouting);
	else
		d->is_done = true;
	if (r < 0)
		clear_candidates(d);
	return r;
}

static bool is_full_due(const struct manager *m, uint64_t now_ns)
{
	const struct discovery *d = &m->discovery;

	return d->full_ns == 0 || now_ns >= d->full_ns + QUIET_EVERY_NS ||
	       (now_ns >= d->full_ns + FULL_EVERY_NS && manager_has_moved(m, &d->pulse));
}

static bool is_due(const struct manager *m, bool has_new_pids, uint64_t now_ns)
{
	const struct discovery *d = &m->discovery;

	return has_new_pids || d->has_young || d->has_more || d->has_missed || d->is_wanted ||
	       is_full_due(m, now_ns);
}

int discovery_run(struct manager *m, bool has_new_pids)
{
	struct discovery *d = &m->discovery;
	uint64_t now_ns = manager_now_ns(m);
	uint64_t last_full_ns = d->full_ns;
	int r;

	if (d->scouting) {
		/* They may have come too late for it: seen by the next tick after its end. */
		d->has_missed |= has_new_pids;
		return 0;
	}
	if (!is_due(m, has_new_pids, now_ns))
		return 0;
	if (is_full_due(m, now_ns)) {
		d->full_ns = now_ns;
		d->pulse = m->pulse;
	}
	d->has_young = d->has_more = d->has_missed = d->is_wanted = false;
	r = visit_all(m, now_ns);
	if (r == 0)
		r = send_for(m);
	if (r < 0)
		d->full_ns = last_full_ns;
	return r;
}

void discovery_identify(struct manager *m, struct guest *g)
{
	g->must_identify = true;
	m->discovery.is_wanted = true;
	manager_wake_at(m, 0);
}

/* It is as one that is new. Any process may bring this about, as often as it likes: it counts once
 * a minute, and who comes a moment after another waits for the tick. */
void discovery_suspect(struct manager *m, pid_t pid)
{
	struct discovery *d = &m->discovery;
	struct stranger *s = find_stranger(m, pid);
	uint64_t now_ns = manager_now_ns(m);

	if (s && s->suspected_ns > 0 && now_ns < s->suspected_ns + SUSPECT_AGAIN_NS)
		return;
	if (s)
		s->first_ns = s->suspected_ns = now_ns;
	d->is_wanted = true;
	if (now_ns < d->suspected_ns + SUSPECT_EVERY_NS)
		return;
	d->suspected_ns = now_ns;
	manager_wake_at(m, 0);
}

void discovery_forget_strangers(struct manager *m)
{
	m->discovery.n_strangers = 0;
	m->discovery.full_ns = 0;
}

void discovery_stop(struct manager *m)
{
	m->discovery.scouting = scouting_free(m->discovery.scouting);
	clear_candidates(&m->discovery);
	free(m->discovery.strangers);
}
