/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "extents.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"

enum { BATCH = 2048, EXTENTS_MAX = 1 << 26 };

static struct fiemap *new_batch(void)
{
	struct fiemap *map;

	return malloc(sizeof(*map) + BATCH * sizeof(map->fm_extents[0]));
}

static uint32_t flags_of(const struct fiemap_extent *x)
{
	const uint32_t unplaced = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
				  FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_INLINE |
				  FIEMAP_EXTENT_DATA_TAIL | FIEMAP_EXTENT_NOT_ALIGNED;
	uint32_t flags = 0;

	if (x->fe_flags & FIEMAP_EXTENT_UNWRITTEN)
		flags |= EXTENT_UNWRITTEN;
	if (x->fe_flags & FIEMAP_EXTENT_SHARED)
		flags |= EXTENT_SHARED;
	if (x->fe_flags & unplaced)
		flags |= EXTENT_UNPLACED;
	return flags;
}

struct reading {
	int fd;
	uint64_t base_bytes, offset, end;
	size_t max;
	struct layout layout;
};

/* What does not lie behind the last one was moved there meanwhile: it is left out. */
static int add(struct reading *r, const struct fiemap_extent *x)
{
	struct layout *l = &r->layout;
	const struct extent *last = l->n_extents > 0 ? &l->extents[l->n_extents - 1] : NULL;
	struct extent extent = {.logical = x->fe_logical,
				.physical = x->fe_physical + r->base_bytes,
				.bytes = x->fe_length,
				.flags = flags_of(x)};

	if (extent.bytes == 0 || (last && extent.logical < last->logical + last->bytes))
		return 0;
	if (l->n_extents >= r->max)
		return -EFBIG;
	return ARRAY_APPEND(&l->extents, &l->n_extents, &extent);
}

/* 1 if there may be more, 0 at the end. */
static int read_batch(struct reading *r, struct fiemap *map)
{
	bool is_last = false;

	*map = (struct fiemap){
		.fm_start = r->offset, .fm_length = r->end - r->offset, .fm_extent_count = BATCH};
	if (ioctl(r->fd, FS_IOC_FIEMAP, map) < 0)
		return -errno;
	for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
		const struct fiemap_extent *x = &map->fm_extents[i];
		int e = add(r, x);

		if (e < 0)
			return e;
		r->offset = max_u64(r->offset, x->fe_logical + x->fe_length);
		is_last = (x->fe_flags & FIEMAP_EXTENT_LAST) != 0;
	}
	return map->fm_mapped_extents > 0 && !is_last && r->offset < r->end;
}

int extents_read_range(int fd, uint64_t base_bytes, uint64_t start, uint64_t end, size_t max,
		       struct layout *ret)
{
	struct reading reading = {
		.fd = fd, .base_bytes = base_bytes, .offset = start, .end = end, .max = max};
	_cleanup_free_ struct fiemap *map = new_batch();
	struct stat st;
	int r = 1;

	if (!map)
		return -ENOMEM;
	while (r > 0)
		r = read_batch(&reading, map);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		layout_clear(&reading.layout);
		return r;
	}
	reading.layout.size_bytes = (uint64_t)st.st_size;
	*ret = reading.layout;
	return 0;
}

int extents_read(int fd, uint64_t base_bytes, struct layout *ret)
{
	return extents_read_range(fd, base_bytes, 0, FIEMAP_MAX_OFFSET, EXTENTS_MAX, ret);
}
