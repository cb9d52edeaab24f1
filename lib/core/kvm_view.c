/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: KVM maps huge only what the host maps huge, and never what it once mapped
 * small until that entry goes (KERNEL.md 3.2). So where most of a VM is huge on the host, and KVM
 * still has most of what it maps by small pages, something keeps it so. Shares are compared, not
 * bytes: KVM has entries of what the guest has touched only. */
#include "kvm_view.h"

#include "bits.h"

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

static bool is_small(const struct kvm_counts *c, uint64_t resident)
{
	return c->source != KVM_SOURCE_NONE &&
	       is_at_least(mapped_bytes_of(c), resident, KVM_FAIR_BP) &&
	       !is_at_least(huge_bytes_of(c), mapped_bytes_of(c), KVM_LOW_BP);
}

static bool is_small_for_long(const struct snapshot *s, const struct totals *t)
{
	return t->resident_bytes > 0 &&
	       is_at_least(t->huge_bytes, t->resident_bytes, HOST_HIGH_BP) &&
	       is_small(&s->kvm, t->resident_bytes) &&
	       is_small(&s->kvm_before, t->resident_bytes) &&
	       sat_sub_u64(s->kvm.read_ns, s->kvm_before.read_ns) >= KVM_SAMPLES_APART_NS;
}

static void add_finding(struct kvm_view *v, enum reason reason, uint64_t bytes)
{
	v->findings[v->n_findings++] = (struct kvm_finding){reason, bytes};
}

static void find(const struct snapshot *s, const struct totals *t, struct kvm_view *v)
{
	uint64_t small = v->mapped_bytes - v->huge_bytes,
		 split = min_u64(bytes_of(s->kvm.nx_splits, SHIFT_2M), small);
	bool is_split = split > 0 && is_at_least(split, t->resident_bytes, NX_NOTICEABLE_BP);

	if (is_split)
		add_finding(v, REASON_NX_SPLIT, split);
	/* While a log is on, small pages are what it is made of. */
	if (s->is_migrating == ANSWER_YES)
		add_finding(v, REASON_DIRTY_LOGGING_ON, small);
	else if (is_small_for_long(s, t) && (!is_split || split < small))
		add_finding(v, REASON_KVM_SMALL_UNDER_HUGE_HOST, is_split ? small - split : small);
}

struct kvm_view kvm_view_of(const struct snapshot *s, const struct totals *totals)
{
	struct kvm_view v = {.is_known = s->kvm.source != KVM_SOURCE_NONE};

	if (v.is_known) {
		v.mapped_bytes = mapped_bytes_of(&s->kvm);
		v.huge_bytes = huge_bytes_of(&s->kvm);
	}
	v.coverage_bp = share_bp(v.huge_bytes, v.mapped_bytes);
	find(s, totals, &v);
	return v;
}

void kvm_view_take(struct snapshot *s, const struct kvm_counts *counts)
{
	bool is_known = counts->source != KVM_SOURCE_NONE;

	s->kvm_before = is_known ? s->kvm : (struct kvm_counts){.source = KVM_SOURCE_NONE};
	s->kvm = *counts;
}
