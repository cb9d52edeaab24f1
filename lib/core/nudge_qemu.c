/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: each of these would leave the guest worse off than its small pages do. A
 * QEMU without KVM may end at once. One that does not run keeps the log on (QEMU ends it when it
 * runs again); a migration has a log of its own; a vhost backend or a device of the host may not
 * take a log, and QEMU aborts; a dirty ring takes none; and without KVM's counts, which only x86
 * has, nobody knows whether it helped, and on arm64 the small pages would stay. What is not known
 * is as bad as what is known to be so.
 */
#include "nudge_qemu.h"

#include <stdbool.h>

#include "bits.h"

static enum reason unless_no(enum answer answer, enum reason held)
{
	if (answer == ANSWER_NO)
		return REASON_NONE;
	return answer == ANSWER_YES ? held : REASON_MONITOR_UNCLEAR;
}

static enum reason unless_yes(enum answer answer, enum reason held)
{
	if (answer == ANSWER_YES)
		return REASON_NONE;
	return answer == ANSWER_NO ? held : REASON_MONITOR_UNCLEAR;
}

static enum reason held_by_state(const struct qemu_state *q)
{
	const struct {
		enum answer answer;
		enum reason held;
	} guards[] = {
		{q->has_vfio, REASON_VFIO_DEVICE},
		{q->has_vhost, REASON_VHOST_DEVICE},
		{q->has_dirty_ring, REASON_DIRTY_RING},
		{q->is_migrating, REASON_DIRTY_LOGGING_ON},
		{q->is_measuring, REASON_DIRTY_LOGGING_ON},
	};

	enum reason held = unless_yes(q->has_kvm, REASON_KVM_NOT_COUNTED);

	for (size_t i = 0; held == REASON_NONE && i < ARRAY_SIZE(guards); i++)
		held = unless_no(guards[i].answer, guards[i].held);
	if (held != REASON_NONE)
		return held;
	return unless_yes(q->is_running, REASON_VM_NOT_RUNNING);
}

enum reason nudge_qemu_held(const struct qemu_state *q, const struct kvm_counts *counts,
			    bool is_wished)
{
	enum reason held = held_by_state(q);
	uint64_t interval_ns = is_wished ? DIRTY_RATE_WISHED_AFTER_NS : DIRTY_RATE_INTERVAL_NS;

	if (held != REASON_NONE)
		return held;
	if (counts->source == KVM_SOURCE_NONE)
		return REASON_KVM_NOT_COUNTED;
	/* Whoever asked for it; also before thpd was started. */
	return q->measured_ago_ns < interval_ns ? REASON_MEASURED_LATELY : REASON_NONE;
}
