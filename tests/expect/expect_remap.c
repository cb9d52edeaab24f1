/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1 rows 1 to 3, 2.2: a PMD-order shmem folio is mapped by its PMD in place: no data
 * moves, the PFN stays, and pins do not matter. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

static void pinned(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	int64_t pfn;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_pte_mapped, 0, 1, 0),
			   "make PTE-mapped");
	pfn = expect_pfn(&vmm, 0);
	if (expect_run_blocks(&vmm, expect_pin, 0, 1, 0) < 0) {
		for (int i = 0; i < 3; i++)
			expect_skip(t, "io_uring is disabled", "pinned PTE-mapped PMD-order folio");
		expect_target_stop(&vmm);
		return;
	}
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "pinned PTE-mapped PMD-order folio");
	expect_is(t, expect_is_huge(&vmm, 0), 1, "PMD-mapped under the pin");
	expect_is(t, expect_pfn(&vmm, 0), pfn, "the pinned page did not move");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(12);
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	int64_t pfn;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_collapse_blocks(&vmm, 0, 1), "collapse");
	pfn = expect_pfn(&vmm, 0);
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "PMD-mapped already: success");
	expect_is(&t, expect_pfn(&vmm, 0), pfn, "and nothing moved");

	(void)expect_setup(expect_run_blocks(&vmm, expect_make_pte_mapped, 0, 1, 0),
			   "make PTE-mapped");
	expect_is(&t, expect_is_huge(&vmm, 0), 0, "PTE-mapped now, same folio");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "PTE-mapped PMD-order folio");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "PMD-mapped");
	expect_is(&t, expect_pfn(&vmm, 0), pfn, "the PFN is the same");
	expect_is(&t, expect_run_blocks(&vmm, expect_check, 0, 1, 1), 0, "contents are the same");

	(void)expect_setup(expect_run_blocks(&vmm, expect_madvise, 0, 1, MADV_DONTNEED), "zap");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "huge folio, nothing mapped");
	expect_is(&t, expect_is_huge(&vmm, 0) == 1 && expect_pfn(&vmm, 0) == pfn, 1,
		  "the PMD is installed, same PFN");
	expect_target_stop(&vmm);
	pinned(&t);
	return expect_end(&t);
}
