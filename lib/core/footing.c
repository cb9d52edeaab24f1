/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "footing.h"

#include "align.h"

/* The first extent at or behind `address`. */
static size_t find_extent(const struct snapshot *s, hva_t address)
{
	size_t low = 0, high = s->n_extents;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->extents[middle].logical < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where the file ends, by address, or the region, whichever comes first. */
static hva_t end_of(const struct region *r)
{
	uint64_t bytes = sat_sub_u64(r->file_bytes, r->file_offset);

	return r->start + min_u64(bytes, r->end - r->start);
}

/* Address and place in the file agree modulo the block size, so pieces of the address space are
 * pieces of the file; what lies before the region is a hole to align_judge(), and in no block of
 * it. */
int footing_of(const struct snapshot *s, const struct region *r, struct footing *ret)
{
	size_t first = find_extent(s, r->start), last = find_extent(s, r->end);
	struct layout layout = {
		.extents = s->extents + first, .n_extents = last - first, .size_bytes = end_of(r)};

	*ret = (struct footing){.next = 0};
	return align_judge(&layout, block_bytes(&s->geometry), &ret->alignment);
}

void footing_clear(struct footing *f)
{
	alignment_clear(&f->alignment);
}

const struct piece *footing_at(struct footing *f, hva_t start, hva_t *end)
{
	const struct alignment *a = &f->alignment;
	const struct piece *piece;

	while (f->next < a->n_pieces &&
	       a->pieces[f->next].offset + a->pieces[f->next].bytes <= start)
		f->next++;
	if (f->next == a->n_pieces)
		return NULL;
	piece = &a->pieces[f->next];
	/* The tail is part of a block, and stands for all of it. */
	if (piece->state != PIECE_TAIL)
		*end = min_u64(*end, piece->offset + piece->bytes);
	else
		*end = min_u64(*end, align_up(piece->offset + piece->bytes, a->unit));
	return piece;
}

enum reason footing_reason(const struct snapshot *s, const struct piece *piece)
{
	if (!piece)
		return REASON_DAX_TAIL;
	if (piece->state != PIECE_ALIGNED)
		return piece_state_reason(piece->state);
	/* Without it a page table is read by its pages, which look the same mapped huge or not. */
	return s->host.features & FEATURE_PAGEMAP_SCAN ? REASON_DAX_PTE_ENTRIES
						       : REASON_DAX_LIKELY_HUGE;
}
