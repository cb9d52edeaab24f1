/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1 "anon with guard region", 7.1 bit 8: one guard page bars its block and no other; it
 * is seen by PAGEMAP_SCAN as GUARD (6.15+), and the VMA has the flag gu. */
#include "expect.h"

#include <errno.h>

enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };

static void seen(expect *t, const expect_target *vmm)
{
	memstate_scan scan = {
		.start = (uint64_t)(uintptr_t)vmm->addr,
		.end = (uint64_t)(uintptr_t)vmm->addr + vmm->bytes,
		.mask = MEMSTATE_GUARD,
		.returned = MEMSTATE_GUARD | MEMSTATE_SWAPPED | MEMSTATE_PRESENT,
	};
	const int r = memstate_scan_pages(vmm->pid, &scan);

	if (r == -EINVAL || r == -ENOTTY) {
		expect_skip(t, "PAGEMAP_SCAN does not know GUARD (kernel < 6.15)", "found by scan");
		expect_skip(t, "PAGEMAP_SCAN does not know GUARD (kernel < 6.15)", "categories");
		return;
	}
	(void)expect_setup(r, "scan");
	expect_is(t, scan.pages == 1 && scan.first == scan.start, 1, "found by scan");
	expect_is(t, (int64_t)scan.categories, MEMSTATE_GUARD | MEMSTATE_SWAPPED,
		  "categories: GUARD and SWAPPED, not PRESENT");
}

int main(void)
{
	expect t = expect_begin(7);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_ANON, 2, 0);
	const uint64_t start = (uint64_t)(uintptr_t)vmm.addr;
	int64_t r;

	expect_target_fill(&vmm);
	r = EXPECT_RUN(&vmm, expect_madvise, start, page, GUARD_INSTALL);
	if (r == -EINVAL)
		return expect_skip_rest(&t, "kernel < 6.13: no guard regions");
	(void)expect_setup(r, "MADV_GUARD_INSTALL");
	seen(&t, &vmm);
	if (memstate_has_vmflag(vmm.pid, vmm.addr, "gu") == 0 && expect_kernel_before(6, 19))
		expect_skip(&t, "kernel < 6.19: no VmFlags gu", "VmFlags has gu");
	else
		expect_is(&t, memstate_has_vmflag(vmm.pid, vmm.addr, "gu"), 1, "VmFlags has gu");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -EINVAL, "block with a guard page");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), (int64_t)block, "the block next to it");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_madvise, start, page, GUARD_REMOVE), "remove");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "after the guard is gone");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "PMD-mapped");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
