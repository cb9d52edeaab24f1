/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.3, 7.4: THPeligible of smaps answers for page faults. It is 0 for a memfd on a host
 * with shmem_enabled=never while collapse works: no predictor. */
#include "expect.h"

int main(void)
{
	expect t = expect_begin(2);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);

	expect_target_fill(&vmm);
	if (memstate_smaps_kb(vmm.pid, vmm.addr, "THPeligible") != 0) {
		expect_target_stop(&vmm);
		return expect_skip_rest(&t, "shmem_enabled lets faults be huge on this host");
	}
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)vmm.bytes,
		  "THPeligible is 0: collapse");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "PMD-mapped");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
