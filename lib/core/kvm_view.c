/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: KVM maps huge only what the host maps huge, and never what it once mapped
 * small until that entry goes (KERNEL.md 3.2). So where most of a VM is huge on the host, and KVM
 * still has most of what it maps by small pages, something keeps it so. Shares are compared, not
 * bytes: KVM has entries of what the guest has touched only. What memslots and pins explain is
 * taken out of both before: nothing that is done to it would help. */
#include "kvm_view.h"

#include "bits.h"
#include "slots_view.h"
#include "vmm.h"

/* What KVM calls its counters by: they are x86's sizes on any host that has them. */
enum { SHIFT_4K = 12, SHIFT_2M = 21, SHIFT_1G = 30 };

/* The host's part is done: what is left are edges and what the guest gave back. */
#define HOST_HIGH_BP 9000
/* Less than half: edges of memslots, the first MiB, and what was touched before a collapse are
 * never as much, not even in a small guest. */
#define KVM_LOW_BP 5000
/* Of resident memory. With less the share says nothing: the entries were dropped a moment ago, and
 * what the guest touches first (page tables, the edges) is mapped small for good. */
#define KVM_FAIR_BP 2500
/* Of resident memory. A guest's kernel and programs are some 10 MiB, and KVM means their pages to
 * be small; beyond this it shows. */
#define NX_NOTICEABLE_BP 500
/* Of resident memory. Every VM has edges (x86's first MiB is cut up); they matter in a VM of many
 * small slots. */
#define EDGES_NOTICEABLE_BP 100

static uint64_t bytes_of(uint64_t pages, unsigned int shift)
{
	return pages > UINT64_MAX >> shift ? UINT64_MAX : pages << shift;
}

static uint64_t huge_bytes_of(const struct kvm_counts *c)
{
	return sat_add_u64(bytes_of(c->pages_2m, SHIFT_2M), bytes_of(c->pages_1g, SHIFT_1G));
}

static uint64_t mapped_bytes_of(const struct kvm_counts *c)
{
	return sat_add_u64(huge_bytes_of(c), bytes_of(c->pages_4k, SHIFT_4K));
}

static bool is_at_least(uint64_t part, uint64_t whole, unsigned int share_bp)
{
	return (unsigned __int128)part * 10000 >= (unsigned __int128)whole * share_bp;
}

/* Both are halved where the product would wrap: by then the share is the same. */
static uint16_t share_bp(uint64_t part, uint64_t whole)
{
	for (; whole > UINT64_MAX / 10000; whole /= 2)
		part /= 2;
	if (whole == 0)
		return 0;
	return (uint16_t)(part * 10000 / whole);
}

/* What memslots and pins explain: resident memory, and the most that KVM maps small for it. */
struct forever_small {
	uint64_t resident_bytes, mapped_bytes;
};

/* What KVM has pinned before it was huge; the rest is as huge as it can be. */
static uint64_t pinned_small_bytes(const struct snapshot *s, const struct totals *t)
{
	return s->vm.has_sev ? sat_sub_u64(t->resident_bytes, t->huge_bytes) : 0;
}

/* Pinned pages at the edge of a slot count twice: then less is blamed on KVM, never more. */
static struct forever_small forever_small_of(const struct slots_view *slots, uint64_t pinned_bytes)
{
	uint64_t resident = sat_add_u64(
		sat_add_u64(slots->not_congruent_bytes, slots->head_tail_bytes), pinned_bytes);

	return (struct forever_small){resident, sat_add_u64(resident, slots->private_bytes)};
}

static bool is_small(struct kvm_counts c, uint64_t resident, const struct forever_small *except)
{
	c.pages_4k = sat_sub_u64(c.pages_4k, except->mapped_bytes >> SHIFT_4K);
	resident = sat_sub_u64(resident, except->resident_bytes);
	return c.source != KVM_SOURCE_NONE &&
	       is_at_least(mapped_bytes_of(&c), resident, KVM_FAIR_BP) &&
	       !is_at_least(huge_bytes_of(&c), mapped_bytes_of(&c), KVM_LOW_BP);
}

static bool has_two_samples(const struct snapshot *s)
{
	return s->kvm_before.source != KVM_SOURCE_NONE &&
	       sat_sub_u64(s->kvm.read_ns, s->kvm_before.read_ns) >= KVM_SAMPLES_APART_NS;
}

/* By the last sample: the one before has to bear it out. */
static bool seems_small(const struct snapshot *s, const struct totals *t,
			const struct forever_small *except)
{
	return t->resident_bytes > 0 &&
	       is_at_least(t->huge_bytes, t->resident_bytes, HOST_HIGH_BP) &&
	       is_small(s->kvm, t->resident_bytes, except);
}

static void add_finding(struct kvm_view *v, enum reason reason, uint64_t bytes, bool is_inferred)
{
	v->findings[v->n_findings++] = (struct kvm_finding){reason, bytes, is_inferred};
}

static void find_in_slots(const struct slots_view *slots, const struct totals *t,
			  struct kvm_view *v)
{
	if (slots->not_congruent_bytes > 0)
		add_finding(v, REASON_SLOT_NOT_CONGRUENT, slots->not_congruent_bytes,
			    slots->is_inferred);
	if (slots->head_tail_bytes > 0 &&
	    is_at_least(slots->head_tail_bytes, t->resident_bytes, EDGES_NOTICEABLE_BP))
		add_finding(v, REASON_SLOT_HEAD_TAIL, slots->head_tail_bytes, slots->is_inferred);
}

/* Neither is inferred: the monitor tells nothing of guest_memfd, and a pin is known by /dev/sev. */
static void find_private(uint64_t private_bytes, uint64_t pinned_bytes, struct kvm_view *v)
{
	uint64_t bytes = sat_add_u64(private_bytes, pinned_bytes);

	if (bytes > 0)
		add_finding(v, REASON_SEV_OR_GUEST_MEMFD, bytes, false);
}

/* As it is where a log is on for life; that none was ever huge tells it from what is left over. */
static bool may_be_logged_for_life(const struct snapshot *s)
{
	return vmm_kind_of(&s->vm) == VMM_FIRECRACKER &&
	       s->vm.is_logged_for_life == ANSWER_UNKNOWN && !s->are_memslots_known &&
	       huge_bytes_of(&s->kvm) == 0 && huge_bytes_of(&s->kvm_before) == 0;
}

/* Inferred is then how much of it memslots do not explain. */
static void find_small_for_long(const struct snapshot *s, uint64_t bytes, bool is_inferred,
				struct kvm_view *v)
{
	if (!has_two_samples(s))
		v->lacks_sample = true;
	else if (v->is_small_for_long)
		add_finding(v,
			    may_be_logged_for_life(s) ? REASON_DIRTY_LOGGING_SUSPECTED
						      : REASON_KVM_SMALL_UNDER_HUGE_HOST,
			    bytes, is_inferred);
}

static void find(const struct snapshot *s, const struct totals *t, const struct slots_view *slots,
		 struct kvm_view *v)
{
	const uint64_t pinned = pinned_small_bytes(s, t);
	const struct forever_small except = forever_small_of(slots, pinned);
	uint64_t small = v->mapped_bytes - v->huge_bytes,
		 split = min_u64(bytes_of(s->kvm.nx_splits, SHIFT_2M), small);
	bool is_split = split > 0 && is_at_least(split, t->resident_bytes, NX_NOTICEABLE_BP),
	     is_small_now = seems_small(s, t, &except);
	uint64_t unexplained;

	v->explained_bytes = except.mapped_bytes;
	v->curable_bytes = sat_sub_u64(small, except.mapped_bytes);
	v->is_small_for_long = is_small_now && has_two_samples(s) &&
			       is_small(s->kvm_before, t->resident_bytes, &except);
	unexplained = sat_sub_u64(v->curable_bytes, is_split ? split : 0);
	if (is_split)
		add_finding(v, REASON_NX_SPLIT, split, false);
	/* While a log is on, small pages are what it is made of. */
	if (s->vm.is_logged_for_life == ANSWER_YES)
		add_finding(v, REASON_DIRTY_LOGGING_FOR_LIFE,
			    v->is_known ? small : t->resident_bytes, false);
	else if (s->is_migrating == ANSWER_YES)
		add_finding(v, REASON_DIRTY_LOGGING_ON, small, false);
	else if (unexplained > 0 && is_small_now)
		find_small_for_long(s, unexplained, slots->is_inferred && v->explained_bytes > 0,
				    v);
	find_in_slots(slots, t, v);
	find_private(slots->private_bytes,
		     is_at_least(pinned, t->resident_bytes, EDGES_NOTICEABLE_BP) ? pinned : 0, v);
}

struct kvm_view kvm_view_of(const struct snapshot *s, const struct totals *totals)
{
	struct kvm_view v = {.is_known = s->kvm.source != KVM_SOURCE_NONE};
	struct slots_view slots = {0};

	if (v.is_known) {
		v.mapped_bytes = mapped_bytes_of(&s->kvm);
		v.huge_bytes = huge_bytes_of(&s->kvm);
	}
	v.coverage_bp = share_bp(v.huge_bytes, v.mapped_bytes);
	(void)slots_view_of(s, &slots);
	find(s, totals, &slots, &v);
	return v;
}

bool kvm_view_has(const struct kvm_view *view, enum reason finding)
{
	for (size_t i = 0; i < view->n_findings; i++)
		if (view->findings[i].reason == finding)
			return true;
	return false;
}

void kvm_view_take(struct snapshot *s, const struct kvm_counts *counts)
{
	bool is_known = counts->source != KVM_SOURCE_NONE;

	s->kvm_before = is_known ? s->kvm : (struct kvm_counts){.source = KVM_SOURCE_NONE};
	s->kvm = *counts;
}
