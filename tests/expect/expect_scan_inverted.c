/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 0.2 (a), 7.1: PAGEMAP_SCAN for present and not HUGE, one page at most, runs over
 * everything that is huge or empty and stops at the first page that is neither. walk_end says where
 * to go on. */
#include "expect.h"

#include <errno.h>

static memstate_scan first_not_huge(const expect_target *vmm, uint64_t from)
{
	memstate_scan scan = {
		.start = (uint64_t)(uintptr_t)expect_block(vmm, from),
		.end = (uint64_t)(uintptr_t)vmm->addr + vmm->bytes,
		.inverted = MEMSTATE_HUGE,
		.mask = MEMSTATE_PRESENT | MEMSTATE_HUGE,
		.max_pages = 1,
	};

	(void)expect_setup(memstate_scan_pages(vmm->pid, &scan), "PAGEMAP_SCAN");
	return scan;
}

static uint64_t address(const expect_target *vmm, uint64_t index)
{
	return (uint64_t)(uintptr_t)expect_block(vmm, index);
}

int main(void)
{
	expect t = expect_begin(6);
	const uint64_t page = memstate_page_bytes();
	expect_target vmm;
	memstate_scan scan;

	if (!expect_has_scan())
		return expect_skip_rest(&t, "kernel < 6.7: no PAGEMAP_SCAN");
	/* huge, huge, empty, small from its third page on, huge */
	vmm = expect_target_holding(EXPECT_MEMFD, 5, 0);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 2, 0), "make huge");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, address(&vmm, 3) + 2 * page, 8 * page),
			   "fill");
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 4, 1, 0), "make huge");

	scan = first_not_huge(&vmm, 0);
	expect_is(&t, (int64_t)scan.pages, 1, "one page is reported");
	expect_is(&t, (int64_t)scan.first, (int64_t)(address(&vmm, 3) + 2 * page),
		  "the first that is present and not huge; huge and empty blocks are passed over");
	expect_is(&t, (int64_t)scan.walk_end, (int64_t)(address(&vmm, 3) + 3 * page),
		  "walk_end is the end of that page");
	scan = first_not_huge(&vmm, 4);
	expect_is(&t, (int64_t)scan.pages, 0, "from the next block on: nothing");
	expect_is(&t, (int64_t)scan.walk_end, (int64_t)scan.end,
		  "walk_end is the end of the range");

	scan = (memstate_scan){.start = 0, .end = page, .mask = UINT64_C(1) << 40};
	expect_is(&t, memstate_scan_pages(vmm.pid, &scan), -EINVAL, "unknown category");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
