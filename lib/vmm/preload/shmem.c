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

bool shmem_is_shared(const struct place_request *q)
{
	int type = q->flags & MAP_TYPE;

	return (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) && q->fd >= 0 &&
	       q->offset >= 0 && is_tmpfs(q->fd);
}
