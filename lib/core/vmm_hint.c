/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: the library inside the VMM is the way to everything. Who cannot load it, or
 * gains nothing by it, is told what else there is, and never what would not help. A QEMU of libvirt
 * has a monitor, but that serves one client, which is libvirt (KERNEL.md 6.2). Cloud Hypervisor and
 * Firecracker have nothing that switches a dirty log on and off, and do not ask KVM for logs that
 * protect nothing at first, without which the library does not switch them either (6.3, 6.4). */
#include "vmm_hint.h"

#include "vmm.h"

enum reason vmm_silence(const struct vm *vm)
{
	enum vmm_kind kind = vmm_kind_of(vm);

	if (kind == VMM_CLOUD_HYPERVISOR || kind == VMM_FIRECRACKER)
		return REASON_VMM_HAS_NO_WAY;
	if (vm->is_of_libvirt)
		return REASON_THROUGH_LIBVIRT;
	return vm->is_static == ANSWER_YES ? REASON_VMM_IS_STATIC : REASON_MEMSLOTS_NOT_TOLD;
}

/* A guest of one node has nothing to tell of nodes, and on a host with one nobody wants to know. */
static bool lacks_nodes(const struct snapshot *s)
{
	return s->host.n_nodes > 1 && s->policy.placement != PLACEMENT_OFF &&
	       s->vm.has_guest_nodes && s->n_guest_spans == 0;
}

static bool is_nudged_by_qemu(const struct snapshot *s)
{
	return s->policy.may_dirty_rate && s->policy.monitor[0] &&
	       vmm_silence(&s->vm) != REASON_VMM_HAS_NO_WAY;
}

struct vmm_hint vmm_hint_of(const struct snapshot *s, const struct kvm_view *view,
			    bool is_uncounted)
{
	bool wants_monitor = s->vm.is_of_libvirt && s->policy.monitor[0] == '\0';
	struct vmm_hint h = {
		.lacks_counts = wants_monitor && is_uncounted,
		.lacks_nodes = wants_monitor && lacks_nodes(s),
		.lacks_nudge = !s->are_memslots_known && !is_nudged_by_qemu(s) &&
			       kvm_view_has(view, REASON_KVM_SMALL_UNDER_HUGE_HOST),
	};

	if (h.lacks_counts || h.lacks_nodes)
		h.reason = REASON_THROUGH_LIBVIRT;
	else if (h.lacks_nudge)
		h.reason = vmm_silence(&s->vm);
	return h;
}
