/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "holds.h"

#include <string.h>

#include "array.h"

size_t hold_list_find(const struct hold *list, size_t n, hva_t address)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void remove_at(struct hold *list, size_t *n, size_t from, size_t to)
{
	if (to < *n)
		memmove(list + from, list + to, (*n - to) * sizeof(*list));
	*n -= to - from;
}

static int insert_at(struct hold **list, size_t *n, size_t at, const struct hold *h)
{
	int r = array_reserve_one((void **)list, *n, sizeof(**list));

	if (r < 0)
		return r;
	if (at < *n)
		memmove(*list + at + 1, *list + at, (*n - at) * sizeof(**list));
	(*list)[at] = *h;
	(*n)++;
	return 0;
}

int hold_list_cut(struct hold **list, size_t *n, hva_t start, hva_t end)
{
	size_t from = hold_list_find(*list, *n, start), to;

	if (start >= end)
		return 0;
	if (from < *n && (*list)[from].start < start && (*list)[from].end > end) {
		struct hold tail = (*list)[from];
		int r;

		if (*n >= HOLDS_MAX)
			return 0; /* left alone as a whole */
		tail.start = end;
		r = insert_at(list, n, from + 1, &tail);
		if (r < 0)
			return r;
		(*list)[from].end = start;
		return 0;
	}
	if (from < *n && (*list)[from].start < start)
		(*list)[from++].end = start;
	for (to = from; to < *n && (*list)[to].end <= end; to++)
		;
	if (to < *n && (*list)[to].start < end)
		(*list)[to].start = end;
	if (to > from)
		remove_at(*list, n, from, to);
	return 0;
}

static bool can_join(const struct hold *a, const struct hold *b)
{
	return a->end == b->start && a->until_ns == b->until_ns && a->strikes == b->strikes &&
	       a->reason == b->reason;
}

/* Beyond the bound: the neighbour grows over the gap and takes the later time. */
static void widen_neighbour(struct hold *list, size_t at, const struct hold *h)
{
	struct hold *neighbour = at > 0 ? &list[at - 1] : &list[0];

	neighbour->start = neighbour->start < h->start ? neighbour->start : h->start;
	neighbour->end = neighbour->end > h->end ? neighbour->end : h->end;
	if (neighbour->until_ns < h->until_ns)
		neighbour->until_ns = h->until_ns;
}

int hold_list_set(struct hold **list, size_t *n, const struct hold *h)
{
	size_t at;
	int r;

	if (h->start >= h->end)
		return 0;
	/* Room first, so that a failure leaves the list as it was: a cut and an insertion need two
	 * at most. */
	r = array_reserve((void **)list, *n, 2, sizeof(**list));
	if (r == 0)
		r = hold_list_cut(list, n, h->start, h->end);
	if (r < 0)
		return r;
	at = hold_list_find(*list, *n, h->start);
	if (at < *n && (*list)[at].start < h->end) { /* not cut: the list is full */
		widen_neighbour(*list, at + 1, h);
		return 0;
	}
	if (at > 0 && can_join(&(*list)[at - 1], h)) {
		(*list)[at - 1].end = h->end;
		return 0;
	}
	if (at < *n && can_join(h, &(*list)[at])) {
		(*list)[at].start = h->start;
		return 0;
	}
	if (*n >= HOLDS_MAX) {
		widen_neighbour(*list, at, h);
		return 0;
	}
	return insert_at(list, n, at, h);
}
