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

/* What does not lie behind the last one was moved there meanwhile: it is left out. */
static int add(struct layout *l, const struct fiemap_extent *x, uint64_t base_bytes)
{
	const struct extent *last = l->n_extents > 0 ? &l->extents[l->n_extents - 1] : NULL;
	struct extent extent = {.logical = x->fe_logical,
				.physical = x->fe_physical + base_bytes,
				.bytes = x->fe_length,
				.flags = flags_of(x)};

	if (extent.bytes == 0 || (last && extent.logical < last->logical + last->bytes))
		return 0;
	if (l->n_extents >= EXTENTS_MAX)
		return -EFBIG;
	return ARRAY_APPEND(&l->extents, &l->n_extents, &extent);
}

/* 1 if there may be more from *offset on, 0 at the end. */
static int read_batch(int fd, struct fiemap *map, uint64_t *offset, uint64_t base_bytes,
		      struct layout *l)
{
	bool is_last = false;

	*map = (struct fiemap){.fm_start = *offset,
			       .fm_length = FIEMAP_MAX_OFFSET - *offset,
			       .fm_extent_count = BATCH};
	if (ioctl(fd, FS_IOC_FIEMAP, map) < 0)
		return -errno;
	for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
		const struct fiemap_extent *x = &map->fm_extents[i];
		int r = add(l, x, base_bytes);

		if (r < 0)
			return r;
		*offset = max_u64(*offset, x->fe_logical + x->fe_length);
		is_last = (x->fe_flags & FIEMAP_EXTENT_LAST) != 0;
	}
	return map->fm_mapped_extents > 0 && !is_last;
}

int extents_read(int fd, uint64_t base_bytes, struct layout *ret)
{
	_cleanup_free_ struct fiemap *map = new_batch();
	struct layout l = LAYOUT_INIT;
	uint64_t offset = 0;
	struct stat st;
	int r = 1;

	if (!map)
		return -ENOMEM;
	while (r > 0)
		r = read_batch(fd, map, &offset, base_bytes, &l);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		layout_clear(&l);
		return r;
	}
	l.size_bytes = (uint64_t)st.st_size;
	*ret = l;
	return 0;
}
