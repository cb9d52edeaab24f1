/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm.h"

#include <assert.h>
#include <string.h>

#include "bits.h"
#include "names.h"

static const char *const names[] = {
	[VMM_OTHER] = "other",
	[VMM_QEMU] = "qemu",
	[VMM_CLOUD_HYPERVISOR] = "cloud-hypervisor",
	[VMM_FIRECRACKER] = "firecracker",
	[VMM_CROSVM] = "crosvm",
};

static_assert(ARRAY_SIZE(names) == VMM_KIND_MAX, "every kind of VMM has a name");

const char *vmm_kind_name(enum vmm_kind kind)
{
	return name_of(names, ARRAY_SIZE(names), kind);
}

/* Beginnings: versions are often part of a name, and the kernel cuts a comm to 15 bytes. */
enum vmm_kind vmm_kind_of_program(const char *name)
{
	static const struct {
		const char *prefix;
		enum vmm_kind kind;
	} programs[] = {
		{"qemu-system-", VMM_QEMU},
		{"qemu-kvm", VMM_QEMU},
		{"cloud-hyperviso", VMM_CLOUD_HYPERVISOR},
		{"firecracker", VMM_FIRECRACKER},
		{"crosvm", VMM_CROSVM},
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (strncmp(name, programs[i].prefix, strlen(programs[i].prefix)) == 0)
			return programs[i].kind;
	return VMM_OTHER;
}

enum vmm_kind vmm_kind_of(const struct vm *vm)
{
	const char *slash = strrchr(vm->exe, '/');
	enum vmm_kind kind = vmm_kind_of_program(slash ? slash + 1 : vm->exe);

	return kind == VMM_OTHER ? vmm_kind_of_program(vm->comm) : kind;
}
