/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1 "shmem, large folio of other order" and 1.8 (7de856ffd007): copied since 6.12,
 * EINVAL before. Punching one page out of a huge folio leaves folios of several orders where the
 * kernel splits it no finer than it must; so no mTHP knob is touched. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

/* large, and not of PMD order: head or tail of a compound page somewhere in the upper half */
static bool has_large_folio(const expect_target *vmm)
{
	const uint64_t block = memstate_block_bytes();
	uint64_t pfn, flags = 0;

	if (memstate_first_pfn(vmm->pid, vmm->addr + block * 3 / 4, &pfn) < 0)
		return false;
	(void)expect_setup(memstate_pfn_flags(pfn, &flags), "kpageflags");
	return flags >> MEMSTATE_KPF_COMPOUND_HEAD & 3;
}

int main(void)
{
	expect t = expect_begin(3);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	(void)expect_setup(
		EXPECT_RUN(&vmm, expect_madvise, (uint64_t)(uintptr_t)vmm.addr, page, MADV_REMOVE),
		"punch a page");
	(void)expect_setup(
		EXPECT_RUN(&vmm, expect_read, (uint64_t)(uintptr_t)vmm.addr + page, block - page),
		"touch");
	if (!has_large_folio(&vmm))
		return expect_skip_rest(
			&t, "a punched folio is split to single pages here, no mTHP at hand");
	expect_is(&t, memstate_is_huge_folio(vmm.pid, vmm.addr + page), 0,
		  "not of PMD order any more");
	if (expect_kernel_before(6, 12))
		return expect_skip_rest(&t, "kernel < 6.12: EINVAL for other orders");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "folios of several orders");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "copied, PMD-mapped");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
