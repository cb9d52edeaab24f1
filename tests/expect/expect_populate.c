/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 0.4 "Populating a shared file huge at once", 2.1 row "entirely empty", and 1.8 (6.18):
 * one page put into the file from outside, and COLLAPSE makes and maps a whole huge folio, though
 * the VMM never touched the block. Where the page-middle table itself is missing it takes 6.18. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>

/* The first whole 1 GiB of a reservation: nothing else of the process can have a table there. */
static int64_t map_in_fresh_gib(const uint64_t arg[4])
{
	const uint64_t gib = UINT64_C(1) << 30;
	uint8_t *base =
		mmap(NULL, 3 * gib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at = (uint8_t *)(((uintptr_t)base + gib) / gib * gib);

	if (base == MAP_FAILED)
		return -errno;
	at = mmap(at, arg[1], PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (int)arg[0], 0);
	return at == MAP_FAILED ? -errno : (int64_t)(uintptr_t)at;
}

static int put_page(const expect_target *vmm, uint64_t index)
{
	const off_t at = (off_t)(index * memstate_block_bytes());

	return fallocate(vmm->fd, FALLOC_FL_KEEP_SIZE, at, (off_t)memstate_page_bytes()) < 0
		       ? -errno
		       : 0;
}

static void fresh_table(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target first = expect_target_holding(EXPECT_MEMFD, 1, 0),
		      vmm = expect_target_start();
	const int fd = first.fd;
	uint8_t *at;
	int64_t r;

	at = (uint8_t *)(uintptr_t)expect_setup(
		EXPECT_RUN(&vmm, map_in_fresh_gib, (uint64_t)fd, block), "map");
	(void)expect_setup(put_page(&first, 0), "fallocate");
	r = expect_collapse(&vmm, at, block);
	if (r == -EINVAL && expect_kernel_before(6, 18))
		expect_skip(t, "kernel < 6.18: no page table is made",
			    "block without a page-middle table");
	else
		expect_is(t, r, (int64_t)block, "block without a page-middle table");
	expect_target_stop(&first);
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(5);
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 3, 0);

	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 0, 1, 0), "touch a neighbour");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), -EINVAL,
		  "block with no page in the file");
	(void)expect_setup(put_page(&vmm, 1), "fallocate");
	expect_is(&t, expect_count_present(&vmm, 1, 1), 0, "one page in the file, nothing mapped");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), (int64_t)block,
		  "block never touched by the VMM");
	expect_is(&t, expect_is_huge(&vmm, 1), 1, "PMD-mapped");
	expect_target_stop(&vmm);
	fresh_table(&t);
	return expect_end(&t);
}
