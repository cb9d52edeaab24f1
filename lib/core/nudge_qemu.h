/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether QEMU may be told to log the dirty pages of its guest for a moment, in place of a nudge by
 * the library, which is not there: what its monitor says right before. What else has to be so is
 * nudge.h's. Pure. */

#include "kvm_counts.h"
#include "qemu_state.h"
#include "reason.h"

/* All of its memory is taken apart each time: on evidence not twice within a day, and on request
 * not sooner than the verdict on the last time is there. */
#define DIRTY_RATE_INTERVAL_NS	   (UINT64_C(86400) * 1000000000)
#define DIRTY_RATE_WISHED_AFTER_NS (UINT64_C(600) * 1000000000)

/* Why not, or none. `counts`: of what KVM maps, as of now: what comes of it is measured or it is
 * not done. */
enum reason nudge_qemu_held(const struct qemu_state *q, const struct kvm_counts *counts,
			    bool is_wished);
