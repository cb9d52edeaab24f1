/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.5, 1.6: EINVAL for the form of the call: flags, more than 1024 iovecs, an advice that
 * is not allowed on another process. */
#include "expect.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IOV_LIMIT = 1024 };

/* 1.8: since 6.13 every advice is allowed on the caller's own memory */
static void own_memory(expect *t)
{
	const int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	memstate_map map = MEMSTATE_MAP_INIT;
	struct iovec iov;
	int64_t r;

	(void)expect_setup(memstate_map_memfd(&map, memstate_block_bytes(), 0), "memfd");
	iov = (struct iovec){map.addr, map.bytes};
	r = expect_collapse_iov(self, &iov, 1, MADV_HUGEPAGE);
	if (r == -EINVAL && expect_kernel_before(6, 13))
		expect_skip(t, "kernel < 6.13: no other advices on own memory",
			    "own memory: HUGEPAGE");
	else
		expect_is(t, r, (int64_t)map.bytes, "own memory: HUGEPAGE is allowed");
	memstate_unmap(&map);
	(void)close(self);
}

int main(void)
{
	expect t = expect_begin(9);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	const uint64_t page = memstate_page_bytes();
	struct iovec many[IOV_LIMIT + 1];
	const struct iovec iov = {vmm.addr, vmm.bytes};
	long r;

	expect_target_fill(&vmm);
	for (int i = 0; i <= IOV_LIMIT; i++)
		many[i] = (struct iovec){vmm.addr, page};
	expect_is(&t, expect_collapse_iov(vmm.pidfd, many, IOV_LIMIT, MADV_COLLAPSE),
		  (int64_t)(IOV_LIMIT * page), "1024 iovecs");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, many, IOV_LIMIT + 1, MADV_COLLAPSE), -EINVAL,
		  "1025 iovecs");
	r = syscall(SYS_process_madvise, vmm.pidfd, &iov, 1, MADV_COLLAPSE, 1);
	expect_is(&t, r < 0 ? -errno : r, -EINVAL, "flags not zero");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, &iov, 1, MADV_HUGEPAGE), -EINVAL,
		  "remote HUGEPAGE");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, &iov, 1, MADV_NOHUGEPAGE), -EINVAL,
		  "remote NOHUGEPAGE");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, &iov, 1, MADV_DONTNEED), -EINVAL,
		  "remote DONTNEED");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, &iov, 1, MADV_COLD), (int64_t)vmm.bytes,
		  "remote COLD is allowed");
	expect_is(&t, expect_collapse_iov(vmm.pidfd, &iov, 1, MADV_COLLAPSE), (int64_t)vmm.bytes,
		  "remote COLLAPSE is allowed");
	expect_target_stop(&vmm);
	own_memory(&t);
	return expect_end(&t);
}
