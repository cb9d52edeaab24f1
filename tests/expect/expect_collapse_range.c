/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.4, first rows: only whole blocks inside the range are done, and the return value
 * tells the length of the iovec, not the work. Also 1.6: a stopped process can be collapsed. */
#include "expect.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

int main(void)
{
	expect t = expect_begin(10);
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 6, 0);

	expect_target_fill(&vmm);
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
		  "one block of small folios");
	expect_is(&t, expect_is_huge(&vmm, 0), 1, "it is PMD-mapped now");

	expect_is(&t, expect_collapse(&vmm, expect_block(&vmm, 1), block / 2), (int64_t)block / 2,
		  "aligned start, half a block: says success");
	expect_is(&t, expect_is_huge(&vmm, 1), 0, "and does nothing");

	expect_is(&t, expect_collapse(&vmm, expect_block(&vmm, 1) + page, page), -EINVAL,
		  "range inside a block, unaligned start");

	expect_is(&t, expect_collapse(&vmm, expect_block(&vmm, 2) - page, block * 3 / 2 + page),
		  (int64_t)(block * 3 / 2 + page),
		  "page before to half a block after: whole length");
	expect_is(&t, expect_is_huge(&vmm, 2), 1, "the whole block is done");
	expect_is(&t, expect_is_huge(&vmm, 1) + expect_is_huge(&vmm, 3), 0,
		  "its neighbours are not");

	(void)kill(vmm.pid, SIGSTOP);
	(void)waitpid(vmm.pid, NULL, WUNTRACED);
	expect_is(&t, expect_collapse_blocks(&vmm, 4, 1), (int64_t)block,
		  "target stopped by a signal");
	(void)kill(vmm.pid, SIGCONT);
	expect_is(&t, expect_is_huge(&vmm, 4), 1, "it is PMD-mapped now");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
