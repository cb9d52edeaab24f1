/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run.h"
#include "snapshot.h"

/* Judges every block of the snapshot: state and reason, the sums, and what would have to be counted
 * to judge better. Pure. now_ns decides which holds still count. *ret is replaced. Returns 0 or
 * -ENOMEM.
 *
 * Precedence, first that applies: backing that is never touched; geometry (misaligned, too short);
 * whole-VMA bars (flags, eligibility, knobs, prctl, userfaultfd, KSM, private); state of the block;
 * holds; policy and pause. A huge block is huge whatever else is true. */
int diagnose(const struct snapshot *s, uint64_t now_ns, struct diagnosis *ret);
