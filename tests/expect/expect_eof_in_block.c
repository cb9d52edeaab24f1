/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.4 "file ending mid-block": collapse works and maps past the end of the file. */
#include "expect.h"

#include <errno.h>
#include <unistd.h>

int main(void)
{
	expect t = expect_begin(3);
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);

	(void)expect_setup(ftruncate(vmm.fd, (off_t)block / 2) < 0 ? -errno : 0, "ftruncate");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, (uint64_t)(uintptr_t)vmm.addr, block / 2),
			   "fill");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block, "file ends in mid-block");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "PMD-mapped");
	expect_is(&t, expect_count_present(&vmm, 0, 1), (int64_t)(block / memstate_page_bytes()),
		  "mapped past the end of the file");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
