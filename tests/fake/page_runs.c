/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "page_runs.h"

#include <stdlib.h>
#include <string.h>

void page_runs_free(struct page_runs *r)
{
	free(r->items);
	*r = (struct page_runs){0};
}

static uint64_t run_end(const struct page_run *run)
{
	return run->first + run->pages;
}

/* Index of the first run that ends behind page `at`. */
static size_t find(const struct page_runs *r, uint64_t at)
{
	size_t low = 0, high = r->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (run_end(&r->items[middle]) <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct page_run clip(const struct page_run *run, uint64_t first, uint64_t end)
{
	struct page_run part = *run;

	if (part.first < first) {
		part.pfn += (first - part.first) * part.pfn_step;
		part.pages -= first - part.first;
		part.first = first;
	}
	if (run_end(&part) > end)
		part.pages = end - part.first;
	return part;
}

static bool can_merge(const struct page_run *a, const struct page_run *b)
{
	return run_end(a) == b->first && a->kind == b->kind && a->is_pinned == b->is_pinned &&
	       a->pfn_step == b->pfn_step && a->stamp == b->stamp &&
	       a->pfn + a->pages * a->pfn_step == b->pfn;
}

/* Replaces `gone` items at index by the n_news items, which do not overlap the rest. */
static void splice(struct page_runs *r, size_t index, size_t gone, const struct page_run *news,
		   size_t n_news)
{
	size_t n = r->n_items - gone + n_news;

	if (n > r->n_items) {
		struct page_run *items = realloc(r->items, n * sizeof(*items));

		if (!items)
			abort();
		r->items = items;
	}
	if (r->n_items > index + gone)
		memmove(&r->items[index + n_news], &r->items[index + gone],
			(r->n_items - index - gone) * sizeof(*r->items));
	if (n_news > 0)
		memcpy(&r->items[index], news, n_news * sizeof(*news));
	r->n_items = n;
}

static void merge_at(struct page_runs *r, size_t index)
{
	if (index + 1 >= r->n_items || !can_merge(&r->items[index], &r->items[index + 1]))
		return;
	r->items[index].pages += r->items[index + 1].pages;
	splice(r, index + 1, 1, NULL, 0);
}

void page_runs_set(struct page_runs *r, const struct page_run *run)
{
	struct page_run news[3];
	size_t index = find(r, run->first), last = index, n = 0, own = 0;

	if (run->pages == 0)
		return;
	while (last < r->n_items && r->items[last].first < run_end(run))
		last++;
	if (last > index && r->items[index].first < run->first)
		news[n++] = clip(&r->items[index], 0, run->first);
	own = index + n;
	if (run->kind != PAGES_NONE)
		news[n++] = *run;
	if (last > index && run_end(&r->items[last - 1]) > run_end(run))
		news[n++] = clip(&r->items[last - 1], run_end(run), UINT64_MAX);
	splice(r, index, last - index, news, n);
	if (run->kind == PAGES_NONE)
		return;
	merge_at(r, own);
	if (own > 0)
		merge_at(r, own - 1);
}

void page_runs_remove(struct page_runs *r, uint64_t first, uint64_t pages)
{
	page_runs_set(r, &(struct page_run){.first = first, .pages = pages});
}

struct page_run page_runs_at(const struct page_runs *r, uint64_t at, uint64_t end)
{
	size_t index = find(r, at);
	uint64_t next = end;

	if (index < r->n_items && r->items[index].first <= at)
		return clip(&r->items[index], at, end);
	if (index < r->n_items && r->items[index].first < end)
		next = r->items[index].first;
	return (struct page_run){.first = at, .pages = next > at ? next - at : 0};
}

uint64_t page_runs_count(const struct page_runs *r, enum page_kind kind, uint64_t first,
			 uint64_t pages)
{
	uint64_t count = 0;

	PAGE_RUNS_FOREACH(run, r, first, first + pages)
	{
		if (run.kind == kind)
			count += run.pages;
	}
	return count;
}
