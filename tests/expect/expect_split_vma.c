/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 7.1 "A split shared-file PMD yields nothing until touched": after mprotect of one page
 * the whole block is gone from the page table, though every page is in the page cache. "Not
 * present" is not "not there". An anonymous block keeps its pages as 512 entries. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

static int64_t protect_page(const uint64_t arg[4])
{
	return mprotect((void *)(uintptr_t)arg[0], memstate_page_bytes(), PROT_READ) < 0 ? -errno
											 : 0;
}

int main(void)
{
	expect t = expect_begin(5);
	const int64_t pages = (int64_t)(memstate_block_bytes() / memstate_page_bytes());
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	expect_target anon = expect_target_holding(EXPECT_ANON, 1, 0);

	expect_target_fill(&vmm);
	expect_target_fill(&anon);
	(void)expect_setup(expect_collapse_blocks(&vmm, 0, 1), "collapse");
	(void)expect_setup(expect_collapse_blocks(&anon, 0, 1), "collapse");
	(void)expect_setup(expect_run_blocks(&vmm, protect_page, 0, 1, 0), "mprotect");
	(void)expect_setup(expect_run_blocks(&anon, protect_page, 0, 1, 0), "mprotect");
	expect_is(&t, expect_count_present(&vmm, 0, 1), 0, "memfd: nothing is present");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -EINVAL,
		  "memfd: no VMA holds the whole block");
	(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 1, 0), "read");
	expect_is(&t, expect_count_present(&vmm, 0, 1), pages, "memfd: all there when touched");
	expect_is(&t, memstate_is_huge_folio(vmm.pid, vmm.addr), 1,
		  "memfd: still one PMD-order folio");
	expect_is(&t, expect_count_present(&anon, 0, 1), pages, "anon: all present as PTEs");
	expect_target_stop(&vmm);
	expect_target_stop(&anon);
	return expect_end(&t);
}
