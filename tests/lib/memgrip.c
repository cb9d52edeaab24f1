/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memgrip.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

int memgrip_pin(void *addr, uint64_t bytes)
{
	struct io_uring_params params = {0};
	struct iovec iov = {.iov_base = addr, .iov_len = bytes};
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params), r;

	if (ring < 0)
		return -errno;
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1) == 0)
		return ring;
	r = -errno;
	(void)close(ring);
	return r;
}

/* What each mode needs beyond anonymous memory. */
static uint64_t features_of(uint64_t mode)
{
	switch (mode) {
	case UFFDIO_REGISTER_MODE_WP:
		return UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
	case UFFDIO_REGISTER_MODE_MINOR:
		return UFFD_FEATURE_MINOR_SHMEM;
	default:
		return 0;
	}
}

int memgrip_arm(void *addr, uint64_t bytes, uint64_t mode)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features_of(mode)};
	struct uffdio_register area = {
		.range = {.start = (uintptr_t)addr, .len = bytes},
		.mode = mode,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY), r;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &area) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

/* The userfaultfd stays; nothing else that was inherited does. */
static _Noreturn void be_pager(int uffd, memgrip_forget *forget, void *userdata)
{
	(void)prctl(PR_SET_NAME, "pager", 0, 0, 0); /* no rule for holders claims it */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	forget(userdata);
	(void)dup2(uffd, STDIN_FILENO);
	(void)syscall(SYS_close_range, STDOUT_FILENO, UINT_MAX, 0);
	for (;;)
		pause();
}

int memgrip_start_pager(pid_t *pager, void *addr, uint64_t bytes, uint64_t mode,
			memgrip_forget *forget, void *userdata)
{
	int uffd = *pager ? -EBUSY : memgrip_arm(addr, bytes, mode), r;
	pid_t child;

	if (uffd < 0)
		return uffd;
	child = fork();
	r = child < 0 ? -errno : 0;
	if (child == 0)
		be_pager(uffd, forget, userdata);
	(void)close(uffd);
	if (r == 0)
		*pager = child;
	return r;
}

int memgrip_end_pager(pid_t *pager)
{
	if (!*pager)
		return -ESRCH;
	(void)kill(*pager, SIGKILL);
	(void)waitpid(*pager, NULL, 0);
	*pager = 0;
	return 0;
}
