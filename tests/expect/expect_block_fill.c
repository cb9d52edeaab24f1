/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.4 and finding 4 of 0.1: collapse fills every hole, one page is enough, max_ptes_none
 * does not matter; a block of the zero page becomes real memory; an empty anonymous block is
 * refused. */
#include "expect.h"

#include <errno.h>
#include <sys/prctl.h>

static void one_page(expect *t, enum expect_kind kind, const char *name)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(kind, 1, 0);

	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, (uint64_t)(uintptr_t)vmm.addr, page),
			   "fill");
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "%s: one page of the block", name);
	expect_is(t, memstate_smaps_kb(vmm.pid, vmm.addr, "Rss"), (int64_t)block / 1024,
		  "%s: all of it is resident", name);
	expect_is(t, expect_is_huge(&vmm, 0), 1, "%s: PMD-mapped", name);
	expect_target_stop(&vmm);
}

static void anon_nothing(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_ANON, 3, 0);

	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 0, 1, 0), "fill");
	/* no huge zero page, whatever transparent_hugepage/enabled says */
	(void)expect_setup(EXPECT_RUN(&vmm, expect_prctl, PR_SET_THP_DISABLE, 1), "THP off");
	(void)expect_setup(expect_run_blocks(&vmm, expect_read, 1, 1, 0), "read");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_prctl, PR_SET_THP_DISABLE, 0), "THP on");
	expect_is(t, memstate_smaps_kb(vmm.pid, vmm.addr, "Rss"), (int64_t)block / 1024,
		  "anon: a block only read is the zero page and not resident");
	expect_is(t, expect_collapse_blocks(&vmm, 1, 1), (int64_t)block,
		  "anon: block of zero pages");
	expect_is(t, memstate_smaps_kb(vmm.pid, vmm.addr, "Rss"), (int64_t)block * 2 / 1024,
		  "anon: it is real memory now");
	expect_is(t, expect_collapse_blocks(&vmm, 2, 1), -EINVAL,
		  "anon: empty block, VMA has an anon_vma");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(10);

	one_page(&t, EXPECT_MEMFD, "memfd");
	one_page(&t, EXPECT_ANON, "anon");
	anon_nothing(&t);
	return expect_end(&t);
}
