/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kvm_counts.h"

#include "bits.h"
#include "names.h"

const char *kvm_source_name(enum kvm_source source)
{
	static const char *const names[KVM_SOURCE_MAX] = {
		[KVM_SOURCE_NONE] = "none",
		[KVM_SOURCE_VMM] = "vmm",
		[KVM_SOURCE_QMP] = "qmp",
		[KVM_SOURCE_DEBUGFS] = "debugfs",
	};

	return name_of(names, ARRAY_SIZE(names), source);
}
