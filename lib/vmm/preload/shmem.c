/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shmem.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

static bool is_tmpfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static bool is_file(const struct place_request *q)
{
	int type = q->flags & MAP_TYPE;

	return (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) && !(q->flags & MAP_ANONYMOUS) &&
	       q->fd >= 0 && q->offset >= 0 && is_tmpfs(q->fd);
}

bool shmem_is_shared(const struct place_request *q)
{
	return shmem_is_anonymous(q) || is_file(q);
}

bool shmem_is_anonymous(const struct place_request *q)
{
	return (q->flags & MAP_TYPE) == MAP_SHARED &&
	       (q->flags & (MAP_ANONYMOUS | MAP_HUGETLB)) == MAP_ANONYMOUS;
}

uint64_t shmem_offset(const struct place_request *q)
{
	return shmem_is_anonymous(q) ? 0 : (uint64_t)q->offset;
}
