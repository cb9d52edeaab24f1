/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "relocate.h"

#include "array.h"
#include "bits.h"

struct planning {
	struct moves moves;
	uint64_t batch_bytes, move_bytes; /* at most */
	uint64_t filled_bytes;		  /* of the last batch */
};

static bool is_wanted(const struct piece *piece, enum relocation what)
{
	if (what == RELOCATE_HOLES)
		return piece->state == PIECE_HOLE;
	return piece->state == PIECE_MISALIGNED || piece->state == PIECE_SPLIT;
}

static int add(struct planning *p, uint64_t offset, uint64_t bytes, const struct piece *piece)
{
	struct move move = {.offset = offset,
			    .bytes = bytes,
			    .donor_offset = p->filled_bytes,
			    .batch = p->moves.n_batches - 1,
			    .has_data = piece->has_data,
			    .is_split = piece->state == PIECE_SPLIT};

	p->filled_bytes += bytes;
	p->moves.bytes += bytes;
	return ARRAY_APPEND(&p->moves.items, &p->moves.n_items, &move);
}

/* Fills the last batch, then the next ones. */
static int add_piece(struct planning *p, const struct piece *piece)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < piece->bytes) {
		uint64_t n;

		if (p->moves.n_batches == 0 || p->filled_bytes == p->batch_bytes) {
			p->moves.n_batches++;
			p->filled_bytes = 0;
		}
		n = min_u64(piece->bytes - done, p->batch_bytes - p->filled_bytes);
		n = min_u64(n, p->move_bytes);
		r = add(p, piece->offset + done, n, piece);
		done += n;
	}
	return r;
}

static uint64_t in_whole_pieces(uint64_t bytes, uint64_t unit)
{
	return max_u64(align_down(bytes, unit), unit);
}

int relocate_plan(const struct alignment *a, enum relocation what,
		  const struct relocation_limits *limits, struct moves *ret)
{
	struct planning p = {.batch_bytes = in_whole_pieces(limits->batch_bytes, a->unit),
			     .move_bytes = in_whole_pieces(limits->move_bytes, a->unit)};
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n_pieces; i++)
		if (is_wanted(&a->pieces[i], what))
			r = add_piece(&p, &a->pieces[i]);
	if (r < 0) {
		moves_clear(&p.moves);
		return r;
	}
	*ret = p.moves;
	return 0;
}
