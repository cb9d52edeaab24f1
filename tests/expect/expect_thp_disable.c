/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.1: MADV_NOHUGEPAGE and plain PR_SET_THP_DISABLE bar a forced collapse; with the flag
 * "except advised" (6.18+) they do not, not even where nothing was advised. All of it ends when it
 * is taken back. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { THP_DISABLE_EXCEPT_ADVISED = 1 << 1 };

int main(void)
{
	expect t = expect_begin(6);
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 4, 0);

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_madvise, 0, 4, MADV_NOHUGEPAGE),
			   "nohugepage");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -EINVAL, "MADV_NOHUGEPAGE");
	(void)expect_setup(expect_run_blocks(&vmm, expect_madvise, 0, 4, MADV_HUGEPAGE),
			   "hugepage");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "taken back by MADV_HUGEPAGE");

	(void)expect_setup(EXPECT_RUN(&vmm, expect_prctl, PR_SET_THP_DISABLE, 1), "prctl");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), -EINVAL,
		  "PR_SET_THP_DISABLE, in an advised VMA");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_prctl, PR_SET_THP_DISABLE, 0), "prctl");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), (int64_t)block, "taken back");
	expect_target_stop(&vmm);

	vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	expect_target_fill(&vmm);
	if (EXPECT_RUN(&vmm, expect_prctl, PR_SET_THP_DISABLE, 1, THP_DISABLE_EXCEPT_ADVISED) < 0)
		return expect_skip_rest(&t, "kernel < 6.18: no PR_THP_DISABLE_EXCEPT_ADVISED");
	expect_is(&t, memstate_has_vmflag(vmm.pid, vmm.addr, "hg"), 0, "VMA is not advised");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "PR_SET_THP_DISABLE except advised does not bar it");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
