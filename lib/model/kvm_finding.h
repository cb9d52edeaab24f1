/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The judgement on what KVM maps of a VM, beside what the host maps (lib/core/kvm_view.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

struct kvm_finding {
	enum reason reason;
	/* That KVM maps by small pages for this reason; nx-split: at most. Of what memslots explain
	 * (slots_view.h), of what is pinned (sev-or-guest-memfd: what of it is not huge on the
	 * host), and of a log for life where nobody counts: what is resident, whether KVM maps it
	 * already or not. */
	uint64_t bytes;
	bool is_inferred; /* it, or how much: from memslots that QEMU's monitor told */
};

/* nx-split, one of the dirty-logging ones and kvm-small-under-huge-host, two of memslots, and
 * sev-or-guest-memfd. */
enum { KVM_FINDINGS_MAX = 5 };

struct kvm_view {
	bool is_known;	       /* else the sums below are 0 */
	uint64_t mapped_bytes; /* memory that both SMM and a guest's own guests map counts twice */
	uint64_t huge_bytes;   /* by 2 MiB and 1 GiB */
	/* By small pages, and memslots do not explain it: with what is split for the guest's code,
	 * which stays split when the guest does not execute it any more. */
	uint64_t curable_bytes;
	uint64_t explained_bytes; /* by small pages, at most, which memslots and pins explain */
	/* It is most of what KVM maps, and has been for a while, of a VM that is huge on the host.
	 */
	bool is_small_for_long;
	uint16_t coverage_bp; /* of mapped_bytes; rounded down; 0 of nothing */
	/* By this sample alone there would be kvm-small-under-huge-host, which takes two. */
	bool lacks_sample;
	size_t n_findings;
	struct kvm_finding findings[KVM_FINDINGS_MAX];
};
