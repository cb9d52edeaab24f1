/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The nudge, at the end of a cycle: what could be huge on the host is, and what KVM still maps by
 * small pages it is made to map anew, by the library inside the VMM, or by its QEMU (measuring.c).
 * Whether is lib/core/nudge.h's; here are the steps of the library: KVM's counts if they are not
 * known, the nudge, the counts again for whoever waits. The verdict comes with a later sample.
 *
 * No step waits here: the cycle is over when the last answer is there, or when it is given up. */

#include <errno.h>
#include <string.h>

#include "cycle.h"
#include "kvm_view.h"
#include "log.h"

struct kvm_view nudging_view(const struct guest *g)
{
	return kvm_view_of(&g->snapshot, &g->diagnosis.totals);
}

/* What nobody asked for is no news, each time that it comes to be due. */
void nudging_refuse(struct guest *g, enum reason held, bool is_wished)
{
	if (is_wished)
		g->nudge_refused = held;
	log_vm(is_wished ? LOG_WARNING : LOG_DEBUG, g->snapshot.vm.name, "not nudged (%s): %s",
	       reason_slug(held), reason_sentence(held));
}

/* A library that was there may have been cut off for a moment. */
static bool has_library(const struct guest *g)
{
	return g->library || g->has_told;
}

static enum nudge_means means_of(const struct guest *g)
{
	return nudge_means_of(&g->snapshot.policy, has_library(g));
}

static enum reason held(struct manager *m, struct guest *g)
{
	struct kvm_view view;

	hearing_take(m, g);
	view = nudging_view(g);
	return nudge_held(&g->nudge, &g->snapshot, &view, means_of(g), manager_now_ns(m));
}

enum reason nudging_foresee(const struct manager *m, const struct guest *g)
{
	struct kvm_view view = nudging_view(g);

	return nudge_held(&g->nudge, &g->snapshot, &view, means_of(g), manager_now_ns(m));
}

void nudging_note_history(const struct manager *m, struct guest *g)
{
	g->snapshot.has_library = has_library(g);
	g->snapshot.has_monitor = g->snapshot.policy.monitor[0] != '\0';
	g->snapshot.nudge_held = nudge_held_by_history(&g->nudge, means_of(g), manager_now_ns(m));
}

/* A wish that came meanwhile is not fulfilled by what nobody had wished for. */
void nudging_end(struct manager *m, struct guest *g, bool was_wished)
{
	if (was_wished)
		g->nudge.is_wished = false;
	if (g->nudge.is_wished)
		g->is_due = true;
	g->nudging = NUDGING_NONE;
	cycle_finish(m, g);
}

static bool count(struct manager *m, struct guest *g, enum nudging step)
{
	if (!hearing_ask_counts(m, g))
		return false;
	g->nudging = step;
	return true;
}

/* Once more right before: answers may have taken their time. */
static bool ask(struct manager *m, struct guest *g)
{
	enum reason why = held(m, g);
	int r = why == REASON_NONE ? vmm_peer_ask(g->library, WIRE_NUDGE, manager_now_ns(m)) : 0;

	if (why != REASON_NONE)
		nudging_refuse(g, why, g->nudge.is_wished);
	else if (r < 0)
		log_vm(LOG_WARNING, g->snapshot.vm.name, "its libthpd-vmm cannot be asked: %s",
		       strerror(-r));
	if (why != REASON_NONE || r < 0)
		return false;
	g->nudging = NUDGING_ASKED;
	return true;
}

static bool start(struct manager *m, struct guest *g)
{
	if (means_of(g) == NUDGE_BY_DIRTY_RATE)
		return measuring_start(m, g);
	if (g->snapshot.kvm.source == KVM_SOURCE_NONE && count(m, g, NUDGING_COUNTS_BEFORE))
		return true;
	return ask(m, g);
}

bool nudging_start(struct manager *m, struct guest *g)
{
	enum reason why = m->options.is_dry_run ? REASON_NOTHING_TO_NUDGE : held(m, g);

	if (why == REASON_NONE && start(m, g))
		return true;
	if (why != REASON_NONE && g->nudge.is_wished)
		nudging_refuse(g, why, true);
	g->nudge.is_wished = false;
	return false;
}

static void log_nudge(const struct guest *g, const struct vmm_answer *a)
{
	const struct vmm_nudged *n = &a->nudged;

	if (a->err < 0)
		log_vm(LOG_WARNING, g->snapshot.vm.name,
		       "its libthpd-vmm did not answer to a nudge: %s", strerror(-a->err));
	else
		log_result(LOG_INFO, g->snapshot.vm.name, nudge_result_name(n->result),
			   "nudged, %s: %llu MiB of %llu memslots, %llu passed over, %llu us, "
			   "worst call %llu us",
			   nudge_result_name(n->result),
			   (unsigned long long)(n->toggled_bytes >> 20),
			   (unsigned long long)n->n_toggled, (unsigned long long)n->n_passed_over,
			   (unsigned long long)(n->took_ns / 1000),
			   (unsigned long long)(n->worst_call_ns / 1000));
}

/* Also one that did nothing: it is not tried again at once. */
static void take_nudge(struct manager *m, struct guest *g, const struct vmm_answer *a)
{
	struct kvm_view before = nudging_view(g);

	m->counters.nudges++;
	log_nudge(g, a);
	g->last_nudge =
		(struct last_nudge){.is_set = true, .means = NUDGE_BY_LIBRARY, .answer = *a};
	nudge_note(&g->nudge, &before, manager_now_ns(m));
	if (a->err == 0 && a->nudged.n_toggled > 0)
		guest_forget_counts(g);
	else
		g->nudge.awaits_verdict = false;
}

void nudging_go_on(struct manager *m, struct guest *g, const struct vmm_answer *a)
{
	switch (g->nudging) {
	case NUDGING_NONE:
		break;
	case NUDGING_COUNTS_BEFORE:
		if (!ask(m, g))
			nudging_end(m, g, true);
		break;
	case NUDGING_ASKED:
		take_nudge(m, g, a);
		if (!count(m, g, NUDGING_COUNTS_AFTER))
			nudging_end(m, g, true);
		break;
	case NUDGING_COUNTS_AFTER:
		nudging_end(m, g, true);
		break;
	case NUDGING_TELLING:
	case NUDGING_MEASURING:
		break;
	}
}

void nudging_break_off(struct manager *m, struct guest *g)
{
	if (g->nudging != NUDGING_NONE)
		nudging_end(m, g, true);
}

void nudging_observe(struct guest *g)
{
	struct kvm_view view = nudging_view(g);
	const struct nudge_verdict *v = &g->nudge.verdict;

	if (nudge_observe(&g->nudge, &g->snapshot, &view))
		log_vm(LOG_INFO, g->snapshot.vm.name,
		       "the nudge %s: KVM mapped %llu MiB by small pages and %llu MiB by huge ones "
		       "before, %llu and %llu after",
		       v->is_vain ? "was in vain" : "helped",
		       (unsigned long long)(v->small_before_bytes >> 20),
		       (unsigned long long)(v->huge_before_bytes >> 20),
		       (unsigned long long)(v->small_after_bytes >> 20),
		       (unsigned long long)(v->huge_after_bytes >> 20));
}
