/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM maps of a VM, beside what the host maps: how much of it by huge pages, and what is wrong
 * where the two differ. Pure. */

#include "kvm_finding.h"
#include "run.h"
#include "snapshot.h"

/* Two samples that are judged together are this far apart at least: after a collapse KVM's entries
 * are gone, and come back as the guest touches its memory (KERNEL.md 5.5). */
#define KVM_SAMPLES_APART_NS (UINT64_C(10) * 1000000000)

/* `totals` is the diagnosis of the same snapshot. Without the memory to sort its memslots by it is
 * as if nobody had told them. */
struct kvm_view kvm_view_of(const struct snapshot *s, const struct totals *totals);

bool kvm_view_has(const struct kvm_view *view, enum reason finding);

/* Takes a new sample; the one that the snapshot had is the one before. Source none: none of them
 * counts any more, and nothing is known. */
void kvm_view_take(struct snapshot *s, const struct kvm_counts *counts);
