/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hole.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cleanup.h"
#include "mapped_file.h"
#include "thread_policy.h"

static int check_seals(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_WRITE) ? -EPERM : 0;
}

/* Where the next data are tells whether there are any before. */
static int check_hole(int fd, off_t offset, off_t end)
{
	off_t data = lseek(fd, offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? 0 : -errno;
	return data < end ? -EEXIST : 0;
}

static int allocate_page(int fd, off_t offset)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, sysconf(_SC_PAGESIZE)) < 0 ? -errno : 0;
}

/* Elsewhere it might take what is to be left free there. */
static int allocate_page_on(int fd, off_t offset, int node)
{
	struct thread_policy before;
	int r;

	if (node < 0)
		return allocate_page(fd, offset);
	if (thread_policy_prefer(node, &before) < 0)
		return -ENODEV;
	r = allocate_page(fd, offset);
	thread_policy_restore(&before);
	return r;
}

static int seed(int fd, const struct hole *hole)
{
	const struct region *r = hole->region;
	off_t offset = (off_t)(r->file_offset + (hole->start - r->start)),
	      size = lseek(fd, 0, SEEK_END);
	int e;

	if (size < 0)
		return -errno;
	if (offset < 0 || size - offset < (off_t)hole->bytes)
		return -EINVAL;
	e = check_seals(fd);
	if (e == 0)
		e = check_hole(fd, offset, offset + (off_t)hole->bytes);
	return e < 0 ? e : allocate_page_on(fd, offset, hole->node);
}

int hole_seed(int dirfd, const struct hole *hole)
{
	_cleanup_close_ int fd = mapped_file_open(dirfd, hole->region, O_RDWR);

	return fd < 0 ? fd : seed(fd, hole);
}
