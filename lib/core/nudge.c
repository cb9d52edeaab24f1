/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: a collapse is its own nudge (KERNEL.md 3.1), an ended log heals by itself,
 * so a nudge is for what is left over, and costs a VM a stop of its memslots each time. So there is
 * none without evidence, and none again where it did not help. Whether it helped is told by shares:
 * kernels that drop the small entries instead of replacing them (before 6.13) leave fewer of both
 * kinds, until the guest has touched its memory again. */
#include "nudge.h"

#define NS_PER_S    UINT64_C(1000000000)
#define INTERVAL_NS (600 * NS_PER_S)

/* Guest RAM is in a region; memory of a display, which QEMU logs all the time, is too small for
 * one. */
static bool reaches_into_region(const struct snapshot *s, const struct memslot *m)
{
	size_t low = 0, high = s->n_regions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->regions[middle].end <= m->hva)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n_regions && s->regions[low].start < m->hva + m->bytes;
}

static bool is_logged(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_memslots; i++)
		if ((s->memslots[i].flags & MEMSLOT_LOG_DIRTY) &&
		    reaches_into_region(s, &s->memslots[i]))
			return true;
	return false;
}

static enum reason held_by_guards(const struct snapshot *s)
{
	if (s->policy.is_paused)
		return REASON_PAUSED;
	if (s->policy.mode != MODE_FULL)
		return REASON_POLICY_OFF;
	if (s->vm.has_uffd)
		return REASON_USERFAULTFD;
	if (s->is_migrating == ANSWER_YES)
		return REASON_DIRTY_LOGGING_ON;
	if (!s->are_memslots_known)
		return REASON_MEMSLOTS_NOT_TOLD;
	return is_logged(s) ? REASON_DIRTY_LOGGING_ON : REASON_NONE;
}

/* What was split for the guest's code counts: KVM looks at a part of it once a minute whether the
 * guest still executes it, and takes an hour for all of it. */
static bool has_evidence(const struct kvm_view *view)
{
	return view->is_small_for_long && view->curable_bytes > 0;
}

enum reason nudge_held_by_history(const struct nudge_history *h, uint64_t now_ns)
{
	if (h->has_nudged && sat_sub_u64(now_ns, h->nudged_ns) < INTERVAL_NS)
		return REASON_NUDGED_LATELY;
	return h->verdict.is_vain ? REASON_NUDGED_IN_VAIN : REASON_NONE;
}

static enum reason held(const struct snapshot *s, const struct kvm_view *view, bool is_wished,
			enum reason by_history)
{
	enum reason by_guards = held_by_guards(s);

	if (by_guards != REASON_NONE || is_wished)
		return by_guards;
	if (s->policy.nudge != NUDGE_AUTO)
		return REASON_POLICY_OFF;
	return has_evidence(view) ? by_history : REASON_NOTHING_TO_NUDGE;
}

enum reason nudge_held(const struct nudge_history *h, const struct snapshot *s,
		       const struct kvm_view *view, uint64_t now_ns)
{
	return held(s, view, h->is_wished, nudge_held_by_history(h, now_ns));
}

enum reason nudge_held_in(const struct snapshot *s, const struct kvm_view *view)
{
	return held(s, view, false, s->nudge_held);
}

void nudge_note(struct nudge_history *h, const struct kvm_view *before, uint64_t now_ns)
{
	*h = (struct nudge_history){
		.has_nudged = true,
		.nudged_ns = now_ns,
		.awaits_verdict = before->is_known,
		.verdict = {.small_before_bytes = before->curable_bytes,
			    .huge_before_bytes = before->huge_bytes},
	};
}

/* KVM has entries of a fair part of what it had: else the share of the small ones says nothing. */
static bool is_mapped_again(const struct nudge_verdict *v, const struct kvm_view *view)
{
	uint64_t before = sat_add_u64(v->small_before_bytes, v->huge_before_bytes),
		 after = sat_add_u64(view->curable_bytes, view->huge_bytes);

	return after >= before / 4;
}

/* Less than a tenth of the share of small pages is gone. In pages, so that nothing overflows. */
static bool is_vain(const struct nudge_verdict *v)
{
	uint64_t before = v->small_before_bytes >> 12, after = v->small_after_bytes >> 12,
		 all_before = before + (v->huge_before_bytes >> 12),
		 all_after = after + (v->huge_after_bytes >> 12);

	return before > 0 && (unsigned __int128)after * all_before * 10 >
				     (unsigned __int128)before * all_after * 9;
}

bool nudge_observe(struct nudge_history *h, const struct snapshot *s, const struct kvm_view *view)
{
	struct nudge_verdict *v = &h->verdict;

	if (!h->awaits_verdict || !view->is_known || s->kvm.read_ns < h->nudged_ns ||
	    s->kvm.read_ns - h->nudged_ns < KVM_SAMPLES_APART_NS || !is_mapped_again(v, view))
		return false;
	v->small_after_bytes = view->curable_bytes;
	v->huge_after_bytes = view->huge_bytes;
	v->is_known = true;
	v->is_vain = is_vain(v);
	h->awaits_verdict = false;
	return true;
}

void nudge_forget(struct nudge_history *h)
{
	h->awaits_verdict = false;
	h->verdict.is_vain = false;
}
