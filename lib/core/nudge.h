/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a VM is nudged: a dirty log of its memslots is switched on and off, upon which KVM maps
 * anew what it maps by small pages. Only the VMM can: by the library inside it, which is cheap; or,
 * where there is none and the policy allows it, a QEMU that is told to measure its guest's dirty
 * rate, which takes all of its memory apart first. Pure. */

#include "kvm_view.h"
#include "snapshot.h"

enum nudge_means {
	NUDGE_BY_LIBRARY = 0,
	NUDGE_BY_DIRTY_RATE,
	NUDGE_MEANS_MAX,
};

const char *nudge_means_name(enum nudge_means means); /* "vmm", "qmp/calc-dirty-rate" */

/* By which of them a VM would be nudged. With a library, or once there was one, never by QEMU. */
enum nudge_means nudge_means_of(const struct policy *p, bool has_library);

/* What KVM mapped before a nudge, and when it had been given time, after it. */
struct nudge_verdict {
	bool is_known; /* there is a sample from after it that says something */
	bool is_vain;  /* less than a tenth of what was small is huge now */
	/* By small pages that could be huge, and by huge ones. */
	uint64_t small_before_bytes, huge_before_bytes;
	uint64_t small_after_bytes, huge_after_bytes;
	uint64_t explained_before_bytes; /* what memslots explained, which is in neither */
};

/* What is remembered of one VM. */
struct nudge_history {
	bool is_wished;	 /* an operator asks, until it is done */
	bool has_nudged; /* once; the rest is of the last time */
	uint64_t nudged_ns;
	uint64_t not_before_ns; /* it came to nothing, and is not tried again before, but on request
				 */
	bool awaits_verdict;
	struct nudge_verdict verdict;
};

#define NUDGE_HISTORY_INIT \
	{                  \
		0          \
	}

/* Why this VM is not nudged now, or none: it may be, and it would help, or an operator wishes it. A
 * wish does without the policy's leave, evidence and whatever came before, but for a measuring by
 * QEMU a short time ago; never without the guards: mode and pause, no userfaultfd, no migration. By
 * the library: no log on its RAM, and a VMM that tells its memslots. By QEMU: a monitor, no device
 * of the host; and what the monitor says then (nudge_qemu.h). `view` is of the snapshot. */
enum reason nudge_held(const struct nudge_history *h, const struct snapshot *s,
		       const struct kvm_view *view, enum nudge_means means, uint64_t now_ns);

/* What becomes s->nudge_held: why what came of nudges so far speaks against another, or none. */
enum reason nudge_held_by_history(const struct nudge_history *h, enum nudge_means means,
				  uint64_t now_ns);

/* The same as nudge_held() by what the snapshot says of the history, for whom there is no other.
 * Nobody wishes anything. */
enum reason nudge_held_in(const struct snapshot *s, const struct kvm_view *view);

/* It was nudged, as of now; `before`: what KVM mapped right before, if it is known. The wish is
 * fulfilled. */
void nudge_note(struct nudge_history *h, const struct kvm_view *before, uint64_t now_ns);

/* QEMU was not told, or refused: on evidence it is not tried again for ten minutes, or a day. */
void nudge_put_off(struct nudge_history *h, bool is_refused, uint64_t now_ns);

/* Learns from a new sample of KVM's counts. True: there is a verdict on the last nudge now. */
bool nudge_observe(struct nudge_history *h, const struct snapshot *s, const struct kvm_view *view);

/* Something was done to the memory: what a nudge did before says nothing any more. */
void nudge_forget(struct nudge_history *h);
