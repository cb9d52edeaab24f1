/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which program runs a VM: what can be asked of it, and what cannot, differs. By the names that
 * everybody gives these programs; a process can call itself what it likes, so that nothing may
 * follow from it but what thpd says of that process, and what it does not do for it. */

#include "vm.h"

enum vmm_kind {
	VMM_OTHER = 0,
	VMM_QEMU,
	VMM_CLOUD_HYPERVISOR,
	VMM_FIRECRACKER,
	VMM_CROSVM,
	VMM_KIND_MAX,
};

const char *vmm_kind_name(enum vmm_kind kind); /* "other", "qemu", "cloud-hypervisor", ... */

/* By the name of a program, or the 15 bytes that the kernel keeps of it. */
enum vmm_kind vmm_kind_of_program(const char *name);

/* By the program that it executes, else by what it calls itself. */
enum vmm_kind vmm_kind_of(const struct vm *vm);
