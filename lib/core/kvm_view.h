/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM maps of a VM, beside what the host maps: how much of it by huge pages, and what is wrong
 * where the two differ. Pure. */

#include "run.h"
#include "snapshot.h"

/* Two samples that are judged together are this far apart at least: after a collapse KVM's entries
 * are gone, and come back as the guest touches its memory (KERNEL.md 5.5). */
#define KVM_SAMPLES_APART_NS (UINT64_C(10) * 1000000000)

struct kvm_finding {
	enum reason reason;
	/* That KVM maps by small pages for this reason; nx-split: at most. Of what memslots explain
	 * (slots_view.h): what is resident, whether KVM maps it already or not. */
	uint64_t bytes;
};

/* nx-split, one of dirty-logging-on and kvm-small-under-huge-host, and three of memslots. */
enum { KVM_FINDINGS_MAX = 5 };

struct kvm_view {
	bool is_known;	       /* else the sums below are 0 */
	uint64_t mapped_bytes; /* memory that both SMM and a guest's own guests map counts twice */
	uint64_t huge_bytes;   /* by 2 MiB and 1 GiB */
	/* By small pages, and neither memslots nor nx-split explain it. */
	uint64_t unexplained_bytes;
	uint16_t coverage_bp; /* of mapped_bytes; rounded down; 0 of nothing */
	size_t n_findings;
	struct kvm_finding findings[KVM_FINDINGS_MAX];
};

/* `totals` is the diagnosis of the same snapshot. Without the memory to sort its memslots by it is
 * as if nobody had told them. */
struct kvm_view kvm_view_of(const struct snapshot *s, const struct totals *totals);

/* Takes a new sample; the one that the snapshot had is the one before. Source none: none of them
 * counts any more, and nothing is known. */
void kvm_view_take(struct snapshot *s, const struct kvm_counts *counts);
