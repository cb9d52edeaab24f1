/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 7.1 "HUGE is not set for a PTE-mapped large folio", 7.3: page tables alone do not tell
 * a huge folio mapped by PTEs from small folios. kpageflags do, with one page: the page mapped in
 * the middle of the block is a compound tail, at head + 256, only if one folio spans the block. It
 * must be the PFN that the middle maps: head + 256 of a small folio belongs to somebody else. */
#include "expect.h"

#include <errno.h>

static bool is_middle_tail(const expect_target *vmm, uint64_t index)
{
	const uint64_t half = memstate_block_bytes() / 2;
	uint64_t pfn = 0, flags = 0;

	(void)expect_setup(memstate_first_pfn(vmm->pid, expect_block(vmm, index) + half, &pfn),
			   "PFN");
	(void)expect_setup(memstate_pfn_flags(pfn, &flags), "kpageflags");
	return flags >> MEMSTATE_KPF_COMPOUND_TAIL & 1;
}

static bool is_middle_contiguous(const expect_target *vmm, uint64_t index)
{
	const uint64_t half = memstate_block_bytes() / 2;
	uint64_t pfn = 0;

	(void)expect_setup(memstate_first_pfn(vmm->pid, expect_block(vmm, index) + half, &pfn),
			   "PFN");
	return pfn == (uint64_t)expect_pfn(vmm, index) + half / memstate_page_bytes();
}

static uint64_t categories(const expect_target *vmm, uint64_t index)
{
	memstate_scan scan = {
		.start = (uint64_t)(uintptr_t)expect_block(vmm, index),
		.end = (uint64_t)(uintptr_t)expect_block(vmm, index + 1),
		.mask = MEMSTATE_PRESENT,
		.returned = MEMSTATE_PRESENT | MEMSTATE_HUGE | MEMSTATE_FILE,
	};
	const int r = memstate_scan_pages(vmm->pid, &scan);

	return r < 0 ? 0 : scan.categories;
}

static void look(expect *t, enum expect_kind kind, const char *name)
{
	const uint64_t pages = memstate_block_bytes() / memstate_page_bytes();
	const uint64_t plain = MEMSTATE_PRESENT | (kind == EXPECT_MEMFD ? MEMSTATE_FILE : 0);
	expect_target vmm = expect_target_holding(kind, 3, 0);

	/* small, PTE-mapped PMD-order folio, PMD-mapped */
	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 1, 2, 0), "make huge");
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_pte_mapped, 1, 1, 0),
			   "make PTE-mapped");
	if (expect_has_scan()) {
		expect_is(t, (int64_t)categories(&vmm, 0), (int64_t)plain, "%s: small folios",
			  name);
		expect_is(t, (int64_t)categories(&vmm, 1), (int64_t)plain,
			  "%s: PTE-mapped PMD-order folio looks the same", name);
		expect_is(t, (int64_t)categories(&vmm, 2), (int64_t)plain | MEMSTATE_HUGE,
			  "%s: PMD-mapped has HUGE", name);
	} else {
		for (int i = 0; i < 3; i++)
			expect_skip(t, "kernel < 6.7: no PAGEMAP_SCAN", "%s: categories", name);
	}
	expect_is(t, expect_pfn(&vmm, 1) % (int64_t)pages, 0,
		  "%s: PFN of the PTE-mapped one is aligned", name);
	expect_ok(t, is_middle_contiguous(&vmm, 1), "%s: its middle maps head + half a block",
		  name);
	expect_ok(t, is_middle_tail(&vmm, 1), "%s: which is a compound tail", name);
	expect_is(t, memstate_is_huge_folio(vmm.pid, expect_block(&vmm, 1)), 1,
		  "%s: all pages say so", name);
	expect_ok(t, is_middle_tail(&vmm, 2), "%s: the middle of the PMD-mapped one too", name);
	expect_ok(t, !is_middle_tail(&vmm, 0), "%s: the middle of small folios is none", name);
	expect_is(t, memstate_is_huge_folio(vmm.pid, expect_block(&vmm, 0)), 0, "%s: nor the rest",
		  name);
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(20);

	look(&t, EXPECT_MEMFD, "memfd");
	look(&t, EXPECT_ANON, "anon");
	return expect_end(&t);
}
