/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.7 "Other mappers": since 6.6 a collapse in one process takes away the page table of
 * the block in the others, and their next touch maps the PMD, whatever shmem_enabled says. A mapper
 * whose VMA is misaligned stays with PTEs and does not stand in the way. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

int main(void)
{
	expect t = expect_begin(6);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 2, 0);
	expect_target other = expect_target_start(), skewed = expect_target_start();
	uint64_t skewed_at;

	expect_target_fill(&vmm);
	expect_target_map_fd(&other, vmm.fd, vmm.bytes, 0, MAP_SHARED);
	expect_target_map_fd(&skewed, vmm.fd, vmm.bytes, page, MAP_SHARED);
	skewed_at = (uint64_t)(uintptr_t)skewed.addr;
	(void)expect_setup(expect_run_blocks(&other, expect_read, 0, 1, 0), "read");
	(void)expect_setup(EXPECT_RUN(&skewed, expect_read, skewed_at, block), "read");
	expect_is(&t, expect_is_huge(&other, 0), 0, "the other process maps by PTEs at first");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "collapse in one process");
	if (expect_kernel_before(6, 6))
		return expect_skip_rest(&t, "kernel < 6.6: other mappers wait for khugepaged");
	expect_is(&t, expect_count_present(&other, 0, 1), 0,
		  "nothing is mapped in the other any more");
	(void)expect_setup(EXPECT_RUN(&other, expect_read, (uint64_t)(uintptr_t)other.addr, page),
			   "touch");
	expect_is(&t, expect_is_huge(&other, 0), 1,
		  "one touch there maps the whole block by its PMD");
	(void)expect_setup(EXPECT_RUN(&skewed, expect_read, skewed_at, block), "read");
	expect_is(&t, memstate_smaps_kb(skewed.pid, skewed.addr, "ShmemPmdMapped"), 0,
		  "the misaligned mapper stays with PTEs");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "and takes nothing from the first");
	expect_target_stop(&skewed);
	expect_target_stop(&other);
	expect_target_stop(&vmm);
	return expect_end(&t);
}
