/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "align.h"

#include <errno.h>

#include "array.h"
#include "bits.h"

struct judging {
	const struct layout *layout;
	uint64_t whole_bytes; /* of the file, in whole pieces */
	size_t next;	      /* the first extent that ends behind `offset` */
	uint64_t offset;
	struct alignment *alignment;
};

static uint64_t end_of(const struct extent *x)
{
	return sat_add_u64(x->logical, x->bytes);
}

static bool is_like(const struct piece *a, const struct piece *b)
{
	return a->state == b->state && a->off_by == b->off_by &&
	       a->is_unwritten == b->is_unwritten && a->is_shared == b->is_shared &&
	       a->has_data == b->has_data;
}

static int add(struct judging *j, const struct piece *piece)
{
	struct alignment *a = j->alignment;

	a->by_state[piece->state] += piece->bytes;
	a->unwritten_bytes += piece->is_unwritten ? piece->bytes : 0;
	a->shared_bytes += piece->is_shared ? piece->bytes : 0;
	j->offset = piece->offset + piece->bytes;
	if (a->n_pieces > 0 && is_like(&a->pieces[a->n_pieces - 1], piece)) {
		a->pieces[a->n_pieces - 1].bytes += piece->bytes;
		return 0;
	}
	return ARRAY_APPEND(&a->pieces, &a->n_pieces, piece);
}

static const struct extent *find_next(struct judging *j)
{
	const struct layout *l = j->layout;

	while (j->next < l->n_extents && end_of(&l->extents[j->next]) <= j->offset)
		j->next++;
	return j->next < l->n_extents ? &l->extents[j->next] : NULL;
}

static int judge_hole(struct judging *j, const struct extent *next)
{
	uint64_t end = next ? min_u64(align_down(next->logical, j->alignment->unit), j->whole_bytes)
			    : j->whole_bytes;
	struct piece piece = {.offset = j->offset, .bytes = end - j->offset, .state = PIECE_HOLE};

	return add(j, &piece);
}

/* As many pieces as lie in this one extent. */
static int judge_within(struct judging *j, const struct extent *x)
{
	uint64_t unit = j->alignment->unit;
	uint64_t end = min_u64(align_down(end_of(x), unit), j->whole_bytes);
	struct piece piece = {
		.offset = j->offset,
		.bytes = end - j->offset,
		.off_by = (x->physical + (j->offset - x->logical)) & (unit - 1),
		.is_unwritten = (x->flags & EXTENT_UNWRITTEN) != 0,
		.is_shared = (x->flags & EXTENT_SHARED) != 0,
		.has_data = (x->flags & EXTENT_UNWRITTEN) == 0,
	};

	piece.state = piece.off_by ? PIECE_MISALIGNED : PIECE_ALIGNED;
	if (x->flags & EXTENT_UNPLACED) {
		piece.state = PIECE_UNPLACED;
		piece.off_by = 0;
	}
	return add(j, &piece);
}

/* One piece that no single extent holds. */
static int judge_split(struct judging *j)
{
	struct piece piece = {
		.offset = j->offset, .bytes = j->alignment->unit, .state = PIECE_SPLIT};
	const struct layout *l = j->layout;

	for (size_t i = j->next;
	     i < l->n_extents && l->extents[i].logical < piece.offset + piece.bytes; i++) {
		piece.is_unwritten |= (l->extents[i].flags & EXTENT_UNWRITTEN) != 0;
		piece.has_data |= (l->extents[i].flags & EXTENT_UNWRITTEN) == 0;
		piece.is_shared |= (l->extents[i].flags & EXTENT_SHARED) != 0;
		if (l->extents[i].flags & EXTENT_UNPLACED)
			piece.state = PIECE_UNPLACED;
	}
	return add(j, &piece);
}

static int judge_next(struct judging *j)
{
	const struct extent *x = find_next(j);
	uint64_t end = j->offset + j->alignment->unit;

	if (!x || x->logical >= end)
		return judge_hole(j, x);
	if (x->logical <= j->offset && end_of(x) >= end)
		return judge_within(j, x);
	return judge_split(j);
}

static int judge_tail(struct judging *j)
{
	struct piece piece = {.offset = j->whole_bytes,
			      .bytes = j->layout->size_bytes - j->whole_bytes,
			      .state = PIECE_TAIL};

	return piece.bytes > 0 ? add(j, &piece) : 0;
}

int align_judge(const struct layout *l, uint64_t unit, struct alignment *ret)
{
	struct alignment alignment = {.unit = unit, .size_bytes = l->size_bytes};
	struct judging j = {.layout = l,
			    .whole_bytes = align_down(l->size_bytes, unit),
			    .alignment = &alignment};
	int r = 0;

	while (r == 0 && j.offset < j.whole_bytes)
		r = judge_next(&j);
	if (r == 0)
		r = judge_tail(&j);
	if (r < 0) {
		alignment_clear(&alignment);
		return r;
	}
	*ret = alignment;
	return 0;
}
