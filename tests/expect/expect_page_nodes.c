/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 9.2: move_pages(2) without nodes tells on which node pages of another process are. One
 * address tells it of a whole folio; what is not there is an error in its status; nothing is
 * faulted in and nothing is split. Moving to where it is already does nothing. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memnode.h"

static int64_t do_ask(const uint64_t arg[4])
{
	return memnode_of((pid_t)arg[0], (const void *)(uintptr_t)arg[1]);
}

static int64_t do_become_nobody(const uint64_t arg[4])
{
	(void)arg;
	return setgid(65534) < 0 || setuid(65534) < 0 ? -errno : 0;
}

static int64_t do_move_all(const uint64_t arg[4])
{
	int status;

	return memnode_move((pid_t)arg[0], (const void *)(uintptr_t)arg[1], 1, 1, (int)arg[2],
			    MEMNODE_MOVE_ALL, &status);
}

/* All blocks of a kind: 0 huge, 1 a folio mapped by pages, 2 its first half small, 3 nothing. */
static void make_blocks(expect_target *vmm)
{
	const uint64_t block = memstate_block_bytes();

	(void)expect_setup(expect_run_blocks(vmm, expect_fill, 0, 2, 1), "fill");
	(void)expect_setup(EXPECT_RUN(vmm, expect_fill, (uint64_t)(uintptr_t)expect_block(vmm, 2),
				      block / 2, 1),
			   "fill");
	(void)expect_setup(expect_run_blocks(vmm, expect_make_huge, 0, 2, 0), "make huge");
	(void)expect_setup(expect_run_blocks(vmm, expect_make_pte_mapped, 1, 1, 0),
			   "make PTE-mapped");
}

static bool is_node(int64_t r)
{
	return r >= 0 && r < 1024;
}

static void ask(expect *t, expect_target *vmm, const char *name)
{
	const uint64_t block = memstate_block_bytes();
	const int64_t huge = memnode_of(vmm->pid, vmm->addr);

	expect_ok(t, is_node(huge), "%s: node of a PMD-mapped page", name);
	expect_is(t, memnode_of(vmm->pid, vmm->addr + block / 2), huge,
		  "%s: the same in its middle", name);
	expect_ok(t, is_node(memnode_of(vmm->pid, expect_block(vmm, 1))),
		  "%s: node of a PTE-mapped folio of PMD order", name);
	expect_ok(t, is_node(memnode_of(vmm->pid, expect_block(vmm, 2))),
		  "%s: node of a small page", name);
}

static void nothing_changed(expect *t, expect_target *vmm, int64_t pfn, const char *name)
{
	const uint64_t pages = memstate_block_bytes() / memstate_page_bytes();

	expect_is(t, expect_is_huge(vmm, 0), 1, "%s: still PMD-mapped after it was asked", name);
	expect_is(t, expect_pfn(vmm, 0), pfn, "%s: and where it was", name);
	expect_is(t, expect_count_present(vmm, 2, 2), (int64_t)pages / 2,
		  "%s: nothing was faulted in", name);
}

static void stay(expect *t, expect_target *vmm, int64_t pfn, const char *name)
{
	const int64_t node = memnode_of(vmm->pid, vmm->addr);
	int status;

	expect_is(t, memnode_move(vmm->pid, vmm->addr, 1, 1, (int)node, MEMNODE_MOVE_ALL, &status),
		  0, "%s: moved to where it is", name);
	expect_is(t, status, node, "%s: the status is its node", name);
	expect_is(t, expect_is_huge(vmm, 0) == 1 && expect_pfn(vmm, 0) == pfn, 1,
		  "%s: PMD-mapped and the same page", name);
}

static void kind(expect *t, enum expect_kind kind, const char *name)
{
	expect_target vmm = expect_target_holding(kind, 4, 0);
	int64_t pfn;

	make_blocks(&vmm);
	pfn = expect_pfn(&vmm, 0);
	ask(t, &vmm, name);
	expect_is(t, memnode_of(vmm.pid, expect_block(&vmm, 3)),
		  kind == EXPECT_ANON && expect_kernel_before(6, 12) ? -EFAULT : -ENOENT,
		  kind == EXPECT_ANON ? "%s: never touched: ENOENT (EFAULT before 6.12)"
				      : "%s: never touched: ENOENT",
		  name);
	nothing_changed(t, &vmm, pfn, name);
	stay(t, &vmm, pfn, name);
	expect_target_stop(&vmm);
}

static void no_memory(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_ANON, 1, 0);
	const uint64_t page = memstate_page_bytes(), at = (uint64_t)(uintptr_t)vmm.addr;

	(void)expect_setup(EXPECT_RUN(&vmm, expect_madvise, at, vmm.bytes, MADV_NOHUGEPAGE),
			   "no huge zero page");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_read, at, page), "read");
	expect_is(t, memnode_of(vmm.pid, vmm.addr), -EFAULT, "the shared zero page");
	expect_is(t, memnode_of(vmm.pid, (const void *)(uintptr_t)page), -EFAULT,
		  "nothing is mapped there");
	expect_target_stop(&vmm);
}

static void rights(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0), twin = expect_target_start(),
		      nobody = expect_target_start();
	const uint64_t at = (uint64_t)(uintptr_t)vmm.addr;
	const pid_t pid = vmm.pid;
	int64_t node;
	int status;

	expect_target_fill(&vmm);
	node = memnode_of(vmm.pid, vmm.addr);
	expect_is(t, EXPECT_RUN(&twin, do_ask, (uint64_t)vmm.pid, at), node,
		  "asked by one that may trace it");
	(void)expect_setup(EXPECT_RUN(&nobody, do_become_nobody, 0), "setuid");
	expect_is(t, EXPECT_RUN(&nobody, do_ask, (uint64_t)vmm.pid, at), -EPERM,
		  "asked by one that may not trace it");
	expect_is(t, EXPECT_RUN(&nobody, do_move_all, 0, at, (uint64_t)node), -EPERM,
		  "what is shared, moved without CAP_SYS_NICE");
	expect_is(t, memnode_move(vmm.pid, vmm.addr, 1, 1, 1023, MEMNODE_MOVE, &status), -ENODEV,
		  "moved to a node that is not there");
	expect_target_stop(&nobody);
	expect_target_stop(&twin);
	expect_target_stop(&vmm);
	expect_is(t, memnode_of(pid, (const void *)(uintptr_t)at), -ESRCH,
		  "asked of a process that is gone");
}

int main(void)
{
	expect t = expect_begin(29);

	kind(&t, EXPECT_MEMFD, "memfd");
	kind(&t, EXPECT_ANON, "anon");
	no_memory(&t);
	rights(&t);
	return expect_end(&t);
}
