/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "array.h"
#include "cleanup.h"
#include "extents.h"
#include "storagefacts.h"

static bool is_file_of(const struct statx *st, const struct region *r)
{
	return S_ISREG(st->stx_mode) && st->stx_ino == r->inode &&
	       st->stx_dev_major == r->dev_major && st->stx_dev_minor == r->dev_minor;
}

/* Held by its place first: the VMM may have mapped another file here, and what it is has to be
 * known before it is opened, which a device or a file system of the VMM's own would notice. */
static int hold_file(int dirfd, const struct region *r, struct statx *st)
{
	_cleanup_close_ int fd = -EBADF;
	char path[64];

	(void)snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)r->start,
		       (unsigned long long)r->end);
	fd = openat(dirfd, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == EPERM || errno == EACCES ? -EACCES : -ENOENT;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, st) < 0 ||
	    !is_file_of(st, r))
		return -ENOENT;
	return TAKE_FD(fd);
}

int mapped_file_open(int dirfd, const struct region *r, int flags)
{
	struct statx st;
	_cleanup_close_ int held_fd = hold_file(dirfd, r, &st);

	if (held_fd < 0)
		return held_fd == -EACCES ? -EACCES : -ESRCH;
	return sys_reopen(held_fd, flags);
}

static int add_extent(const struct region *r, const struct extent *x, struct extent **list,
		      size_t *n)
{
	uint64_t first = r->file_offset, last = sat_add_u64(first, r->end - r->start);
	uint64_t start = max_u64(x->logical, first),
		 end = min_u64(sat_add_u64(x->logical, x->bytes), last);
	struct extent part = {.logical = r->start + (start - first),
			      .physical = sat_add_u64(x->physical, start - x->logical),
			      .bytes = end - start,
			      .flags = x->flags};

	return start < end ? ARRAY_APPEND(list, n, &part) : 0;
}

int mapped_extents_read(int fd, uint64_t base_bytes, struct region *r, struct extent **list,
			size_t *n, size_t max)
{
	_cleanup_(layout_clear) struct layout layout = LAYOUT_INIT;
	int e = extents_read_range(fd, base_bytes, r->file_offset,
				   sat_add_u64(r->file_offset, r->end - r->start), max - *n,
				   &layout);

	for (size_t i = 0; e == 0 && i < layout.n_extents; i++)
		e = add_extent(r, &layout.extents[i], list, n);
	if (e == 0) {
		r->file_bytes = layout.size_bytes;
		r->are_extents_known = true;
	}
	return e;
}

static int read_layout(struct sys *sys, int held_fd, struct region *r, struct extent **list,
		       size_t *n, size_t max)
{
	_cleanup_close_ int fd = sys_reopen(held_fd, O_RDONLY);
	struct storage storage;

	/* Where the file system begins somewhere in another device (LVM), places say nothing. */
	if (fd < 0 || storage_read(sys, fd, &storage) < 0 || !storage.is_base_known)
		return 0;
	return mapped_extents_read(fd, storage.base_bytes, r, list, n, max) == -ENOMEM ? -ENOMEM
										       : 0;
}

int mapped_file_read(struct sys *sys, const struct process *p, struct region *r,
		     struct extent **list, size_t *n, size_t max)
{
	struct statx st;
	_cleanup_close_ int fd = hold_file(p->dirfd, r, &st);

	r->can_dax = storage_device_can_dax(sys, r->dev_major, r->dev_minor);
	if (fd < 0 || !(st.stx_attributes_mask & STATX_ATTR_DAX))
		return 0;
	r->is_dax = st.stx_attributes & STATX_ATTR_DAX ? ANSWER_YES : ANSWER_NO;
	/* The inode knows better than the options of the mount. */
	r->backing = r->is_dax == ANSWER_YES ? BACKING_FSDAX : BACKING_FILE;
	return r->is_dax == ANSWER_YES ? read_layout(sys, fd, r, list, n, max) : 0;
}
