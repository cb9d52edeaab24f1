/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What LD_PRELOAD puts before the C library's functions, and nothing else: each looks whether the
 * call concerns thpd, and otherwise makes it as it came. */

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "born.h"
#include "place.h"

#define INTERPOSED __attribute__((visibility("default")))

typedef int thread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static void *(*next_mmap)(void *, size_t, int, int, int, off_t);
static int (*next_munmap)(void *, size_t);
static int (*next_ioctl)(int, unsigned long, ...);
static thread_create *next_pthread_create;

/* Another object's constructor may call before this one has run: see plain_mmap(). */
__attribute__((constructor)) static void find_next(void)
{
	*(void **)&next_mmap = dlsym(RTLD_NEXT, "mmap");
	*(void **)&next_munmap = dlsym(RTLD_NEXT, "munmap");
	*(void **)&next_ioctl = dlsym(RTLD_NEXT, "ioctl");
	*(void **)&next_pthread_create = dlsym(RTLD_NEXT, "pthread_create");
	born_init();
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
		return next_ioctl(fd, request, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			      void *(*start)(void *), void *argument)
{
	born_before_thread();
	if (!next_pthread_create)
		find_next();
	return next_pthread_create(thread, attributes, start, argument);
}
