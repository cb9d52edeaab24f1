/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What LD_PRELOAD puts before the C library's functions: each looks whether the call concerns thpd,
 * and otherwise makes it as it came. And one of its own. */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "born.h"
#include "kvm_calls.h"
#include "place.h"

#define INTERPOSED __attribute__((visibility("default")))

typedef int thread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static void *(*next_mmap)(void *, size_t, int, int, int, off_t);
static int (*next_munmap)(void *, size_t);
static int (*next_ioctl)(int, unsigned long, ...);
static int (*next_close)(int);
static int (*next_close_range)(unsigned int, unsigned int, int);
static void (*next_closefrom)(int);
static int (*next_dup2)(int, int);
static int (*next_dup3)(int, int, int);
static thread_create *next_pthread_create;

/* Another object's constructor may call before this one has run: see plain_mmap(). */
__attribute__((constructor)) static void find_next(void)
{
	*(void **)&next_mmap = dlsym(RTLD_NEXT, "mmap");
	*(void **)&next_munmap = dlsym(RTLD_NEXT, "munmap");
	*(void **)&next_ioctl = dlsym(RTLD_NEXT, "ioctl");
	*(void **)&next_close = dlsym(RTLD_NEXT, "close");
	*(void **)&next_close_range = dlsym(RTLD_NEXT, "close_range");
	*(void **)&next_closefrom = dlsym(RTLD_NEXT, "closefrom");
	*(void **)&next_dup2 = dlsym(RTLD_NEXT, "dup2");
	*(void **)&next_dup3 = dlsym(RTLD_NEXT, "dup3");
	*(void **)&next_pthread_create = dlsym(RTLD_NEXT, "pthread_create");
	born_init();
	kvm_calls_init(next_ioctl, next_pthread_create);
}

static void *plain_mmap(const struct place_request *q)
{
	if (next_mmap)
		return next_mmap(q->addr, q->bytes, q->prot, q->flags, q->fd, q->offset);
	return (void *)syscall(SYS_mmap, q->addr, q->bytes, q->prot, q->flags, q->fd, q->offset);
}

INTERPOSED void *mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	const struct place_request q = {addr, bytes, prot, flags, fd, offset};
	void *got = place_aligned(&q);

	if (!got)
		got = plain_mmap(&q);
	born_mapped(&q, got);
	return got;
}

INTERPOSED void *mmap64(void *addr, size_t bytes, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, bytes, prot, flags, fd, offset);
}

INTERPOSED int munmap(void *addr, size_t bytes)
{
	born_unmapped(addr, bytes);
	return next_munmap ? next_munmap(addr, bytes) : (int)syscall(SYS_munmap, addr, bytes);
}

INTERPOSED int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	born_before_ioctl(request, argument);
	if (next_ioctl)
		return kvm_calls_ioctl(fd, request, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

INTERPOSED int close(int fd)
{
	if (!kvm_calls_may_close(fd)) {
		errno = EBADF;
		return -1;
	}
	return next_close ? next_close(fd) : (int)syscall(SYS_close, fd);
}

static int plain_close_range(unsigned int first, unsigned int last, int flags)
{
	if (next_close_range)
		return next_close_range(first, last, flags);
	return (int)syscall(SYS_close_range, first, last, flags);
}

INTERPOSED int close_range(unsigned int first, unsigned int last, int flags)
{
	int own;

	if (flags & (int)CLOSE_RANGE_CLOEXEC)
		return plain_close_range(first, last, flags);
	while ((own = kvm_calls_before_close_range(first, last)) >= 0) {
		unsigned int kept = (unsigned int)own;

		if (kept > first && plain_close_range(first, kept - 1, flags) < 0)
			return -1;
		if (kept == last)
			return 0;
		first = kept + 1;
	}
	return plain_close_range(first, last, flags);
}

/* The C library's goes by /proc where the kernel has no close_range(). */
INTERPOSED void closefrom(int first)
{
	if (close_range(first < 0 ? 0 : (unsigned int)first, UINT_MAX, 0) < 0 && next_closefrom)
		next_closefrom(first);
}

INTERPOSED int dup2(int from, int to)
{
	if (from != to)
		(void)kvm_calls_may_close(to);
	return next_dup2 ? next_dup2(from, to) : (int)syscall(SYS_dup3, from, to, 0);
}

INTERPOSED int dup3(int from, int to, int flags)
{
	(void)kvm_calls_may_close(to);
	return next_dup3 ? next_dup3(from, to, flags) : (int)syscall(SYS_dup3, from, to, flags);
}

/* For thpd_vmm_new() of libthpd-vmm, which looks whether it is there. */
INTERPOSED void thpd_vmm_preload_yield(void);
INTERPOSED void thpd_vmm_preload_yield(void)
{
	kvm_calls_yield();
}

INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			      void *(*start)(void *), void *argument)
{
	born_before_thread();
	if (!next_pthread_create)
		find_next();
	return next_pthread_create(thread, attributes, start, argument);
}
