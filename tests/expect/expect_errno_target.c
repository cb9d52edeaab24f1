/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.5: what process_madvise says of targets that are no target: ESRCH for a dead process
 * and for a kernel thread, EBADF for an fd that is none or no pidfd, EFAULT for a bad iovec of the
 * caller. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* pid 2 is kthreadd unless we live in a pid namespace of our own */
static bool is_kthreadd_visible(void)
{
	char name[32] = "";
	FILE *f = fopen("/proc/2/comm", "re");

	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		(void)fclose(f);
	}
	return strcmp(name, "kthreadd\n") == 0;
}

static void kernel_thread(expect *t, const struct iovec *iov)
{
	int pidfd = is_kthreadd_visible() ? (int)syscall(SYS_pidfd_open, 2, 0) : -1;

	if (pidfd < 0) {
		expect_skip(t, "no kernel thread visible in this pid namespace", "kernel thread");
		return;
	}
	expect_is(t, expect_collapse_iov(pidfd, iov, 1, MADV_COLLAPSE), -ESRCH, "kernel thread");
	(void)close(pidfd);
}

int main(void)
{
	expect t = expect_begin(6);
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	const struct iovec iov = {vmm.addr, vmm.bytes};
	const struct iovec *bad = (const struct iovec *)8;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	siginfo_t info;

	expect_target_fill(&vmm);
	kernel_thread(&t, &iov);
	expect_is(&t, expect_collapse_iov(vmm.pidfd, bad, 1, MADV_COLLAPSE), -EFAULT,
		  "bad iovec pointer");
	expect_is(&t, expect_collapse_iov(-1, &iov, 1, MADV_COLLAPSE), -EBADF, "no fd");
	expect_is(&t, expect_collapse_iov(file, &iov, 1, MADV_COLLAPSE), -EBADF,
		  "an fd that is no pidfd");
	(void)kill(vmm.pid, SIGKILL);
	(void)waitid(P_PID, (id_t)vmm.pid, &info, WEXITED | WNOWAIT);
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -ESRCH, "dead, not reaped");
	(void)waitpid(vmm.pid, NULL, 0);
	expect_is(&t, expect_collapse_blocks(&vmm, 0, 1), -ESRCH, "dead and reaped");
	return expect_end(&t);
}
