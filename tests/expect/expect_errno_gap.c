/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.5, 1.6: a range with an unmapped gap does what exists and then says ENOMEM: the same
 * number as "no huge page", so thpd reads maps again before it backs off. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>

static int64_t unmap(const uint64_t arg[4])
{
	return munmap((void *)(uintptr_t)arg[0], arg[1]) < 0 ? -errno : 0;
}

int main(void)
{
	expect t = expect_begin(4);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 3, 0);

	expect_target_fill(&vmm);
	(void)expect_setup(expect_run_blocks(&vmm, unmap, 1, 1, 0), "munmap");
	expect_is(&t, expect_collapse_blocks(&vmm, 1, 1), -ENOMEM, "nothing but a gap");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 3), -ENOMEM, "range {full, unmapped, full}");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "the block before the gap was done");
	expect_is(&t, expect_is_huge(&vmm, 2), 1, "and so was the block after it");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
