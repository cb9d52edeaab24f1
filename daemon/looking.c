/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The first half of a cycle: survey, look, count. What the kernel says of a VM becomes its
 * snapshot. */

#include <stdlib.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "cycle.h"
#include "log.h"

/* A job's share of a look: large enough that its overhead is nothing, small enough that workers
 * share a guest. */
#define LOOK_CHUNK_BYTES (UINT64_C(512) << 20)

/* Copied pages inside a file mapping are looked for only where there can be some: it costs. */
bool may_hold_copies(const struct region *r)
{
	return r->backing != BACKING_ANON && !r->is_shared;
}

/* ---- counting -------------------------------------------------------------------------- */

static void submit_counts(struct manager *m, struct guest *g)
{
	while (g->next_want < g->diagnosis.n_wants &&
	       g->jobs_in_flight < 4 * executor_workers(m->executor)) {
		const struct want *w = &g->diagnosis.wants[g->next_want];
		const struct region *region = snapshot_find_region(&g->snapshot, w->start);
		hva_t start = max_u64(w->start, g->next_address);
		hva_t end = min_u64(w->end, align_down(start, block_bytes(&m->geometry)) +
						    LOOK_CHUNK_BYTES);
		struct job *j = cycle_new_job(m, g, JOB_COUNT);

		if (!j)
			return;
		j->start = start;
		j->end = end;
		j->look.is_file = region && may_hold_copies(region);
		g->next_address = end;
		if (end >= w->end)
			g->next_want++;
		m->counters.counted_bytes += end - start;
		cycle_submit(m, g, j);
	}
}

static void finish_count(struct manager *m, struct guest *g)
{
	g->looked_ns = manager_now_ns(m);
	if (g->diagnosis.n_wants > 0 && ledger_observe(&g->ledger, &g->snapshot, g->looked_ns) < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while comparing looks");
	g->is_counted = true; /* what could not be counted is not asked for again */
	cycle_decide(m, g);
}

void looking_go_on_counting(struct manager *m, struct guest *g)
{
	submit_counts(m, g);
	if (g->jobs_in_flight == 0)
		finish_count(m, g);
}

void looking_count(struct manager *m, struct guest *g)
{
	g->phase = PHASE_COUNT;
	g->next_want = 0;
	g->next_address = 0;
	looking_go_on_counting(m, g);
}

/* ---- looking --------------------------------------------------------------------------- */

/* Memory whose page table is worth a look: what could be collapsed, and what shall be reported with
 * its coverage. */
static bool is_lookable(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FSDAX || r->backing == BACKING_FILE;
}

/* Without PAGEMAP_SCAN a region is looked at as a whole: see lib/kernel/look_old.c. */
static uint64_t look_chunk_bytes(const struct manager *m)
{
	return m->host.features & FEATURE_PAGEMAP_SCAN ? LOOK_CHUNK_BYTES : UINT64_MAX / 4;
}

static void submit_edges(struct manager *m, struct guest *g)
{
	for (uint32_t i = 0; i < g->snapshot.n_regions; i++) {
		const struct region *r = &g->snapshot.regions[i];
		struct job *j;

		if (!is_lookable(r) || (is_aligned(r->start, block_bytes(&m->geometry)) &&
					is_aligned(r->end, block_bytes(&m->geometry))))
			continue;
		j = cycle_new_job(m, g, JOB_EDGES);
		if (!j)
			return;
		j->start = r->start;
		j->end = r->end;
		j->region = i;
		cycle_submit(m, g, j);
	}
}

static void submit_looks(struct manager *m, struct guest *g)
{
	const struct snapshot *s = &g->snapshot;

	while (g->next_region < s->n_regions &&
	       g->jobs_in_flight < 4 * executor_workers(m->executor)) {
		const struct region *r = &s->regions[g->next_region];
		hva_t start = max_u64(region_first_block(r, &m->geometry), g->next_address);
		hva_t end =
			min_u64(region_last_block(r, &m->geometry), start + look_chunk_bytes(m));
		struct job *j;

		if (!is_lookable(r) || start >= end) {
			g->next_region++;
			g->next_address = 0;
			continue;
		}
		j = cycle_new_job(m, g, JOB_LOOK);
		if (!j)
			return;
		j->start = start;
		j->end = end;
		j->look.is_file = may_hold_copies(r);
		g->next_address = end;
		m->counters.looked_bytes += end - start;
		cycle_submit(m, g, j);
	}
}

static void finish_look(struct manager *m, struct guest *g)
{
	struct snapshot *s = &g->snapshot;

	free(s->sights);
	s->sights = TAKE_PTR(g->news);
	s->n_sights = g->n_news;
	g->n_news = 0;
	if (s->n_sights > SNAPSHOT_SIGHTS_MAX) {
		s->n_sights = SNAPSHOT_SIGHTS_MAX;
		s->is_truncated = true;
	}
	g->looked_ns = manager_now_ns(m);
	log_vm(LOG_DEBUG, s->vm.name, "looked at %zu regions: %zu runs, %llu us of CPU so far",
	       s->n_regions, s->n_sights, (unsigned long long)(g->look_cpu_ns / 1000));
	if (ledger_observe(&g->ledger, &g->snapshot, g->looked_ns) < 0 ||
	    populate_observe(&g->populate, &g->snapshot, g->looked_ns) < 0)
		log_vm(LOG_ERR, g->snapshot.vm.name, "out of memory while comparing looks");
	g->is_counted = false;
	cycle_decide(m, g);
}

void looking_go_on(struct manager *m, struct guest *g)
{
	submit_looks(m, g);
	if (g->jobs_in_flight == 0)
		finish_look(m, g);
}

static void start_look(struct manager *m, struct guest *g)
{
	g->phase = PHASE_LOOK;
	g->next_region = 0;
	g->next_address = 0;
	free(g->news);
	g->news = NULL;
	g->n_news = 0;
	submit_edges(m, g);
	looking_go_on(m, g);
}

/* ---- surveying ------------------------------------------------------------------------- */

void cycle_start(struct manager *m, struct guest *g)
{
	struct job *j = cycle_new_job(m, g, JOB_SURVEY);

	if (!j)
		return;
	j->want_flags = g->want_flags ||
			populate_wants_flags(&g->populate, &g->snapshot, manager_now_ns(m));
	j->want_vmm_config = !g->has_vmm_config;
	j->want_vcpus = guest_has_nodes(g, &m->host);
	j->want_facts = guest_wants_facts(g, &m->host, manager_now_ns(m));
	j->want_slots = guest_wants_slots(g, manager_now_ns(m));
	if (guest_wants_counts(g, manager_now_ns(m)) && !hearing_ask_counts(m, g))
		guest_ask_counts(g, j, manager_now_ns(m));
	g->want_flags = false;
	j->survey.geometry = m->geometry;
	j->survey.host = m->host;
	j->survey.policy = g->snapshot.policy;
	j->survey.vm = g->snapshot.vm;
	g->is_due = false;
	g->is_asked_for = false;
	g->has_acted = false;
	g->vain_rounds = 0;
	g->look_cpu_ns = 0;
	g->cycle_began_ns = manager_now_ns(m);
	g->phase = PHASE_SURVEY;
	cycle_submit(m, g, j);
}

static void look_at_as_new(struct manager *m, struct guest *g)
{
	log_vm(LOG_NOTICE, g->snapshot.vm.name,
	       "the process executes another program now: looked at as new");
	ledger_clear(&g->ledger);
	populate_clear(&g->populate);
	mover_clear(&g->mover);
	guest_forget_facts(g);
	guest_forget_counts(g);
	g->nudge = (struct nudge_history)NUDGE_HISTORY_INIT;
	g->last_nudge.is_set = false;
	g->has_told = false;
	g->has_vmm_config = false;
	hearing_leave(g);
	g->phase = PHASE_IDLE;
	discovery_identify(m, g);
}

static void take_facts(struct manager *m, struct guest *g, const struct job *j)
{
	const char *why = guest_take_facts(g, j, manager_now_ns(m));

	if (why)
		log_vm(LOG_WARNING, g->snapshot.vm.name,
		       "its monitor does not tell which memory belongs to which node of the guest: "
		       "%s",
		       why);
}

static void take_slots(struct manager *m, struct guest *g, struct job *j)
{
	const char *why = guest_take_slots(g, j, manager_now_ns(m));

	if (why)
		log_vm(LOG_WARNING, g->snapshot.vm.name,
		       "its monitor does not tell KVM's memslots: %s", why);
}

void looking_take_counts(struct manager *m, struct guest *g, const struct job *j)
{
	const char *why = guest_note_monitor(g, j, manager_now_ns(m));

	if (why)
		log_vm(LOG_WARNING, g->snapshot.vm.name, "its monitor does not answer: %s", why);
	guest_take_counts(g, j, manager_now_ns(m));
	nudging_observe(g);
}

void looking_take_survey(struct manager *m, struct guest *g, struct job *j)
{
	struct snapshot *s = &g->snapshot;
	bool was_truncated = s->is_truncated;

	if (j->is_other_program) {
		look_at_as_new(m, g);
		return;
	}
	s->geometry = m->geometry;
	s->vm = j->survey.vm;
	g->has_vmm_config = true;
	snapshot_take_regions(s, &j->survey);
	if (j->want_vcpus)
		guest_take_vcpus(g, &j->vcpus, j->n_vcpus, manager_now_ns(m));
	if (j->want_facts)
		take_facts(m, g, j);
	if (j->want_slots)
		take_slots(m, g, j);
	guest_age_slots(g, manager_now_ns(m));
	looking_take_counts(m, g, j);
	if (s->is_truncated && !was_truncated)
		log_vm(LOG_WARNING, s->vm.name,
		       "more than %d mappings that may be its memory: the rest is neither looked "
		       "at "
		       "nor counted",
		       SNAPSHOT_REGIONS_MAX);
	guest_apply_policy(g, &m->config);
	if (!s->vm.has_kvm && !g->rule)
		manager_drop_guest(m, g, "it is no VM any more");
	else if (s->policy.mode == MODE_OFF)
		cycle_end(m, g);
	else
		start_look(m, g);
}

/* All that is known of a VM whose mappings may not be read is how much of it is resident. */
void looking_report_no_right(struct manager *m, struct guest *g)
{
	struct run all = {.state = BLOCK_UNKNOWN, .reason = REASON_NO_PERMISSION, .node = -1};
	struct diagnosis *d = &g->diagnosis;

	all.bytes = all.resident_bytes = g->pulse.resident_pages * page_bytes(&m->geometry);
	diagnosis_clear(d);
	if (ARRAY_APPEND(&d->runs, &d->n_runs, &all) < 0)
		return;
	d->totals.ram_bytes = d->totals.resident_bytes = all.bytes;
	d->totals.by_state[BLOCK_UNKNOWN] = d->totals.by_reason[all.reason] = all.bytes;
}
