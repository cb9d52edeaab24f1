/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 0.5, 2.1: how PTE-mapped PMD-order folios come about, and how they do not. The ways
 * that work are what the other tiers use for want of a QEMU snapshot; memstate.c has their cost. */
#include "expect.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* what QEMU's background snapshot does: protect all, let go page by page, unregister */
static int64_t snapshot(const uint64_t arg[4])
{
	const int64_t uffd =
		expect_arm_uffd((const uint64_t[4]){arg[0], arg[1], UFFDIO_REGISTER_MODE_WP});
	struct uffdio_writeprotect wp = {{arg[0], arg[1]}, UFFDIO_WRITEPROTECT_MODE_WP};
	int r;

	if (uffd < 0)
		return uffd;
	r = ioctl((int)uffd, UFFDIO_WRITEPROTECT, &wp);
	wp.mode = 0;
	wp.range.len = memstate_page_bytes();
	for (; r == 0 && wp.range.start < arg[0] + arg[1]; wp.range.start += wp.range.len)
		r = ioctl((int)uffd, UFFDIO_WRITEPROTECT, &wp);
	wp.range = (struct uffdio_range){arg[0], arg[1]};
	if (r == 0)
		r = ioctl((int)uffd, UFFDIO_UNREGISTER, &wp.range);
	return r < 0 ? -errno : expect_unpin((const uint64_t[4]){(uint64_t)uffd});
}

static void mprotect_way(expect *t, enum expect_kind kind, const char *name)
{
	expect_target vmm = expect_target_holding(kind, 4, 0);
	int64_t pfn;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 4, 0), "make huge");
	pfn = expect_pfn(&vmm, 2);
	expect_is(t, expect_run_blocks(&vmm, expect_make_pte_mapped, 1, 2, 0), 0,
		  "%s: memstate_make_pte_mapped on the middle blocks", name);
	expect_is(t, expect_is_huge(&vmm, 0) + expect_is_huge(&vmm, 3), 2,
		  "%s: neighbours stay huge", name);
	expect_is(t, expect_is_huge(&vmm, 1) + expect_is_huge(&vmm, 2), 0, "%s: these are not",
		  name);
	expect_is(t, expect_pfn(&vmm, 2), pfn, "%s: same PFN", name);
	expect_is(t, memstate_is_huge_folio(vmm.pid, expect_block(&vmm, 2)), 1,
		  "%s: folio not split", name);
	expect_is(t, EXPECT_RUN(&vmm, expect_check, (uint64_t)(uintptr_t)vmm.addr, vmm.bytes, 1), 0,
		  "%s: contents are the same", name);
	expect_target_stop(&vmm);
}

static void snapshot_way(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	if (expect_run_blocks(&vmm, snapshot, 0, 1, 0) < 0) {
		expect_skip(t, "no uffd-wp for shmem", "uffd-wp page by page");
		expect_skip(t, "no uffd-wp for shmem", "uffd-wp page by page");
	} else {
		(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 1, 0), "read");
		expect_is(t, expect_is_huge(&vmm, 0), 0,
			  "uffd-wp page by page: PTE-mapped afterwards");
		expect_is(t, memstate_is_huge_folio(vmm.pid, vmm.addr), 1,
			  "uffd-wp: folio not split");
	}
	expect_target_stop(&vmm);
}

/* since 6.6 a fault on a huge folio maps its PMD at once */
static void zap_is_no_way(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 2, 0);

	if (expect_kernel_before(6, 6)) {
		expect_skip(t, "kernel < 6.6: faults may stay PTE", "MADV_DONTNEED of the block");
		expect_skip(t, "kernel < 6.6: faults may stay PTE", "MADV_DONTNEED of one page");
		expect_target_stop(&vmm);
		return;
	}
	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 2, 0), "make huge");
	(void)expect_setup(expect_run_blocks(&vmm, expect_madvise, 0, 1, MADV_DONTNEED), "zap");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_madvise,
				      (uint64_t)(uintptr_t)expect_block(&vmm, 1),
				      memstate_page_bytes(), MADV_DONTNEED),
			   "zap one page");
	(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 2, 0), "read");
	expect_is(t, expect_is_huge(&vmm, 0), 1,
		  "MADV_DONTNEED of the block, touch: the PMD is back");
	expect_is(t, expect_is_huge(&vmm, 1), 1,
		  "MADV_DONTNEED of one page, touch: the PMD is back");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(16);

	mprotect_way(&t, EXPECT_MEMFD, "memfd");
	mprotect_way(&t, EXPECT_ANON, "anon");
	snapshot_way(&t);
	zap_is_no_way(&t);
	return expect_end(&t);
}
