/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys.h"

#include <assert.h>

#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "cleanup.h"
#include "hole.h"
#include "parse.h"

/* uapi numbers that Debian 12's headers may lack. */
enum { ADVICE_COLLAPSE = 25 };
#define IOCTL_PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)

static_assert(sizeof(struct pm_scan_arg) == 96, "PAGEMAP_SCAN checks the size of its argument");
static_assert(sizeof(struct page_region) == 24, "ABI of PAGEMAP_SCAN");

static int real_pidfd_open(struct sys *sys, pid_t pid)
{
	(void)sys;
	/* The kernel sets O_CLOEXEC on pidfds by itself. */
	long fd = syscall(SYS_pidfd_open, pid, 0U);

	return fd < 0 ? -errno : (int)fd;
}

static int real_pidfd_is_alive(struct sys *sys, int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int r;

	(void)sys;
	if (pidfd < 0)
		return -EBADF;
	do
		r = poll(&p, 1, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return r == 0;
}

static ssize_t real_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes)
{
	struct iovec range = {.iov_base = (void *)(uintptr_t)start, .iov_len = bytes};
	long r;

	(void)sys;
	(void)pid;
	r = syscall(SYS_process_madvise, pidfd, &range, 1UL, ADVICE_COLLAPSE, 0U);
	return r < 0 ? -errno : (ssize_t)r;
}

static int real_seed_hole(struct sys *sys, int dirfd, pid_t pid, const struct hole *hole)
{
	(void)sys;
	(void)pid;
	return hole_seed(dirfd, hole);
}

static int real_pagemap_scan(struct sys *sys, int pagemap_fd, pid_t pid, struct pm_scan_arg *arg)
{
	int r;

	(void)sys;
	(void)pid;
	if (pagemap_fd < 0)
		return -EACCES;
	r = ioctl(pagemap_fd, IOCTL_PAGEMAP_SCAN, arg);
	return r < 0 ? -errno : r;
}

static ssize_t read_entries(int fd, uint64_t first, uint64_t *entries, size_t n)
{
	ssize_t r;

	if (fd < 0)
		return -EACCES;
	r = pread(fd, entries, n * sizeof(*entries), (off_t)(first * sizeof(*entries)));
	return r < 0 ? -errno : r / (ssize_t)sizeof(*entries);
}

static ssize_t real_pagemap_read(struct sys *sys, int pagemap_fd, pid_t pid, uint64_t first_page,
				 uint64_t *entries, size_t n)
{
	(void)sys;
	(void)pid;
	return read_entries(pagemap_fd, first_page, entries, n);
}

static ssize_t real_kpageflags_read(struct sys *sys, pfn_t first, uint64_t *flags, size_t n)
{
	return read_entries(sys->kpageflags_fd, first, flags, n);
}

static_assert(sizeof(hva_t) == sizeof(void *), "addresses are handed over as they are");

static long real_move_pages(struct sys *sys, pid_t pid, size_t n, const hva_t *pages,
			    const int *nodes, int *status, int flags)
{
	long r;

	(void)sys;
	r = move_pages(pid, n, (void **)(uintptr_t)pages, nodes, status, flags);
	return r < 0 ? -errno : r;
}

static uint64_t real_now_ns(struct sys *sys)
{
	struct timespec t;

	(void)sys;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static uint64_t real_page_bytes(struct sys *sys)
{
	(void)sys;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int real_release(struct sys *sys, char *buffer, size_t size)
{
	struct utsname u;

	(void)sys;
	if (uname(&u) < 0)
		return -errno;
	(void)snprintf(buffer, size, "%s", u.release);
	return 0;
}

const struct sys_ops sys_real_ops = {
	.pidfd_open = real_pidfd_open,
	.pidfd_is_alive = real_pidfd_is_alive,
	.collapse = real_collapse,
	.seed_hole = real_seed_hole,
	.pagemap_scan = real_pagemap_scan,
	.pagemap_read = real_pagemap_read,
	.kpageflags_read = real_kpageflags_read,
	.move_pages = real_move_pages,
	.now_ns = real_now_ns,
	.page_bytes = real_page_bytes,
	.release = real_release,
};

int sys_open_host(struct sys *ret)
{
	_cleanup_close_ int rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (rootfd < 0)
		return -errno;
	*ret = (struct sys)SYS_INIT;
	ret->kpageflags_fd = openat(rootfd, "proc/kpageflags", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ret->rootfd = TAKE_FD(rootfd);
	ret->ops = &sys_real_ops;
	return 0;
}

void sys_close(struct sys *sys)
{
	sys->rootfd = close_fd(sys->rootfd);
	sys->kpageflags_fd = close_fd(sys->kpageflags_fd);
}

/* O_NONBLOCK: a recorded tree may hold a FIFO by mistake; opening it must not hang. */
static int open_below(int dirfd, const char *path, int flags)
{
	int fd;

	/* openat() would ignore dirfd. */
	if (path[0] == '/')
		return -EINVAL;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | flags);
	return fd < 0 ? -errno : fd;
}

/* Reads until the end or until size bytes are there; bytes read or -errno. */
static ssize_t read_fully(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t r = read(fd, buffer + done, size - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

ssize_t sys_read_at(int dirfd, const char *path, char *buffer, size_t size)
{
	_cleanup_close_ int fd = open_below(dirfd, path, 0);
	ssize_t r;

	if (fd < 0)
		return fd;
	r = read_fully(fd, buffer, size);
	if (r < 0)
		return r;
	/* No room for the NUL: there may be more. */
	if ((size_t)r == size)
		return -EFBIG;
	buffer[r] = '\0';
	return r;
}

static int grow(char **text, size_t *size, size_t max)
{
	size_t bigger = *size >= max / 2 ? max : *size * 2;
	char *p = realloc(*text, bigger + 1);

	if (!p)
		return -ENOMEM;
	*text = p;
	*size = bigger;
	return 0;
}

int sys_read_all(int fd, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 16384, used = 0;

	for (;;) {
		ssize_t r;

		/* One byte more than max is read, so that a longer file is noticed. */
		if (!text || used == size) {
			int e = grow(&text, &size, max + 1);

			if (e < 0)
				return e;
		}
		r = read_fully(fd, text + used, size - used);
		if (r < 0)
			return (int)r;
		used += (size_t)r;
		if (used > max)
			return -EFBIG;
		if (used < size)
			break;
	}
	text[used] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = used;
	return 0;
}

int sys_read_all_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = open_below(dirfd, path, 0);

	return fd < 0 ? fd : sys_read_all(fd, max, ret, ret_size);
}

int sys_reopen(int held_fd, int flags)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held_fd);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

int sys_read_number_at(int dirfd, const char *path, uint64_t *ret)
{
	char text[32];
	ssize_t n = sys_read_at(dirfd, path, text, sizeof(text));

	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return strncmp(text, "0x", 2) == 0 ? parse_hex_u64(text, ret) : parse_u64(text, ret);
}

ssize_t sys_readlink_at(int dirfd, const char *path, char *buffer, size_t size)
{
	ssize_t r;

	if (path[0] == '/' || size == 0)
		return -EINVAL;
	r = readlinkat(dirfd, path, buffer, size - 1);
	if (r < 0)
		return -errno;
	buffer[r] = '\0';
	return r;
}

int sys_open_directory_at(int dirfd, const char *path)
{
	return open_below(dirfd, path, O_DIRECTORY);
}

int sys_opendir_at(int dirfd, const char *path, DIR **ret)
{
	_cleanup_close_ int fd = sys_open_directory_at(dirfd, path);
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	(void)TAKE_FD(fd);
	*ret = d;
	return 0;
}
