/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.1 "anon swap entries", 1.1: a forced collapse swaps in without limit (max_ptes_swap
 * does not matter) and then copies. thpd leaves such blocks alone unless asked. */
#include "expect.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

static bool has_swap(void)
{
	char line[256];
	int lines = 0;
	FILE *f = fopen("/proc/swaps", "re");

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		(void)fclose(f);
	return lines > 1;
}

int main(void)
{
	expect t = expect_begin(4);
	const uint64_t block = memstate_block_bytes();
	const struct iovec *iov;
	expect_target vmm;
	int64_t present;

	if (!has_swap())
		return expect_skip_rest(&t, "no swap device");
	vmm = expect_target_holding(EXPECT_ANON, 1, 0);
	iov = &(const struct iovec){vmm.addr, vmm.bytes};
	expect_target_fill(&vmm);
	/* One call may leave some: pages on their way to the LRU lists are passed over. */
	for (int tries = 0; tries < 100 && expect_count_present(&vmm, 0, 1) > 0; tries++)
		(void)expect_setup(expect_collapse_iov(vmm.pidfd, iov, 1, MADV_PAGEOUT),
				   "MADV_PAGEOUT");
	present = expect_count_present(&vmm, 0, 1);
	if (present > (int64_t)(block / memstate_page_bytes() / 2))
		return expect_skip_rest(&t,
					"swap takes no pages (full or forbidden in this cgroup)");
	expect_note("%d pages still present", (int)present);
	expect_ok(&t, memstate_smaps_kb(vmm.pid, vmm.addr, "Swap") > 0,
		  "most of the block is swapped out");
	expect_is(&t, expect_collapse_until(&vmm, 0, 1, (int64_t)block), (int64_t)block,
		  "collapse");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "swapped in and PMD-mapped");
	expect_is(&t, expect_run_blocks(&vmm, expect_check, 0, 1, 1), 0, "contents are the same");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
