/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1: shmem of small folios is copied into a new folio, mlock is no obstacle, and holes
 * are filled and charged. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

static int64_t lock_memory(const uint64_t arg[4])
{
	return mlock((void *)(uintptr_t)arg[0], arg[1]) < 0 ? -errno : 0;
}

int main(void)
{
	expect t = expect_begin(8);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 3, 0);
	int64_t pfn;

	expect_target_fill(&vmm);
	pfn = expect_pfn(&vmm, 0);
	expect_is(&t, memstate_is_huge_folio(vmm.pid, expect_block(&vmm, 0)), 0,
		  "small folios at first");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block, "small folios");
	expect_ok(&t, expect_pfn(&vmm, 0) != pfn, "data moved to another PFN");
	expect_is(&t, memstate_is_huge_folio(vmm.pid, expect_block(&vmm, 0)), 1,
		  "one PMD-order folio");
	expect_is(&t, EXPECT_RUN(&vmm, expect_check, (uint64_t)(uintptr_t)vmm.addr, vmm.bytes, 1),
		  0, "contents are the same");

	(void)expect_setup(expect_run_blocks(&vmm, lock_memory, 1, 1, 0), "mlock");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), (int64_t)block, "mlocked");

	(void)expect_setup(EXPECT_RUN(&vmm, expect_madvise,
				      (uint64_t)(uintptr_t)expect_block(&vmm, 2), block / 2,
				      MADV_REMOVE),
			   "punch half a block");
	expect_is(&t, expect_collapse_blocks(&vmm, 2, 1), (int64_t)block,
		  "half of the block is a hole");
	expect_is(&t, expect_count_present(&vmm, 2, 1), (int64_t)(block / page),
		  "the hole was filled");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
