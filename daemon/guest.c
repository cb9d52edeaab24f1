/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "cleanup.h"
#include "dirty_log.h"
#include "job.h"
#include "kvm_view.h"

/* The guest's nodes and memslots change with its devices only, and a monitor serves one client at a
 * time. */
#define FACTS_AGE_NS   (UINT64_C(600) * 1000000000)
#define FACTS_RETRY_NS (UINT64_C(60) * 1000000000)
/* What was inferred of memslots is as good as nothing. */
#define SLOTS_OLD_NS (3 * FACTS_AGE_NS)

struct guest *guest_new(uint64_t id, struct process *process, const struct vm *vm)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->id = id;
	g->process = *process;
	*process = (struct process)PROCESS_INIT;
	g->snapshot = (struct snapshot)SNAPSHOT_INIT;
	g->snapshot.vm = *vm;
	g->ledger = (struct ledger)LEDGER_INIT;
	g->populate = (struct populate_history)POPULATE_HISTORY_INIT;
	g->mover = (struct mover)MOVER_INIT;
	g->is_due = true;
	return g;
}

struct guest *guest_free(struct guest *g)
{
	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->gone); /* before the pidfd that it watches */
	process_close(&g->process);
	snapshot_clear(&g->snapshot);
	diagnosis_clear(&g->diagnosis);
	ledger_clear(&g->ledger);
	populate_clear(&g->populate);
	mover_clear(&g->mover);
	plan_clear(&g->plan);
	free(g->news);
	free(g);
	return NULL;
}

bool guest_is_tended(const struct guest *g)
{
	return !g->is_doomed && (g->snapshot.policy.mode != MODE_OFF || g->is_asked_for);
}

bool guest_is_measured(const struct guest *g)
{
	return g->nudging == NUDGING_TELLING || g->nudging == NUDGING_MEASURING;
}

/* Its monitor knows best, then its memslots. */
static void judge_migration(struct guest *g)
{
	g->snapshot.is_migrating = g->migrates_by_monitor != ANSWER_UNKNOWN
					   ? g->migrates_by_monitor
					   : dirty_log_is_on(&g->snapshot);
}

void guest_forget_facts(struct guest *g)
{
	(void)snapshot_take_guest_map(&g->snapshot, &(struct guest_map){0});
	g->migrates_by_monitor = ANSWER_UNKNOWN;
	judge_migration(g);
	g->monitor_due_ns = 0;
	g->monitor_why = NULL;
	if (g->snapshot.kvm.source == KVM_SOURCE_NONE)
		g->counts_due_ns = 0; /* a new one may know */
	g->facts_due_ns = 0;
	g->facts_why = NULL;
	if (!g->snapshot.are_memslots_known)
		snapshot_forget_memslots(&g->snapshot);
	g->slots_asked_ns = g->slots_due_ns = 0;
	g->slots_why = NULL;
}

void guest_apply_policy(struct guest *g, const struct config *c)
{
	bool is_paused = g->snapshot.policy.is_paused;
	struct policy *p = &g->snapshot.policy;
	char monitor[POLICY_MONITOR_MAX];

	memcpy(monitor, p->monitor, sizeof(monitor));
	g->rule = config_find_rule(c, &g->snapshot.vm);
	*p = g->rule ? g->rule->policy : c->policy;
	p->is_paused = is_paused;
	if (g->populate.wish != POPULATE_WISH_NONE)
		p->populate = POPULATE_HUGE;
	if (strcmp(monitor, p->monitor) != 0)
		guest_forget_facts(g); /* what another monitor told is not known of this one */
	if (g->snapshot.policy.placement == PLACEMENT_OFF)
		mover_forget(&g->mover);
}

bool guest_has_nodes(const struct guest *g, const struct host *h)
{
	return h->n_nodes > 1 && (h->features & FEATURE_NODES) &&
	       g->snapshot.policy.placement != PLACEMENT_OFF;
}

bool guest_may_move(const struct guest *g)
{
	const struct policy *p = &g->snapshot.policy;

	return p->mode == MODE_FULL &&
	       (p->placement == PLACEMENT_FOLLOW || p->placement == PLACEMENT_BIND);
}

void guest_take_vcpus(struct guest *g, struct vcpu **vcpus, size_t n, uint64_t now_ns)
{
	struct snapshot *s = &g->snapshot;

	if (g->vcpus_ns != 0)
		vcpus_compare(*vcpus, n, s->vcpus, s->n_vcpus, sat_sub_u64(now_ns, g->vcpus_ns));
	free(s->vcpus);
	s->vcpus = TAKE_PTR(*vcpus);
	s->n_vcpus = n;
	g->vcpus_ns = now_ns;
}

/* ---- The monitor ---- */

static bool may_ask_monitor(const struct guest *g, uint64_t now_ns)
{
	return g->snapshot.policy.monitor[0] && now_ns >= g->monitor_due_ns;
}

/* The policy still names the monitor that the job asked. */
static bool is_of_monitor(const struct guest *g, const struct job *j)
{
	return strcmp(j->survey.policy.monitor, g->snapshot.policy.monitor) == 0;
}

/* *known: why it is not known, as of now. Returns that if it is news. */
static const char *note_why(const char **known, const char *why)
{
	const char *before = *known;

	*known = why;
	return why && (!before || strcmp(why, before) != 0) ? why : NULL;
}

const char *guest_note_monitor(struct guest *g, const struct job *j, uint64_t now_ns)
{
	if (!job_asks_monitor(j) || !is_of_monitor(g, j))
		return NULL;
	g->monitor_due_ns = j->facts_err < 0 ? now_ns + FACTS_RETRY_NS : 0;
	return note_why(&g->monitor_why, j->facts_err < 0 ? j->facts_why : NULL);
}

bool guest_wants_facts(const struct guest *g, const struct host *h, uint64_t now_ns)
{
	return guest_has_nodes(g, h) && may_ask_monitor(g, now_ns) && now_ns >= g->facts_due_ns;
}

const char *guest_take_facts(struct guest *g, const struct job *j, uint64_t now_ns)
{
	const char *why = j->facts.map_why;

	if (j->facts_err < 0 || !is_of_monitor(g, j))
		return NULL;
	if (!why && snapshot_take_guest_map(&g->snapshot, &j->facts.map) < 0)
		return NULL;
	g->facts_due_ns = now_ns + (why ? FACTS_RETRY_NS : FACTS_AGE_NS);
	return note_why(&g->facts_why, why);
}

/* The library, where it tells, knows better. */
bool guest_wants_slots(const struct guest *g, uint64_t now_ns)
{
	return g->snapshot.vm.has_kvm && !g->snapshot.are_memslots_known &&
	       may_ask_monitor(g, now_ns) && now_ns >= g->slots_due_ns;
}

/* 0, or as of qemu_slots_read(). */
static int infer_slots(struct guest *g, struct qemu_facts *facts, uint64_t now_ns)
{
	struct qemu_slots *slots = &facts->slots;

	if (facts->slots_err == 0 &&
	    snapshot_infer_memslots(&g->snapshot, &slots->items, slots->n, now_ns) < 0) {
		facts->slots_err = -ENODATA;
		facts->slots_why = "it tells of slots that cannot be";
	}
	if (facts->slots_err == -ENODATA)
		snapshot_forget_memslots(&g->snapshot);
	return facts->slots_err;
}

const char *guest_take_slots(struct guest *g, struct job *j, uint64_t now_ns)
{
	bool is_told;
	int r;

	if (j->facts_err < 0 || !is_of_monitor(g, j) || g->snapshot.are_memslots_known)
		return NULL; /* not reached; or another was to be asked, or has told, since */
	r = infer_slots(g, &j->facts, now_ns);
	is_told = r == 0 || r == -ENODATA;
	g->slots_asked_ns = now_ns;
	g->slots_due_ns = now_ns + (is_told ? FACTS_AGE_NS : FACTS_RETRY_NS);
	return note_why(&g->slots_why, r == 0 ? NULL : j->facts.slots_why);
}

void guest_age_slots(struct guest *g, uint64_t now_ns)
{
	uint64_t told_ns = g->snapshot.memslots_inferred_ns;

	if (told_ns > 0 && (!g->snapshot.vm.has_kvm || now_ns - told_ns > SLOTS_OLD_NS))
		snapshot_forget_memslots(&g->snapshot);
}

/* ---- What KVM maps, and memslots ---- */

bool guest_wants_counts(const struct guest *g, uint64_t now_ns)
{
	return g->snapshot.vm.has_kvm && now_ns >= g->counts_due_ns;
}

bool guest_wants_counts_between(const struct guest *g, uint64_t now_ns)
{
	const struct snapshot *s = &g->snapshot;

	return guest_wants_counts(g, now_ns) &&
	       (s->kvm_before.source == KVM_SOURCE_NONE || s->is_migrating == ANSWER_YES ||
		(g->nudge.awaits_verdict && now_ns < g->nudge.nudged_ns + FACTS_AGE_NS));
}

void guest_ask_counts(const struct guest *g, struct job *j, uint64_t now_ns)
{
	j->want_counts = true;
	j->want_counts_of_monitor = may_ask_monitor(g, now_ns);
	j->survey.policy = g->snapshot.policy;
	j->survey.vm = g->snapshot.vm;
}

void guest_take_counts(struct guest *g, const struct job *j, uint64_t now_ns)
{
	bool is_known = j->counts.source != KVM_SOURCE_NONE;

	if (!j->want_counts)
		return;
	kvm_view_take(&g->snapshot, &j->counts);
	g->migrates_by_monitor = j->facts.is_migrating;
	judge_migration(g);
	g->counts_due_ns = now_ns + (is_known ? KVM_SAMPLES_APART_NS : FACTS_RETRY_NS);
}

bool guest_take_told_counts(struct guest *g, const struct kvm_counts *counts, uint64_t now_ns)
{
	bool was_silent = g->counts_of_library_ns > 0;

	if (!g->awaits_counts)
		return false;
	g->awaits_counts = false;
	g->counts_of_library_ns = counts ? 0 : now_ns + FACTS_RETRY_NS;
	if (!counts)
		return !was_silent;
	kvm_view_take(&g->snapshot, counts);
	g->migrates_by_monitor = ANSWER_UNKNOWN; /* it was not asked this time */
	judge_migration(g);
	g->counts_due_ns = now_ns + KVM_SAMPLES_APART_NS;
	return false;
}

/* The monitor may know them. A library that comes and goes all the time does not have it asked more
 * often than one that is silent. */
static void forget_told_slots(struct guest *g)
{
	snapshot_forget_memslots(&g->snapshot);
	g->slots_due_ns = g->slots_asked_ns > 0 ? g->slots_asked_ns + FACTS_RETRY_NS : 0;
}

/* What a monitor said before a log was switched on or off is of yesterday. */
void guest_take_memslots(struct guest *g, struct memslot **slots, size_t n, bool is_known)
{
	enum answer before = dirty_log_is_on(&g->snapshot);
	bool was_known = g->snapshot.are_memslots_known;

	if (is_known ? snapshot_take_memslots(&g->snapshot, slots, n) < 0 : was_known)
		forget_told_slots(g);
	if (before != ANSWER_UNKNOWN && dirty_log_is_on(&g->snapshot) != before)
		g->migrates_by_monitor = ANSWER_UNKNOWN;
	if (!was_known && g->snapshot.are_memslots_known &&
	    g->snapshot.kvm.source == KVM_SOURCE_NONE)
		g->counts_due_ns = 0; /* here is one who may know them */
	judge_migration(g);
}

void guest_forget_library(struct guest *g)
{
	g->library = NULL;
	g->has_news = false;
	g->awaits_counts = false;
	g->counts_of_library_ns = 0;
	if (g->snapshot.are_memslots_known)
		forget_told_slots(g);
	judge_migration(g);
}

/* The time to ask again is set by the last asking, and 0 before the first one. */
bool guest_is_uncounted(const struct guest *g)
{
	return g->snapshot.vm.has_kvm && g->snapshot.kvm.source == KVM_SOURCE_NONE &&
	       g->counts_due_ns > 0;
}

void guest_forget_counts(struct guest *g)
{
	g->awaits_counts = false;
	kvm_view_take(&g->snapshot, &(struct kvm_counts){.source = KVM_SOURCE_NONE});
	g->counts_due_ns = 0;
}

const char *guest_backing(const struct guest *g)
{
	const struct snapshot *s = &g->snapshot;

	if (s->n_regions == 0)
		return "none";
	for (size_t i = 1; i < s->n_regions; i++)
		if (s->regions[i].backing != s->regions[0].backing)
			return "mixed";
	return backing_name(s->regions[0].backing);
}
