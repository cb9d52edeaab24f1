/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.5, 1.6: process_madvise on another process wants a ptrace read check, EACCES, and
 * CAP_SYS_NICE in the initial user namespace, EPERM. The caller is a second process that gave up
 * what the row says; on a process of its own uid both are asked as well. */
#include "expect.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t call_collapse(const uint64_t arg[4])
{
	const struct iovec iov = {(void *)(uintptr_t)arg[1], arg[2]};

	return expect_collapse_iov((int)arg[0], &iov, 1, MADV_COLLAPSE);
}

static int64_t become_nobody(const uint64_t arg[4])
{
	(void)arg;
	return setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ? -errno
											: 0;
}

static int64_t drop_sys_nice(const uint64_t arg[4])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];

	(void)arg;
	if (syscall(SYS_capget, &header, caps) < 0)
		return -errno;
	caps[0].effective &= ~(1U << CAP_SYS_NICE);
	return syscall(SYS_capset, &header, caps) < 0 ? -errno : 0;
}

static int64_t call_as(const expect_target *vmm, expect_fn *lose)
{
	expect_target caller = expect_target_start();
	int64_t r = expect_setup(EXPECT_RUN(&caller, lose, 0), "drop rights");

	r = EXPECT_RUN(&caller, call_collapse, (uint64_t)vmm->pidfd, (uint64_t)(uintptr_t)vmm->addr,
		       vmm->bytes);
	expect_target_stop(&caller);
	return r;
}

int main(void)
{
	expect t = expect_begin(4);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	expect_target_fill(&vmm);
	expect_is(&t, call_as(&vmm, become_nobody), -EACCES, "other uid, no ptrace right");
	expect_is(&t, call_as(&vmm, drop_sys_nice), -EPERM, "ptrace right, no CAP_SYS_NICE");
	expect_is(&t, expect_is_huge(&vmm, 0), 0, "nothing was done by either");
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)vmm.bytes, "with both rights");
	expect_target_stop(&vmm);
	return expect_end(&t);
}
