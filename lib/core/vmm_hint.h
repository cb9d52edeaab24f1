/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What thpd does not know of a VM, or cannot do for it, because nobody asks its VMM; and which way
 * there is to it for this kind of VMM. Pure. */

#include "kvm_view.h"
#include "reason.h"
#include "snapshot.h"

struct vmm_hint {
	enum reason reason; /* that says which way there is; none: nothing lacks */
	bool lacks_counts;  /* what KVM maps */
	bool lacks_nodes;   /* which memory is of which node of the guest */
	bool lacks_nudge;   /* KVM maps small under a huge host, and cannot be nudged */
};

/* Why no library tells this VM's memslots, so that it is not nudged by one: by its kind of VMM. For
 * a VM whose memslots are not told (are_memslots_known). */
enum reason vmm_silence(const struct vm *vm);

/* `view` is of the snapshot; is_uncounted: everybody who could tell what KVM maps was asked, and
 * nobody knew. */
struct vmm_hint vmm_hint_of(const struct snapshot *s, const struct kvm_view *view,
			    bool is_uncounted);
