/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.6: one page punched out of a huge shmem folio (a balloon, free page reporting) splits
 * the folio and drops the whole host mapping of the block, in every process. Anonymous memory only
 * loses what was given. A later collapse takes it all back. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static void shared(expect *t)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	const int64_t pages = (int64_t)(block / page);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0),
		      other = expect_target_start();

	expect_target_fill(&vmm);
	(void)expect_setup(expect_collapse_blocks(&vmm, 0, 1), "collapse");
	expect_target_map_fd(&other, vmm.fd, block, 0, MAP_SHARED);
	(void)expect_setup(expect_run_blocks(&other, expect_read, 0, 1, 0), "read");
	expect_is(t, expect_count_present(&vmm, 0, 1) + expect_count_present(&other, 0, 1),
		  2 * pages, "memfd: mapped in two processes");
	(void)expect_setup(fallocate(vmm.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)(5 * page), (off_t)page) < 0
				   ? -errno
				   : 0,
			   "punch");
	expect_is(t, expect_count_present(&vmm, 0, 1), 0,
		  "memfd: one page punched, all 512 unmapped");
	expect_is(t, expect_count_present(&other, 0, 1), 0, "memfd: in the other process as well");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_read, (uint64_t)(uintptr_t)vmm.addr, 5 * page),
			   "read");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_read, (uint64_t)(uintptr_t)vmm.addr + 6 * page,
				      block - 6 * page),
			   "read");
	expect_is(t, expect_count_present(&vmm, 0, 1), pages - 1,
		  "memfd: the guest comes back, a hole stays");
	expect_is(t, memstate_is_huge_folio(vmm.pid, vmm.addr), 0, "memfd: the folio was split");
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block, "memfd: collapse");
	expect_is(t, expect_count_present(&vmm, 0, 1), pages, "memfd: the hole is filled again");
	expect_target_stop(&vmm);
	expect_target_stop(&other);
}

static void anonymous(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	const int64_t pages = (int64_t)(block / memstate_page_bytes());
	expect_target vmm = expect_target_holding(EXPECT_ANON, 1, 0);

	expect_target_fill(&vmm);
	(void)expect_setup(expect_collapse_blocks(&vmm, 0, 1), "collapse");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_madvise,
				      (uint64_t)(uintptr_t)vmm.addr + block / 4, block / 2,
				      MADV_DONTNEED),
			   "MADV_DONTNEED");
	expect_is(t, expect_count_present(&vmm, 0, 1), pages / 2,
		  "anon: half given back, half stays");
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block, "anon: collapse");
	expect_is(t, expect_count_present(&vmm, 0, 1), pages, "anon: the hole is filled again");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(10);

	shared(&t);
	anonymous(&t);
	return expect_end(&t);
}
