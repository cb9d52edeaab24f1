/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which program runs a VM, by the names it goes by. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bits.h"
#include "vmm.h"

static void programs_are_known_by_their_names(void **state)
{
	static const struct {
		const char *exe, *comm;
		enum vmm_kind kind;
	} cases[] = {
		{"/usr/bin/qemu-system-x86_64", "guest", VMM_QEMU},
		{"/usr/libexec/qemu-kvm", "", VMM_QEMU},
		{"/usr/bin/cloud-hypervisor-static (deleted)", "vmm", VMM_CLOUD_HYPERVISOR},
		{"/firecracker-v1.7.0-x86_64", "x", VMM_FIRECRACKER},
		{"/usr/bin/crosvm", "x", VMM_CROSVM},
		/* The kernel cuts a comm to 15 bytes. */
		{"", "cloud-hyperviso", VMM_CLOUD_HYPERVISOR},
		{"/usr/bin/jailed", "firecracker", VMM_FIRECRACKER},
		/* The program says more than what it calls itself. */
		{"/usr/bin/qemu-system-x86_64", "firecracker", VMM_QEMU},
		{"/opt/firecracker/run", "run", VMM_OTHER},
		{"/usr/bin/qemu-img", "qemu-img", VMM_OTHER},
		{"firecracker", "", VMM_FIRECRACKER},
		{"/", "", VMM_OTHER},
		{"", "", VMM_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm vm = {.pid = 1};

		strcpy(vm.exe, cases[i].exe);
		strcpy(vm.comm, cases[i].comm);
		assert_string_equal(vmm_kind_name(vmm_kind_of(&vm)), vmm_kind_name(cases[i].kind));
	}
	assert_string_equal(vmm_kind_name(VMM_OTHER), "other");
	assert_string_equal(vmm_kind_name(VMM_KIND_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
