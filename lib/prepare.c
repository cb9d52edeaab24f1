/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prepare.h"

#include <errno.h>

#include "bits.h"
#include "cleanup.h"
#include "extents.h"
#include "shape.h"
#include "space.h"

enum {
	RESERVE_MIN_BYTES = 64 << 20,
	RESERVE_PARTS = 100,
	PIECES_AT_LEAST = 16,
	GRAIN_BYTES = 2 << 20,
	EXT4_STEP_BYTES = 64 << 20,
};

/* What is never taken. */
static uint64_t reserve_of(uint64_t free_bytes)
{
	return max_u64(free_bytes / RESERVE_PARTS, RESERVE_MIN_BYTES);
}

/* How the file would be cut now. */
static int plan(int fd, const struct storage *s, uint64_t unit, uint64_t bytes, struct shape *ret)
{
	_cleanup_(layout_clear) struct layout layout = LAYOUT_INIT;
	int r = extents_read(fd, s->base_bytes, &layout);

	return r < 0 ? r : shape_plan(&layout, unit, bytes, ret);
}

/* What may be taken. */
static int read_room(int fd, uint64_t *ret)
{
	uint64_t free_bytes;
	int r = space_free_bytes(fd, &free_bytes);

	if (r == 0)
		*ret = sat_sub_u64(free_bytes, reserve_of(free_bytes));
	return r;
}

/* ext4 keeps an unwritten extent below 128 MiB: steps of half of it make each boundary between two
 * extents one of pieces. XFS does best with all at once. */
static uint64_t step_of(const struct storage *s, uint64_t unit)
{
	return s->filesystem == FILESYSTEM_EXT4 ? max_u64(unit, EXT4_STEP_BYTES) : UINT64_MAX;
}

/* What is still missing, and some pieces more, since not all of it will be aligned; as far as the
 * room goes. */
static int extend(int fd, const struct storage *s, uint64_t unit, uint64_t missing_bytes,
		  uint64_t *searched_bytes)
{
	uint64_t room = 0, bytes;
	int r = read_room(fd, &room);

	if (r < 0)
		return r;
	bytes = align_down(min_u64(sat_add_u64(missing_bytes, PIECES_AT_LEAST * unit), room),
			   GRAIN_BYTES);
	if (bytes == 0)
		return -ENOSPC;
	*searched_bytes += bytes;
	return space_extend(fd, bytes, step_of(s, unit));
}

int prepare_aligned(int fd, const struct storage *s, uint64_t unit, uint64_t bytes,
		    uint64_t *ret_searched_bytes)
{
	_cleanup_(shape_clear) struct shape shape = SHAPE_INIT;
	uint64_t searched_bytes = 0, room = 0;
	int r = read_room(fd, &room);

	/* Not all of the room is taken to find that out. */
	if (r == 0 && bytes > room)
		r = -ENOSPC;
	while (r == 0 && shape.aligned_bytes < bytes) {
		r = extend(fd, s, unit, bytes - shape.aligned_bytes, &searched_bytes);
		shape_clear(&shape);
		if (r == 0)
			r = plan(fd, s, unit, bytes, &shape);
	}
	if (r == 0)
		r = space_cut(fd, &shape);
	*ret_searched_bytes = searched_bytes;
	return r;
}
