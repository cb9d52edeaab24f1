/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hole.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cleanup.h"
#include "mapped_file.h"

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

static int seed(int fd, const struct region *r, hva_t block, uint64_t bytes)
{
	off_t offset = (off_t)(r->file_offset + (block - r->start)), size = lseek(fd, 0, SEEK_END);
	int e;

	if (size < 0)
		return -errno;
	if (offset < 0 || size - offset < (off_t)bytes)
		return -EINVAL;
	e = check_seals(fd);
	if (e == 0)
		e = check_hole(fd, offset, offset + (off_t)bytes);
	if (e < 0)
		return e;
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, sysconf(_SC_PAGESIZE)) < 0 ? -errno : 0;
}

int hole_seed(int dirfd, const struct region *r, hva_t block, uint64_t bytes)
{
	_cleanup_close_ int fd = mapped_file_open(dirfd, r, O_RDWR);

	return fd < 0 ? fd : seed(fd, r, block, bytes);
}
