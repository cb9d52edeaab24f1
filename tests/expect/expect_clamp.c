/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.6: the total length of a call is cut to MAX_RW_COUNT without a word. 1024 iovecs of
 * one block make 2 GiB, a page more than that; all but the last name the same block, so it is
 * cheap. The last loses its last page, is no whole block any more, and is skipped. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

enum { IOV_LIMIT = 1024 };

int main(void)
{
	expect t = expect_begin(4);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	const uint64_t max_rw_count = (UINT64_C(1) << 31) - page, last = max_rw_count / block;
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 2, 0);
	struct iovec iov[IOV_LIMIT];

	if (last + 1 > IOV_LIMIT)
		return expect_skip_rest(&t, "blocks too small for 2 GiB in one vector");
	for (uint64_t i = 0; i < last; i++)
		iov[i] = (struct iovec){expect_block(&vmm, 0), block};
	iov[last] = (struct iovec){expect_block(&vmm, 1), block};
	expect_target_fill(&vmm);
	expect_is(&t, expect_collapse_iov(vmm.pidfd, iov, last + 1, MADV_COLLAPSE),
		  (int64_t)max_rw_count, "%u MiB in one call: a page less, no error",
		  (unsigned int)((last + 1) * block >> 20));
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "the first block is done");
	expect_is(&t, expect_is_huge(&vmm, 1), 0, "the last block is not");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, iov + last, 1, MADV_COLLAPSE), (int64_t)block,
		  "alone it is done");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
