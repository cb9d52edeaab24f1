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
	uint64_t bytes; /* that KVM maps by small pages for this reason; nx-split: at most */
};

enum { KVM_FINDINGS_MAX = 2 };

struct kvm_view {
	bool is_known;	       /* else the sums below are 0 */
	uint64_t mapped_bytes; /* memory that both SMM and a guest's own guests map counts twice */
	uint64_t huge_bytes;   /* by 2 MiB and 1 GiB */
	uint16_t coverage_bp;  /* of mapped_bytes; rounded down; 0 of nothing */
	size_t n_findings;
	struct kvm_finding findings[KVM_FINDINGS_MAX];
};

/* `totals` is the diagnosis of the same snapshot. */
struct kvm_view kvm_view_of(const struct snapshot *s, const struct totals *totals);

/* Takes a new sample; the one that the snapshot had is the one before. Source none: none of them
 * counts any more, and nothing is known. */
void kvm_view_take(struct snapshot *s, const struct kvm_counts *counts);
