/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "bits.h"
#include "look_parts.h"
#include "node_set.h"

/* move_pages(2) without nodes tells where pages are, page by page, without a walk of the whole page
 * table (KERNEL 9.2). Of a block that is mapped huge one page is asked; of any other a few, evenly
 * spread, since each may be elsewhere and some may be missing. */
enum { ASKED_AT_ONCE = 512, SAMPLES = 8 };

struct asking {
	const struct look *l;
	hva_t pages[ASKED_AT_ONCE];
	int status[ASKED_AT_ONCE];
};

static bool has_pages(const struct sight *s)
{
	return s->seen == SEEN_HUGE || s->seen == SEEN_FOLIO || s->seen == SEEN_SMALL ||
	       s->seen == SEEN_PAGES;
}

static size_t samples_of(const struct sight *s)
{
	return s->seen == SEEN_HUGE ? 1 : SAMPLES;
}

/* The node of most of the samples, the lower one of two with as many; -1: none is known. */
static int16_t node_of_block(const int *status, size_t n)
{
	uint8_t votes[NODE_SET_MAX] = {0};
	int16_t best = -1;

	for (size_t i = 0; i < n; i++)
		if (status[i] >= 0 && status[i] < NODE_SET_MAX)
			votes[status[i]]++;
	for (int16_t node = 0; node < NODE_SET_MAX; node++)
		if (votes[node] > 0 && (best < 0 || votes[node] > votes[best]))
			best = node;
	return best;
}

/* Blocks [from, to) of the sight. False: the kernel does not say. */
static bool ask(struct asking *a, const struct sight *s, uint32_t from, uint32_t to)
{
	const struct mmu_geometry *g = &a->l->geometry;
	uint64_t step = block_bytes(g) / samples_of(s);
	size_t n = 0;

	for (uint32_t block = from; block < to; block++)
		for (size_t i = 0; i < samples_of(s); i++)
			a->pages[n++] = s->start + block * block_bytes(g) +
					align_down(i * step, page_bytes(g));
	return a->l->sys->ops->move_pages(a->l->sys, a->l->process->pid, n, a->pages, NULL,
					  a->status, 0) == 0;
}

static int append(const struct asking *a, const struct sight *s, uint32_t from, uint32_t to,
		  int16_t node, struct sight_builder *b)
{
	struct sight piece = sight_piece(s, from, to, &a->l->geometry);

	piece.node = node;
	return build_sight(b, a->l, &piece);
}

/* Blocks [from, to) of the sight, in runs of one node. */
static int append_marked(const struct asking *a, const struct sight *s, uint32_t from, uint32_t to,
			 struct sight_builder *b)
{
	size_t samples = samples_of(s);

	for (uint32_t first = from, next; first < to; first = next) {
		int16_t node = node_of_block(&a->status[(first - from) * samples], samples);
		int r;

		for (next = first + 1; next < to; next++)
			if (node_of_block(&a->status[(next - from) * samples], samples) != node)
				break;
		r = append(a, s, first, next, node, b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mark_sight(struct asking *a, const struct sight *s, struct sight_builder *b)
{
	uint32_t at_once = (uint32_t)(ASKED_AT_ONCE / samples_of(s));

	if (!has_pages(s))
		return build_sight(b, a->l, s);
	for (uint32_t from = 0; from < s->blocks; from += at_once) {
		uint32_t to = from + (s->blocks - from < at_once ? s->blocks - from : at_once);
		int r = ask(a, s, from, to) ? append_marked(a, s, from, to, b)
					    : append(a, s, from, to, -1, b);

		if (r < 0)
			return r;
	}
	return 0;
}

int mark_nodes(const struct look *l, struct sight_builder *b)
{
	struct sight_builder marked = {NULL, 0};
	struct asking *a = malloc(sizeof(*a));
	int r = a ? 0 : -ENOMEM;

	if (a)
		a->l = l;
	for (size_t i = 0; r == 0 && i < b->n; i++)
		r = mark_sight(a, &b->list[i], &marked);
	free(a);
	if (r < 0) {
		free(marked.list);
		return r;
	}
	free(b->list);
	*b = marked;
	return 0;
}
