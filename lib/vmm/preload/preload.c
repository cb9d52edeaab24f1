/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What LD_PRELOAD puts before the C library's functions, and nothing else: each looks whether the
 * call concerns thpd, and otherwise makes it as it came. */

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "place.h"

#define INTERPOSED __attribute__((visibility("default")))

static void *(*next_mmap)(void *, size_t, int, int, int, off_t);

/* Another object's constructor may map before this one has run: see plain_mmap(). */
__attribute__((constructor)) static void find_next(void)
{
	*(void **)&next_mmap = dlsym(RTLD_NEXT, "mmap");
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

	return got ? got : plain_mmap(&q);
}

INTERPOSED void *mmap64(void *addr, size_t bytes, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, bytes, prot, flags, fd, offset);
}
