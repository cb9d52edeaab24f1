/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 7.1, 1.6: a pagemap fd belongs to the address space that it was opened on and yields
 * nothing after an exec. A pidfd belongs to the process: after the exec it acts on the new address
 * space. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int64_t count_by_fd(int fd, const expect_target *vmm)
{
	const uint64_t first = (uint64_t)(uintptr_t)vmm->addr / memstate_page_bytes();
	uint64_t entries[16];
	const ssize_t n = pread(fd, entries, sizeof(entries), (off_t)(first * sizeof(*entries)));
	int64_t present = 0;

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(*entries); i++)
		present += (int64_t)(entries[i] >> 63);
	return n < 0 ? -errno : present;
}

static int64_t scan_by_fd(int fd, const expect_target *vmm)
{
	memstate_scan scan = {
		.start = (uint64_t)(uintptr_t)vmm->addr,
		.end = (uint64_t)(uintptr_t)vmm->addr + vmm->bytes,
		.mask = MEMSTATE_PRESENT,
	};
	const int r = memstate_scan_fd(fd, &scan);

	/* no pages, whether the kernel says so politely or not */
	return r == -ENOTTY ? 0 : r < 0 ? r : (int64_t)scan.pages;
}

int main(void)
{
	expect t = expect_begin(6);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	char path[64], name[24];
	int fd;
	int64_t r;

	expect_target_fill(&vmm);
	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)vmm.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	(void)expect_setup(fd < 0 ? -errno : 0, "open pagemap");
	expect_is(&t, count_by_fd(fd, &vmm), 16, "before: pages are seen");
	expect_ok(&t, !expect_has_scan() || scan_by_fd(fd, &vmm) > 0,
		  "before: by PAGEMAP_SCAN too");
	expect_target_exec(&vmm);
	expect_is(&t, count_by_fd(fd, &vmm), 0, "after exec: the old fd reads nothing");
	r = scan_by_fd(fd, &vmm);
	expect_ok(&t, r <= 0, "after exec: the old fd scans nothing (%s)",
		  expect_errno_name(r, name));
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -ENOMEM,
		  "after exec: the pidfd acts on the new address space, nothing is mapped there");
	expect_ok(&t, memstate_count_present(vmm.pid, vmm.addr, vmm.bytes) == 0,
		  "after exec: a new fd sees the new address space");
	(void)close(fd);
	expect_target_stop(&vmm);
	return expect_end(&t);
}
