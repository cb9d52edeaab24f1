/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 2.4, 1.5 EBUSY: what collapse does under each userfaultfd mode. WP refuses the mapping
 * after it has paid for the copy; MISSING refuses to fill holes; MINOR maps without an event. thpd
 * skips them all (VmFlags uw, um, ui); these are the reasons. And while one exists, its slab cache
 * is not empty (host_rules_out_userfaultfd()). */
#include "expect.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Fills (or half fills) one block of memory and arms it. <0: this kernel has no such mode. */
static int64_t arm(expect_target *vmm, uint64_t filled_bytes, uint64_t mode)
{
	(void)expect_setup(
		EXPECT_RUN(vmm, expect_fill, (uint64_t)(uintptr_t)vmm->addr, filled_bytes, 1),
		"fill");
	return expect_run_blocks(vmm, expect_arm_uffd, 0, 1, mode);
}

/* the uffd is the target's: has it anything to tell? */
static int64_t count_events(const uint64_t arg[4])
{
	struct uffd_msg msg;

	return read((int)arg[0], &msg, sizeof(msg)) == sizeof(msg);
}

static void write_protect(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);

	if (arm(&vmm, vmm.bytes, UFFDIO_REGISTER_MODE_WP) < 0) {
		for (int i = 0; i < 3; i++)
			expect_skip(t, "no uffd-wp for shmem", "wp");
	} else {
		expect_is(t, memstate_has_vmflag(vmm.pid, vmm.addr, "uw"), 1, "wp: VmFlags has uw");
		expect_is(t, expect_collapse_blocks(&vmm, 0, 1), -EINVAL, "wp: memfd, full block");
		(void)expect_setup(expect_run_blocks(&vmm, expect_read, 0, 1, 0), "read");
		expect_is(t, memstate_is_huge_folio(vmm.pid, vmm.addr), 1,
			  "wp: yet the page cache was copied to a huge folio");
	}
	expect_target_stop(&vmm);
}

static void missing(expect *t, enum expect_kind kind, uint64_t share, int64_t want,
		    const char *text)
{
	expect_target vmm = expect_target_holding(kind, 1, 0);

	if (arm(&vmm, vmm.bytes / share, UFFDIO_REGISTER_MODE_MISSING) < 0)
		expect_skip(t, "no userfaultfd", "missing: %s", text);
	else if (want == -EBUSY && expect_kernel_before(6, 4))
		expect_skip(t, "kernel < 6.4: holes are filled behind the handler's back",
			    "missing: %s", text);
	else
		expect_is(t, expect_collapse_blocks(&vmm, 0, 1), want, "missing: %s", text);
	expect_target_stop(&vmm);
}

/* A second process with nothing mapped, armed for minor faults, the page cache full. */
static void minor(expect *t)
{
	const uint64_t block = memstate_block_bytes();
	expect_target owner = expect_target_holding(EXPECT_MEMFD, 1, 0),
		      vmm = expect_target_start();
	int64_t uffd;

	expect_target_fill(&owner);
	expect_target_map_fd(&vmm, owner.fd, block, 0, MAP_SHARED);
	uffd = expect_run_blocks(&vmm, expect_arm_uffd, 0, 1, UFFDIO_REGISTER_MODE_MINOR);
	if (uffd < 0) {
		for (int i = 0; i < 3; i++)
			expect_skip(t, "no uffd-minor for shmem", "minor");
	} else {
		expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
			  "minor: memfd, not yet mapped");
		expect_is(t, expect_is_huge(&vmm, 0), 1, "minor: PMD-mapped");
		expect_is(t, EXPECT_RUN(&vmm, count_events, (uint64_t)uffd), 0,
			  "minor: the handler was not told");
	}
	expect_target_stop(&owner);
	expect_target_stop(&vmm);
}

/* Objects in the kernel's slab cache of userfaultfds, free ones included; -errno. */
static int64_t slab_objects(void)
{
	FILE *f = fopen("/sys/kernel/slab/userfaultfd_ctx_cache/total_objects", "re");
	unsigned long long n = 0;
	int items;

	if (!f)
		return -errno;
	items = fscanf(f, "%llu", &n);
	(void)fclose(f);
	return items == 1 ? (int64_t)n : -EIO;
}

static void leaves_a_trace(expect *t)
{
	expect_target vmm = expect_target_holding(EXPECT_ANON, 1, 0);
	const int64_t n = slab_objects();

	if (n < 0)
		expect_skip(t, "no /sys/kernel/slab (CONFIG_SLUB_DEBUG)", "trace");
	else if (arm(&vmm, vmm.bytes, UFFDIO_REGISTER_MODE_MISSING) < 0)
		expect_skip(t, "no userfaultfd", "trace");
	else
		expect_is(t, slab_objects() > 0, 1, "its slab cache is not empty");
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(11);
	const int64_t block = (int64_t)memstate_block_bytes();

	write_protect(&t);
	missing(&t, EXPECT_MEMFD, 1, block, "memfd, full block");
	missing(&t, EXPECT_MEMFD, 2, -EBUSY, "memfd, block with holes");
	missing(&t, EXPECT_ANON, 1, block, "anon, full block");
	missing(&t, EXPECT_ANON, 2, -EBUSY, "anon, block with holes");
	minor(&t);
	leaves_a_trace(&t);
	return expect_end(&t);
}
