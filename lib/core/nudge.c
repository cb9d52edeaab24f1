/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: a collapse is its own nudge (KERNEL.md 3.1), an ended log heals by itself,
 * so a nudge is for what is left over, and costs a VM a stop of its memslots each time. So there is
 * none without evidence, and none again where it did not help. Whether it helped is told by shares:
 * kernels that drop the small entries instead of replacing them (before 6.13) leave fewer of both
 * kinds, until the guest has touched its memory again. */
#include "nudge.h"

#include "bits.h"
#include "names.h"
#include "nudge_qemu.h"
#include "vmm_hint.h"

#define NS_PER_S    UINT64_C(1000000000)
#define INTERVAL_NS (600 * NS_PER_S)

const char *nudge_means_name(enum nudge_means means)
{
	static const char *const names[NUDGE_MEANS_MAX] = {
		[NUDGE_BY_LIBRARY] = "vmm",
		[NUDGE_BY_DIRTY_RATE] = "qmp/calc-dirty-rate",
	};

	return name_of(names, ARRAY_SIZE(names), means);
}

enum nudge_means nudge_means_of(const struct policy *p, bool has_library)
{
	return has_library || !p->may_dirty_rate ? NUDGE_BY_LIBRARY : NUDGE_BY_DIRTY_RATE;
}

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

static enum reason held_by_library(const struct snapshot *s)
{
	if (!s->are_memslots_known)
		return vmm_silence(&s->vm);
	return is_logged(s) ? REASON_DIRTY_LOGGING_ON : REASON_NONE;
}

/* A static QEMU has a monitor as well as any. */
static enum reason held_by_qemu(const struct snapshot *s, bool has_monitor)
{
	enum reason silence = vmm_silence(&s->vm);

	if (silence == REASON_VMM_HAS_NO_WAY)
		return silence;
	if (!has_monitor)
		return silence == REASON_THROUGH_LIBVIRT ? silence : REASON_NO_MONITOR;
	return s->vm.has_vfio ? REASON_VFIO_DEVICE : REASON_NONE;
}

static enum reason held_by_guards(const struct snapshot *s, enum nudge_means means,
				  bool has_monitor)
{
	if (s->policy.is_paused)
		return REASON_PAUSED;
	if (s->policy.mode != MODE_FULL)
		return REASON_POLICY_OFF;
	if (s->vm.has_uffd)
		return REASON_USERFAULTFD;
	if (s->vm.is_logged_for_life == ANSWER_YES)
		return REASON_DIRTY_LOGGING_FOR_LIFE;
	if (s->is_migrating == ANSWER_YES)
		return REASON_DIRTY_LOGGING_ON;
	return means == NUDGE_BY_LIBRARY ? held_by_library(s) : held_by_qemu(s, has_monitor);
}

/* What was split for the guest's code counts: KVM looks at a part of it once a minute whether the
 * guest still executes it, and takes an hour for all of it. */
static bool has_evidence(const struct kvm_view *view)
{
	return view->is_small_for_long && view->curable_bytes > 0;
}

static bool is_lately(const struct nudge_history *h, uint64_t interval_ns, uint64_t now_ns)
{
	return h->has_nudged && sat_sub_u64(now_ns, h->nudged_ns) < interval_ns;
}

/* From one measuring of QEMU's to the next: what the library does is cheap. */
static bool is_measured_lately(const struct nudge_history *h, enum nudge_means means,
			       uint64_t interval_ns, uint64_t now_ns)
{
	return means == NUDGE_BY_DIRTY_RATE && is_lately(h, interval_ns, now_ns);
}

enum reason nudge_held_by_history(const struct nudge_history *h, enum nudge_means means,
				  uint64_t now_ns)
{
	if (is_measured_lately(h, means, DIRTY_RATE_INTERVAL_NS, now_ns))
		return REASON_MEASURED_LATELY;
	if (is_lately(h, INTERVAL_NS, now_ns))
		return REASON_NUDGED_LATELY;
	if (means == NUDGE_BY_DIRTY_RATE && now_ns < h->not_before_ns)
		return REASON_MEASURED_LATELY;
	return h->verdict.is_vain ? REASON_NUDGED_IN_VAIN : REASON_NONE;
}

static enum reason held_against_wish(const struct nudge_history *h, enum nudge_means means,
				     uint64_t now_ns)
{
	return is_measured_lately(h, means, DIRTY_RATE_WISHED_AFTER_NS, now_ns)
		       ? REASON_MEASURED_LATELY
		       : REASON_NONE;
}

static enum reason held_without_wish(const struct snapshot *s, const struct kvm_view *view,
				     enum reason by_history)
{
	if (s->policy.nudge != NUDGE_AUTO)
		return REASON_POLICY_OFF;
	return has_evidence(view) ? by_history : REASON_NOTHING_TO_NUDGE;
}

enum reason nudge_held(const struct nudge_history *h, const struct snapshot *s,
		       const struct kvm_view *view, enum nudge_means means, uint64_t now_ns)
{
	enum reason held = held_by_guards(s, means, s->policy.monitor[0] != '\0');

	if (held != REASON_NONE)
		return held;
	return h->is_wished ? held_against_wish(h, means, now_ns)
			    : held_without_wish(s, view, nudge_held_by_history(h, means, now_ns));
}

enum reason nudge_held_in(const struct snapshot *s, const struct kvm_view *view)
{
	enum reason held =
		held_by_guards(s, nudge_means_of(&s->policy, s->has_library), s->has_monitor);

	return held != REASON_NONE ? held : held_without_wish(s, view, s->nudge_held);
}

void nudge_note(struct nudge_history *h, const struct kvm_view *before, uint64_t now_ns)
{
	*h = (struct nudge_history){
		.has_nudged = true,
		.nudged_ns = now_ns,
		.awaits_verdict = before->is_known,
		.verdict = {.small_before_bytes = before->curable_bytes,
			    .huge_before_bytes = before->huge_bytes,
			    .explained_before_bytes = before->explained_bytes},
	};
}

void nudge_put_off(struct nudge_history *h, bool is_refused, uint64_t now_ns)
{
	uint64_t until_ns = sat_add_u64(now_ns, is_refused ? DIRTY_RATE_INTERVAL_NS : INTERVAL_NS);

	h->not_before_ns = max_u64(h->not_before_ns, until_ns);
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

/* Other memslots are told of than before, or by somebody else: what they explain is another part of
 * the small pages, by as much as a verdict weighs. */
static bool is_explained_otherwise(const struct nudge_verdict *v, const struct kvm_view *view)
{
	uint64_t before = v->explained_before_bytes, after = view->explained_bytes,
		 change = before > after ? before - after : after - before;

	return change > v->small_before_bytes / 10;
}

bool nudge_observe(struct nudge_history *h, const struct snapshot *s, const struct kvm_view *view)
{
	struct nudge_verdict *v = &h->verdict;

	if (!h->awaits_verdict || !view->is_known || s->kvm.read_ns < h->nudged_ns ||
	    s->kvm.read_ns - h->nudged_ns < KVM_SAMPLES_APART_NS || !is_mapped_again(v, view))
		return false;
	h->awaits_verdict = false;
	if (is_explained_otherwise(v, view))
		return false;
	v->small_after_bytes = view->curable_bytes;
	v->huge_after_bytes = view->huge_bytes;
	v->is_known = true;
	v->is_vain = is_vain(v);
	return true;
}

void nudge_forget(struct nudge_history *h)
{
	h->awaits_verdict = false;
	h->verdict.is_vain = false;
}
