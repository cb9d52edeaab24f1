/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "home_piece.h"

#include "bits.h"

static int node_number(node_set_t set, uint64_t n)
{
	for (; n > 0; n--)
		set &= set - 1;
	return node_set_first(set);
}

/* Ends where its stripe or its mapping does. */
static void find_stripe(const struct home *h, const struct snapshot *s, struct home_piece *p)
{
	const struct region *r = snapshot_find_region(s, p->start);
	uint64_t block = block_bytes(&s->geometry), place = p->start, stripe, left;

	if (r && r->backing != BACKING_ANON)
		place = r->file_offset + (p->start - r->start);
	if (r && align_up(r->end, block) < p->end)
		p->end = align_up(r->end, block);
	stripe = place / h->stripe_bytes;
	p->nodes = node_set_of(node_number(h->nodes, stripe % node_set_count(h->nodes)));
	left = h->stripe_bytes - place % h->stripe_bytes;
	if (left < p->end - p->start)
		p->end = min_u64(p->end, align_up(p->start + left, block));
}

/* Index of the first span that ends behind address (n if none). */
static size_t find_span(const struct snapshot *s, hva_t address)
{
	size_t low = 0, high = s->n_guest_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct guest_span *span = &s->guest_spans[middle];

		if (span->start + span->bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Ends where its span does, or the next one begins. */
static void find_guest_node(const struct home *h, const struct snapshot *s, struct home_piece *p)
{
	size_t i = find_span(s, p->start);
	const struct guest_span *span = &s->guest_spans[i];
	uint64_t block = block_bytes(&s->geometry);

	if (i == s->n_guest_spans)
		return;
	if (span->start <= p->start) {
		p->nodes = h->by_guest_node[span->guest_node];
		p->end = min_u64(p->end, align_up(span->start + span->bytes, block));
	} else {
		p->end = min_u64(p->end, align_up(span->start, block));
	}
}

struct home_piece home_piece_at(const struct home *h, const struct snapshot *s, hva_t at, hva_t end)
{
	struct home_piece p = {.start = at, .end = end, .nodes = h->nodes};

	if (at >= end)
		return p;
	if (h->rule == HOME_INTERLEAVED)
		find_stripe(h, s, &p);
	else if (h->rule == HOME_BY_GUEST)
		find_guest_node(h, s, &p);
	return p;
}
