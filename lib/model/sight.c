/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sorted list of what was seen. Theory of operation: equal neighbours are one sight, so a new
 * look at a part of the list cuts the sights at its borders, puts the news between the pieces and
 * joins again. Page counts of a cut sight are shared out evenly over its blocks: that is exact up
 * to the coarseness that `fill` has anyway, and keeps every piece within the bounds of its fill. */
#include "sight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "names.h"

static const char *const seen_names[] = {
	[SEEN_UNKNOWN] = "unknown", [SEEN_HUGE] = "huge",   [SEEN_NOTHING] = "nothing",
	[SEEN_FOLIO] = "folio",	    [SEEN_SMALL] = "small", [SEEN_PAGES] = "pages",
	[SEEN_SWAPPED] = "swapped",
};

static_assert(ARRAY_SIZE(seen_names) == SEEN_MAX, "everything seen has a name");

const char *seen_name(enum seen seen)
{
	return name_of(seen_names, ARRAY_SIZE(seen_names), seen);
}

int seen_from_name(const char *name, enum seen *ret)
{
	int r = name_find(seen_names, ARRAY_SIZE(seen_names), name);

	if (r < 0)
		return r;
	*ret = (enum seen)r;
	return 0;
}

static hva_t sight_end(const struct sight *s, const struct mmu_geometry *g)
{
	return s->start + s->blocks * block_bytes(g);
}

bool sight_can_join(const struct sight *a, const struct sight *b, const struct mmu_geometry *g)
{
	return sight_end(a, g) == b->start && a->seen == b->seen && a->fill == b->fill &&
	       a->flags == b->flags && a->node == b->node && a->blocks <= UINT32_MAX - b->blocks;
}

int sight_list_append(struct sight **list, size_t *n, const struct sight *s,
		      const struct mmu_geometry *g)
{
	struct sight *last = *n > 0 ? &(*list)[*n - 1] : NULL;

	if (!last || !sight_can_join(last, s, g))
		return ARRAY_APPEND(list, n, s);
	last->blocks += s->blocks;
	last->present_pages += s->present_pages;
	last->swapped_pages += s->swapped_pages;
	return 0;
}

/* pages * blocks / of_blocks without a product that could wrap: the counts may be anything while
 * the fill is not known. blocks is at most of_blocks. */
static uint64_t share_of(uint64_t pages, uint32_t blocks, uint32_t of_blocks)
{
	return pages / of_blocks * blocks + pages % of_blocks * blocks / of_blocks;
}

struct sight sight_piece(const struct sight *s, uint32_t from, uint32_t to,
			 const struct mmu_geometry *g)
{
	struct sight piece = *s;

	piece.start = s->start + from * block_bytes(g);
	piece.blocks = to - from;
	piece.present_pages = share_of(s->present_pages, to, s->blocks) -
			      share_of(s->present_pages, from, s->blocks);
	piece.swapped_pages = share_of(s->swapped_pages, to, s->blocks) -
			      share_of(s->swapped_pages, from, s->blocks);
	return piece;
}

/* Index of the first sight that ends behind `address`. */
static size_t first_ending_behind(const struct sight *list, size_t n, hva_t address,
				  const struct mmu_geometry *g)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sight_end(&list[middle], g) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A replacement under way: what [start, end) says is replaced. Sights [from, to) of the old list
 * give way to `items`; one neighbour on each side is among them because the news may join with it.
 */
struct splice {
	const struct mmu_geometry *g;
	hva_t start, end;
	size_t from, to;
	struct sight *items; /* owned */
	size_t n_items;
};

static struct splice splice_begin(const struct sight *list, size_t n, hva_t start, hva_t end,
				  const struct mmu_geometry *g)
{
	struct splice splice = {.g = g, .start = start, .end = end};

	splice.from = first_ending_behind(list, n, start, g);
	splice.to = splice.from;
	while (splice.to < n && list[splice.to].start < end)
		splice.to++;
	if (splice.from > 0)
		splice.from--;
	if (splice.to < n)
		splice.to++;
	return splice;
}

static int splice_append(struct splice *splice, const struct sight *s)
{
	return sight_list_append(&splice->items, &splice->n_items, s, splice->g);
}

/* Keeps what of *s lies before `start`. */
static int splice_keep_head(struct splice *splice, const struct sight *s)
{
	hva_t end = min_u64(sight_end(s, splice->g), splice->start);
	struct sight head;

	if (end < s->start + block_bytes(splice->g))
		return 0;
	head = sight_piece(s, 0, (uint32_t)((end - s->start) / block_bytes(splice->g)), splice->g);
	return splice_append(splice, &head);
}

/* Keeps what of *s lies at or behind `end`. */
static int splice_keep_tail(struct splice *splice, const struct sight *s)
{
	hva_t start = align_up(max_u64(s->start, splice->end), block_bytes(splice->g));
	struct sight tail;

	if (start >= sight_end(s, splice->g))
		return 0;
	tail = sight_piece(s, (uint32_t)((start - s->start) / block_bytes(splice->g)), s->blocks,
			   splice->g);
	return splice_append(splice, &tail);
}

static int splice_build(struct splice *splice, const struct sight *list, const struct sight *news,
			size_t n_news)
{
	int r = 0;

	for (size_t i = splice->from; r == 0 && i < splice->to; i++)
		r = splice_keep_head(splice, &list[i]);
	for (size_t i = 0; r == 0 && i < n_news; i++)
		r = splice_append(splice, &news[i]);
	for (size_t i = splice->from; r == 0 && i < splice->to; i++)
		r = splice_keep_tail(splice, &list[i]);
	return r;
}

static int splice_commit(const struct splice *splice, struct sight **list, size_t *n)
{
	size_t n_tail = *n - splice->to, n_after = splice->from + splice->n_items + n_tail;

	if (n_after > *n) {
		int r = array_reserve((void **)list, *n, n_after - *n, sizeof(**list));

		if (r < 0)
			return r;
	}
	if (n_tail > 0)
		memmove(*list + splice->from + splice->n_items, *list + splice->to,
			n_tail * sizeof(**list));
	if (splice->n_items > 0)
		memcpy(*list + splice->from, splice->items, splice->n_items * sizeof(**list));
	*n = n_after;
	return 0;
}

int sight_list_replace(struct sight **list, size_t *n, hva_t start, hva_t end,
		       const struct sight *news, size_t n_news, const struct mmu_geometry *g)
{
	struct splice splice = splice_begin(*list, *n, start, end, g);
	int r = splice_build(&splice, *list, news, n_news);

	if (r == 0)
		r = splice_commit(&splice, list, n);
	free(splice.items);
	return r;
}

int sight_list_slice(const struct sight *list, size_t n, hva_t start, hva_t end, struct sight **ret,
		     size_t *ret_n, const struct mmu_geometry *g)
{
	struct sight *slice = NULL;
	size_t n_slice = 0;
	int r = 0;

	for (size_t i = first_ending_behind(list, n, start, g);
	     r == 0 && i < n && list[i].start < end; i++) {
		hva_t from = max_u64(list[i].start, start),
		      to = min_u64(sight_end(&list[i], g), end);
		struct sight piece =
			sight_piece(&list[i], (uint32_t)((from - list[i].start) / block_bytes(g)),
				    (uint32_t)((to - list[i].start) / block_bytes(g)), g);

		r = sight_list_append(&slice, &n_slice, &piece, g);
	}
	if (r < 0) {
		free(slice);
		return r;
	}
	*ret = slice;
	*ret_n = n_slice;
	return 0;
}
