/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 9.1: move_pages(2) moves a folio whole by one address of it, and a PMD-mapped one is
 * PMD-mapped afterwards. What others map as well is moved with MPOL_MF_MOVE_ALL only; what is
 * pinned stays. */
#include "expect.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "memnode.h"

static const char missing[] = "needs a second node with memory";

enum { PLANNED = 44 };

/* Pages of the block that are on the node. */
static int64_t count_on(const expect_target *vmm, uint64_t index, int node)
{
	const uint64_t page = memstate_page_bytes();
	int64_t n = 0;

	for (uint64_t at = 0; at < memstate_block_bytes(); at += page)
		n += memnode_of(vmm->pid, expect_block(vmm, index) + at) == node;
	return n;
}

static int64_t block_pages(void)
{
	return (int64_t)(memstate_block_bytes() / memstate_page_bytes());
}

static int other_node(const expect_target *vmm, uint64_t index)
{
	return memnode_other_than(
		(int)expect_setup(memnode_of(vmm->pid, expect_block(vmm, index)), "ask"));
}

static int64_t move_one(const expect_target *vmm, uint64_t index, int node, int flags,
			int *ret_status)
{
	return memnode_move(vmm->pid, expect_block(vmm, index), 1, 1, node, flags, ret_status);
}

static void huge(expect *t, enum expect_kind kind, const char *name)
{
	expect_target vmm = expect_target_holding(kind, 1, 0);
	int node, status;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	node = other_node(&vmm, 0);
	expect_is(t, move_one(&vmm, 0, node, MEMNODE_MOVE, &status), 0,
		  "%s: one address of a PMD-mapped page", name);
	expect_is(t, status, node, "%s: the status is the new node", name);
	expect_is(t, count_on(&vmm, 0, node), block_pages(), "%s: all of it is there", name);
	expect_is(t, expect_is_huge(&vmm, 0), 1, "%s: PMD-mapped afterwards", name);
	expect_is(t, expect_run_blocks(&vmm, expect_check, 0, 1, 1), 0, "%s: contents are the same",
		  name);
	expect_target_stop(&vmm);
}

static void folio(expect *t, enum expect_kind kind, const char *name)
{
	expect_target vmm = expect_target_holding(kind, 1, 0);
	int node, status;

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	(void)expect_setup(expect_run_blocks(&vmm, expect_make_pte_mapped, 0, 1, 0),
			   "make PTE-mapped");
	node = other_node(&vmm, 0);
	expect_is(t, move_one(&vmm, 0, node, MEMNODE_MOVE, &status), 0,
		  "%s: one address of a PTE-mapped folio", name);
	expect_is(t, count_on(&vmm, 0, node), block_pages(), "%s: all of the folio is there", name);
	expect_is(t, memstate_is_huge_folio(vmm.pid, vmm.addr), 1, "%s: still of PMD order", name);
	expect_is(t, expect_run_blocks(&vmm, expect_check, 0, 1, 1), 0,
		  "%s: contents of the folio are the same", name);
	expect_target_stop(&vmm);
}

static void small(expect *t)
{
	const uint64_t page = memstate_page_bytes();
	const int64_t n = block_pages();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	int node, *status = calloc((size_t)n, sizeof(*status));

	(void)expect_setup(status ? 0 : -ENOMEM, "memory");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, (uint64_t)(uintptr_t)vmm.addr,
				      memstate_block_bytes() / 2, 1),
			   "fill half");
	node = other_node(&vmm, 0);
	expect_is(t, memnode_move(vmm.pid, vmm.addr, (uint64_t)n, page, node, MEMNODE_MOVE, status),
		  0, "small pages with holes behind them");
	expect_is(t, count_on(&vmm, 0, node), n / 2, "small pages: all that there are, are there");
	expect_is(t, status[0], node, "small pages: status of one that moved");
	expect_is(t, status[n - 1], -ENOENT, "small pages: status of a hole");
	expect_target_stop(&vmm);
	free(status);
}

/* Punching a page out of a huge folio leaves folios of several orders where the kernel splits it no
 * finer than it must. */
static bool make_large(expect_target *vmm)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	const uint64_t at = (uint64_t)(uintptr_t)vmm->addr;
	uint64_t pfn, flags = 0;

	expect_target_fill(vmm);
	(void)expect_setup(expect_run_blocks(vmm, expect_make_huge, 0, 1, 0), "make huge");
	(void)expect_setup(EXPECT_RUN(vmm, expect_madvise, at, page, MADV_REMOVE), "punch a page");
	(void)expect_setup(EXPECT_RUN(vmm, expect_read, at + page, block - page), "touch");
	(void)expect_setup(memstate_first_pfn(vmm->pid, vmm->addr + block * 3 / 4, &pfn), "PFN");
	(void)expect_setup(memstate_pfn_flags(pfn, &flags), "kpageflags");
	return flags >> MEMSTATE_KPF_COMPOUND_HEAD & 3;
}

/* The upper half of such a block, by each of its pages. */
static void large(expect *t)
{
	static const char there[] =
		"folio of other order, by each of its pages: all of it is there",
			  busy[] = "folio of other order: its second page says EBUSY";
	const uint64_t half = memstate_block_bytes() / 2;
	const uint64_t n = (uint64_t)block_pages() / 2;
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	int node, *status = calloc(n, sizeof(*status));

	(void)expect_setup(status ? 0 : -ENOMEM, "memory");
	if (make_large(&vmm)) {
		node = memnode_other_than(
			(int)expect_setup(memnode_of(vmm.pid, vmm.addr + half), "ask"));
		(void)memnode_move(vmm.pid, vmm.addr + half, n, memstate_page_bytes(), node,
				   MEMNODE_MOVE, status);
		expect_is(t, count_on(&vmm, 0, node), (int64_t)n, "%s", there);
		expect_is(t, status[1], -EBUSY, "%s", busy);
	} else {
		expect_skip(t, "a punched folio is split to single pages here", "%s", there);
		expect_skip(t, "a punched folio is split to single pages here", "%s", busy);
	}
	expect_target_stop(&vmm);
	free(status);
}

static void shared(expect *t, bool is_huge, const char *name)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 2, 0);
	expect_target other = expect_target_start();
	int node, status;

	expect_target_fill(&vmm);
	if (is_huge)
		(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 1, 0), "make huge");
	expect_target_map_fd(&other, vmm.fd, vmm.bytes, 0, MAP_SHARED);
	(void)expect_setup(expect_run_blocks(&other, expect_read, 0, 1, 0), "read");
	node = other_node(&vmm, 0);
	(void)expect_setup(move_one(&vmm, 0, node, MEMNODE_MOVE, &status), "move");
	expect_is(t, status, -EACCES, "%s, mapped by two processes", name);
	expect_is(t, move_one(&vmm, 0, node, MEMNODE_MOVE_ALL, &status), 0,
		  "%s, mapped by two processes, MPOL_MF_MOVE_ALL", name);
	expect_is(t, memnode_of(vmm.pid, vmm.addr), node, "%s: there", name);
	expect_is(t, expect_is_huge(&vmm, 0), is_huge, "%s: mapped as before", name);
	expect_target_stop(&other);
	expect_target_stop(&vmm);
}

/* Three pages or blocks of which the first is pinned. The others are moved, but no status says so.
 */
static void pinned(expect *t, bool is_huge, const char *name)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 3, 0);
	const uint64_t step = is_huge ? block : page;
	int node, status[3];
	int64_t pfn, ring;

	expect_target_fill(&vmm);
	if (is_huge)
		(void)expect_setup(expect_run_blocks(&vmm, expect_make_huge, 0, 3, 0), "make huge");
	ring = EXPECT_RUN(&vmm, expect_pin, (uint64_t)(uintptr_t)vmm.addr, step);
	if (ring < 0) {
		for (int i = 0; i < 5; i++)
			expect_skip(t, "io_uring is disabled", "%s, pinned", name);
		expect_target_stop(&vmm);
		return;
	}
	node = other_node(&vmm, 0);
	pfn = expect_pfn(&vmm, 0);
	expect_is(t, memnode_move(vmm.pid, vmm.addr, 3, step, node, MEMNODE_MOVE, status), 1,
		  "%s, pinned, the first of three: the call says how many stayed", name);
	expect_note("%s, pinned: status %d %d %d", name, status[0], status[1], status[2]);
	expect_is(t, status[0], MEMNODE_UNWRITTEN, "%s, pinned: no status is written", name);
	expect_is(t, expect_pfn(&vmm, 0), pfn, "%s, pinned: it did not move", name);
	expect_is(t, memnode_of(vmm.pid, vmm.addr + 2 * step), node, "%s, pinned: what is not, did",
		  name);
	expect_is(t, expect_is_huge(&vmm, 0), is_huge, "%s, pinned: mapped as before", name);
	expect_target_stop(&vmm);
}

/* A page with an answer of its own, here a hole, ends a batch: nothing behind it is tried. */
static void abort_behind(expect *t)
{
	const uint64_t page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	const uint64_t at = (uint64_t)(uintptr_t)vmm.addr;
	int node, status[3];

	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, at, page, 1), "fill");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, at + 2 * page, page, 1), "fill");
	if (EXPECT_RUN(&vmm, expect_pin, at, page) < 0) {
		for (int i = 0; i < 2; i++)
			expect_skip(t, "io_uring is disabled", "{pinned, hole, clean}");
		expect_target_stop(&vmm);
		return;
	}
	node = other_node(&vmm, 0);
	expect_is(t, memnode_move(vmm.pid, vmm.addr, 3, page, node, MEMNODE_MOVE, status), 2,
		  "{pinned, hole, clean}: two are left");
	expect_note("{pinned, hole, clean}: status %d %d %d", status[0], status[1], status[2]);
	expect_ok(t, memnode_of(vmm.pid, vmm.addr + 2 * page) != node,
		  "{pinned, hole, clean}: the clean one was not tried");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(PLANNED);

	if (memnode_other_than(0) < 0)
		return expect_skip_rest(&t, missing);
	huge(&t, EXPECT_MEMFD, "memfd");
	huge(&t, EXPECT_ANON, "anon");
	folio(&t, EXPECT_MEMFD, "memfd");
	folio(&t, EXPECT_ANON, "anon");
	small(&t);
	large(&t);
	shared(&t, true, "huge");
	shared(&t, false, "small");
	pinned(&t, true, "huge");
	pinned(&t, false, "small");
	abort_behind(&t);
	return expect_end(&t);
}
