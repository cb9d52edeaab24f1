/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.4: an empty block is a hard failure and ends the run, within an iovec and across
 * them. The return value does not say what was done. This is why thpd builds runs from a scan. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

static void across_iovecs(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 3, 0);
	const struct iovec iov[] = {
		{expect_block(&vmm, 0), block},
		{expect_block(&vmm, 1), block},
		{expect_block(&vmm, 2), block},
	};

	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 0, 1, 0), "fill");
	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 2, 1, 0), "fill");
	expect_is(t, expect_collapse_iov(vmm.pidfd, iov, 3, MADV_COLLAPSE), (int64_t)block,
		  "iovecs {full, empty, full}: bytes of the first, no error");
	expect_is(t, expect_is_huge(&vmm, 0), 1, "the first is done");
	expect_is(t, expect_is_huge(&vmm, 2), 0, "the third was not looked at");
	expect_target_stop(&vmm);
}

static void within_iovec(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 5, 0);

	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 0, 1, 0), "fill");
	(void)expect_setup(EXPECT_RUN(&vmm, expect_fill, (uint64_t)(uintptr_t)expect_block(&vmm, 3),
				      memstate_page_bytes()),
			   "fill one page");
	(void)expect_setup(expect_run_blocks(&vmm, expect_fill, 4, 1, 0), "fill");
	expect_is(t, expect_collapse_blocks(&vmm, 0, 5), -EINVAL,
		  "one iovec {full, empty, empty, one page, full}");
	expect_is(t, expect_is_huge(&vmm, 0), 1, "the first was done all the same");
	expect_is(t, expect_is_huge(&vmm, 3) + expect_is_huge(&vmm, 4), 0,
		  "the rest was not looked at");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(6);

	across_iovecs(&t);
	within_iovec(&t);
	return expect_end(&t);
}
