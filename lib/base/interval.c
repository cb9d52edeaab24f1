/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interval.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bits.h"

/* Index of the first item that ends at or behind `address` (n_items if none): the only one that can
 * touch a range that starts there. */
static size_t first_ending_from(const struct interval_set *set, uint64_t address)
{
	size_t low = 0, high = set->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->items[middle].end < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts the n_parts parts in place of items [from, to). */
static int replace_items(struct interval_set *set, size_t from, size_t to,
			 const struct interval *parts, size_t n_parts)
{
	size_t n_tail = set->n_items - to, n_kept = from + n_tail;
	int r;

	if (n_kept + n_parts > set->n_items) {
		r = array_reserve((void **)&set->items, set->n_items,
				  n_kept + n_parts - set->n_items, sizeof(*set->items));
		if (r < 0)
			return r;
	}
	if (n_tail > 0)
		memmove(set->items + from + n_parts, set->items + to, n_tail * sizeof(*set->items));
	if (n_parts > 0)
		memcpy(set->items + from, parts, n_parts * sizeof(*parts));
	set->n_items = n_kept + n_parts;
	return 0;
}

int interval_set_add(struct interval_set *set, uint64_t start, uint64_t end)
{
	struct interval merged = {start, end};
	size_t from = first_ending_from(set, start), to;

	if (start >= end)
		return 0;
	for (to = from; to < set->n_items && set->items[to].start <= end; to++) {
		merged.start = min_u64(merged.start, set->items[to].start);
		merged.end = max_u64(merged.end, set->items[to].end);
	}
	return replace_items(set, from, to, &merged, 1);
}

int interval_set_remove(struct interval_set *set, uint64_t start, uint64_t end)
{
	size_t from = first_ending_from(set, start), to, n_parts = 0;
	struct interval parts[2];

	if (start >= end)
		return 0;
	for (to = from; to < set->n_items && set->items[to].start < end; to++) {
		const struct interval *item = &set->items[to];

		if (item->start < start)
			parts[n_parts++] =
				(struct interval){item->start, min_u64(item->end, start)};
		if (item->end > end)
			parts[n_parts++] = (struct interval){end, item->end};
	}
	return replace_items(set, from, to, parts, n_parts);
}

bool interval_set_covers(const struct interval_set *set, uint64_t start, uint64_t end)
{
	size_t i;

	if (start >= end)
		return true;
	i = first_ending_from(set, end);
	return i < set->n_items && set->items[i].start <= start;
}

bool interval_set_overlaps(const struct interval_set *set, uint64_t start, uint64_t end)
{
	size_t i;

	if (start >= end)
		return false;
	i = first_ending_from(set, start + 1);
	return i < set->n_items && set->items[i].start < end;
}

const struct interval *interval_set_find(const struct interval_set *set, uint64_t address)
{
	size_t i = address == UINT64_MAX ? set->n_items : first_ending_from(set, address + 1);

	return i < set->n_items ? &set->items[i] : NULL;
}

uint64_t interval_set_bytes(const struct interval_set *set)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < set->n_items; i++)
		bytes += set->items[i].end - set->items[i].start;
	return bytes;
}

void interval_set_clear(struct interval_set *set)
{
	free(set->items);
	*set = (struct interval_set)INTERVAL_SET_INIT;
}
