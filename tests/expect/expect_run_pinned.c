/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.4 "run {pinned, clean}" and 1.5 EAGAIN: a pinned block of small folios is refused
 * with a persistent EAGAIN, and that class of failure does not end the run. The pin is a long-term
 * one of an io_uring registered buffer, as VFIO's would be. */
#include "expect.h"

#include <errno.h>

static void refuse(expect *t, enum expect_kind kind, const char *name)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(kind, 2, 0);
	int64_t ring, pfn;

	expect_target_fill(&vmm);
	ring = expect_run_blocks(&vmm, expect_pin, 0, 1, 0);
	if (ring < 0) {
		for (int i = 0; i < 6; i++)
			expect_skip(t, "io_uring is disabled", "%s", name);
		expect_target_stop(&vmm);
		return;
	}
	pfn = expect_pfn(&vmm, 0);
	expect_is(t, expect_collapse_blocks(&vmm, 0, 2), -EAGAIN, "%s: run {pinned, clean}", name);
	expect_is(t, expect_is_huge(&vmm, 1), 1, "%s: the clean block was collapsed", name);
	expect_is(t, expect_collapse_blocks(&vmm, 0, 1), -EAGAIN, "%s: EAGAIN again", name);
	(void)expect_setup(expect_run_blocks(&vmm, expect_check, 0, 1, 1),
			   "contents after a refusal");
	expect_is(t, expect_pfn(&vmm, 0), pfn, "%s: the pinned page did not move", name);
	(void)expect_setup(EXPECT_RUN(&vmm, expect_unpin, (uint64_t)ring), "unpin");
	/* The ring lets its pages go from a work queue: wait for the condition. */
	expect_is(t, expect_collapse_until(&vmm, 0, 1, (int64_t)block), (int64_t)block,
		  "%s: success after the pin is gone", name);
	expect_is(t, expect_is_huge(&vmm, 0), 1, "%s: PMD-mapped then", name);
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(12);

	refuse(&t, EXPECT_MEMFD, "memfd");
	refuse(&t, EXPECT_ANON, "anon");
	return expect_end(&t);
}
