/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Does anybody on the host hold a userfaultfd? Memory that is registered with one must not be
 * touched, and its holder may be another process than the VMM. Asked of every process right before
 * something is done to a VM, and every few seconds as long as something is done; of nobody where
 * nothing happens, or where the kernel says that there is none at all. The VMMs' own fds are read
 * in every survey. A process that does not answer counts as one whose fds may not be read: see
 * docs/ARCHITECTURE.md. */

#include <stdlib.h>

#include "hostfacts.h"
#include "log.h"
#include "state.h"

/* How long what was found out is believed. */
#define SWEEP_NS (UINT64_C(5) * 1000000000)
/* A sweep takes milliseconds. One that is held up by processes which do not answer, a second each,
 * is not waited for longer than this if there was one before. */
#define PATIENCE_NS (UINT64_C(10) * 1000000000)
/* They are asked again after this time. */
#define SILENCE_NS (UINT64_C(60) * 1000000000)

/* Known at once, also while the search is held up: nobody waits for its end for ever. */
static void note_uffd(struct manager *m)
{
	m->sweep.is_uffd_seen = true;
	if (m->host.is_uffd_seen)
		return;
	m->host.is_uffd_seen = true;
	/* Their flags have to be read before anything is done to them. */
	for (struct guest *g = m->guests; g; g = g->next)
		g->is_due = true;
}

static void take_answer(void *userdata, const struct scout_report *r)
{
	struct manager *m = userdata;

	if (r->err != 0) {
		m->counters.silent_processes++;
		silence_note(&m->sweep.silence, m->sweep.pids[r->index],
			     manager_now_ns(m) + SILENCE_NS);
	} else if (r->may_hold_uffd) {
		note_uffd(m);
	}
}

static void conclude(struct manager *m)
{
	struct sweep *s = &m->sweep;

	s->is_done = true;
	s->done_ns = manager_now_ns(m);
	m->host.is_uffd_seen = s->is_uffd_seen;
	manager_wake_at(m, 0);
}

static void end_sweep(void *userdata)
{
	struct manager *m = userdata;
	struct sweep *s = &m->sweep;

	s->scouting = scouting_free(s->scouting);
	free(s->pids);
	s->pids = NULL;
	conclude(m);
}

/* Every process but those that lately did not answer. */
static int list_subjects(struct manager *m, size_t *ret_n)
{
	struct sweep *s = &m->sweep;
	size_t n, kept = 0;
	int r = process_list(m->sys, &s->pids, &n);

	if (r < 0)
		return r;
	silence_forget(&s->silence, manager_now_ns(m));
	for (size_t i = 0; i < n; i++)
		if (!silence_covers(&s->silence, s->pids[i]))
			s->pids[kept++] = s->pids[i];
	*ret_n = kept;
	return 0;
}

static int start_sweep(struct manager *m)
{
	struct sweep *s = &m->sweep;
	struct scouting_plan plan = {
		.ask = scout_userfaultfd,
		.answer = take_answer,
		.end = end_sweep,
		.userdata = m,
	};
	int r = list_subjects(m, &plan.n);

	if (r < 0)
		return r;
	m->counters.sweeps++;
	s->began_ns = manager_now_ns(m);
	plan.subjects = s->pids;
	r = scouting_start(m->event, m->sys, &plan, &s->scouting);
	if (r < 0) {
		free(s->pids);
		s->pids = NULL;
	}
	return r;
}

static bool is_any_guest_at_work(const struct manager *m)
{
	for (const struct guest *g = m->guests; g; g = g->next)
		if (guest_is_tended(g) && (g->is_due || g->phase != PHASE_IDLE))
			return true;
	return false;
}

bool sweep_is_fresh(const struct manager *m)
{
	const struct sweep *s = &m->sweep;
	uint64_t now_ns = manager_now_ns(m);

	return s->is_done && (now_ns < s->done_ns + SWEEP_NS ||
			      (s->scouting && now_ns >= s->began_ns + PATIENCE_NS));
}

void sweep_run(struct manager *m)
{
	struct sweep *s = &m->sweep;

	if (s->scouting || sweep_is_fresh(m) || (s->is_done && !is_any_guest_at_work(m)))
		return;
	s->is_uffd_seen = false;
	if (host_rules_out_userfaultfd(m->sys))
		conclude(m);
	else if (start_sweep(m) < 0)
		log_warning("cannot look for userfaultfds: no VM is touched before that");
}

void sweep_stop(struct manager *m)
{
	m->sweep.scouting = scouting_free(m->sweep.scouting);
	free(m->sweep.pids);
	m->sweep.pids = NULL;
	silence_clear(&m->sweep.silence);
}
