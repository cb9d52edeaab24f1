/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1: an anonymous THP that is PTE-mapped has no way in place: it is copied to a new
 * folio, the PFN changes, and a pin stops it. The man page says otherwise. */
#include "expect.h"

#include <errno.h>

int main(void)
{
	expect t = expect_begin(6);
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_ANON, 2, 0);
	int64_t pfn, ring;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 2, 0), "make huge");
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_pte_mapped, 0, 2, 0),
			   "make PTE-mapped");
	expect_is(&t, memstate_is_huge_folio(vmm.pid, vmm.addr), 1,
		  "one PMD-order folio, PTE-mapped");
	pfn = expect_pfn(&vmm, 0);
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "anonymous PTE-mapped THP");
	expect_ok(&t, expect_pfn(&vmm, 0) != pfn, "copied: the PFN is another");
	expect_is(&t, expect_run_blocks(&vmm, expect_check, 0, 1, 1), 0, "contents are the same");

	ring = expect_run_blocks(&vmm, expect_pin, 1, 1, 0);
	if (ring < 0)
		return expect_skip_rest(&t, "io_uring is disabled");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), -EAGAIN, "the same, pinned");
	expect_is(&t, expect_is_huge(&vmm, 1), 0, "stays PTE-mapped");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
