/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shape.h"

#include "array.h"
#include "bits.h"

/* Extends the last cut if it touches it. */
static int add_cut(struct shape *s, uint64_t start, uint64_t end)
{
	struct cut *last = s->n_cuts > 0 ? &s->cuts[s->n_cuts - 1] : NULL;
	struct cut cut = {.offset = start, .bytes = end - start};

	if (start >= end)
		return 0;
	if (last && last->offset + last->bytes == start) {
		last->bytes += cut.bytes;
		return 0;
	}
	return ARRAY_APPEND(&s->cuts, &s->n_cuts, &cut);
}

/* The aligned part of an extent, at most `wanted` bytes of it; empty if there is none. */
static struct cut usable_part(const struct extent *x, uint64_t unit, uint64_t wanted)
{
	uint64_t head = align_up(x->physical, unit) - x->physical;
	struct cut part = {.offset = x->logical};

	if (x->flags & (EXTENT_UNPLACED | EXTENT_SHARED) || head >= x->bytes)
		return part;
	part.offset = x->logical + head;
	part.bytes = min_u64(align_down(x->bytes - head, unit), wanted);
	return part;
}

int shape_plan(const struct layout *l, uint64_t unit, uint64_t wanted_bytes, struct shape *ret)
{
	struct shape s = SHAPE_INIT;
	uint64_t done = 0; /* of the file: kept or cut up to here */
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n_extents && s.aligned_bytes < wanted_bytes; i++) {
		struct cut part = usable_part(&l->extents[i], unit, wanted_bytes - s.aligned_bytes);

		if (part.bytes == 0)
			continue;
		r = add_cut(&s, done, part.offset);
		s.aligned_bytes += part.bytes;
		done = part.offset + part.bytes;
	}
	if (r == 0)
		r = add_cut(&s, done, l->size_bytes);
	if (r < 0) {
		shape_clear(&s);
		return r;
	}
	*ret = s;
	return 0;
}
