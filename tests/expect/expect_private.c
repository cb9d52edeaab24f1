/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1, the MAP_PRIVATE rows: of shmem, the page cache is collapsed and PMD-mapped
 * read-only as long as the block has no copied page; one copied page and it is EINVAL. Of a regular
 * file (Firecracker snapshots) EINVAL, unless the kernel has huge page caches for it
 * (READ_ONLY_THP_FOR_FS; 7.2). */
#include "expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t write_byte(const uint64_t arg[4])
{
	*(volatile uint8_t *)(uintptr_t)arg[0] = 1;
	return 0;
}

static void of_memfd(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target owner = expect_target_holding(EXPECT_MEMFD, 2, 0),
		      vmm = expect_target_start();

	expect_target_fill(&owner);
	expect_target_map_fd(&vmm, owner.fd, owner.bytes, 0, MAP_PRIVATE);
	(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 2, 0), "read");
	(void)EXPECT_RUN(&vmm, write_byte, (uint64_t)(uintptr_t)expect_block(&vmm, 1));
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "private memfd, no copied page");
	expect_is(t, expect_is_huge(&vmm, 0), 1, "PMD-mapped");
	expect_is(t, expect_collapse_blocks(&vmm, 1, 1), -EINVAL, "private memfd, one copied page");
	expect_is(t, expect_is_huge(&vmm, 1), 0, "not PMD-mapped");
	(void)EXPECT_RUN(&vmm, write_byte, (uint64_t)(uintptr_t)expect_block(&vmm, 0) + 1);
	expect_is(t, expect_is_huge(&vmm, 0), 0, "the first write ends the read-only PMD mapping");
	expect_target_stop(&owner);
	expect_target_stop(&vmm);
}

static void of_file(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	char name[] = "/var/tmp/thpd-expect-XXXXXX", got[24];
	const int fd = mkstemp(name);
	expect_target vmm;
	int64_t r;

	(void)expect_setup(fd < 0 || unlink(name) < 0 || ftruncate(fd, (off_t)block) < 0 ? -errno
											 : 0,
			   "file in /var/tmp");
	vmm = expect_target_start();
	expect_target_map_fd(&vmm, fd, block, 0, MAP_PRIVATE);
	(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 1, 0), "read");
	r = expect_collapse_blocks(&vmm, 0, 1);
	expect_ok(t, r == -EINVAL || (r == (int64_t)block && expect_is_huge(&vmm, 0) == 1),
		  "private regular file: refused, or done and PMD-mapped; %s here",
		  expect_errno_name(r, got));
	expect_target_stop(&vmm);
	(void)close(fd);
}

int main(void)
{
	expect t = expect_begin(6);

	of_memfd(&t);
	of_file(&t);
	return expect_end(&t);
}
