/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A sorted, merged list of runs of equal pages: the memory of the model kernel. A page cache, the
 * anonymous pages of a mapping, a page table and what the guest expects to read are all such lists,
 * so that a guest of many GiB costs a few hundred bytes. Out of memory ends the test. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum page_kind {
	PAGES_NONE = 0, /* no run here */
	/* contents of a page cache or of anonymous memory */
	PAGES_SMALL,
	PAGES_FOLIO, /* one folio of block size, at its place */
	PAGES_LARGE, /* folios of another order */
	PAGES_SWAPPED,
	PAGES_DEVICE, /* DAX: no struct page that kpageflags knows */
	/* entries of a page table */
	ENTRY_PAGE, /* a PTE that maps the object's page */
	ENTRY_HUGE, /* under a PMD */
	ENTRY_ZERO, /* the shared zero page */
	ENTRY_SWAP,
	ENTRY_GUARD,
	ENTRY_COPIED, /* a private copy of a file's page */
	PAGE_KIND_MAX,
};

/* Of pages that the kernel has cleared. */
#define STAMP_ZEROS UINT64_MAX

struct page_run {
	uint64_t first, pages;
	enum page_kind kind;
	bool is_pinned;
	uint64_t pfn; /* of the first page; page i has pfn + i * pfn_step */
	uint32_t pfn_step;
	uint64_t stamp; /* whose contents these are; 0: only allocated; STAMP_ZEROS */
};

struct page_runs {
	struct page_run *items; /* owned; sorted, disjoint, merged */
	size_t n_items;
};

void page_runs_free(struct page_runs *r);

/* Overwrites [run->first, run->first + run->pages); kind PAGES_NONE removes. */
void page_runs_set(struct page_runs *r, const struct page_run *run);
void page_runs_remove(struct page_runs *r, uint64_t first, uint64_t pages);

/* The equal pages that begin at page `at`, as far as `end`: a run, or a hole with PAGES_NONE. */
struct page_run page_runs_at(const struct page_runs *r, uint64_t at, uint64_t end);

/* Pages of one kind in the range. */
uint64_t page_runs_count(const struct page_runs *r, enum page_kind kind, uint64_t first,
			 uint64_t pages);

/* Walks a range in equal pieces, holes included. */
#define PAGE_RUNS_FOREACH(run, r, first_page, end_page)                         \
	for (struct page_run run = page_runs_at((r), (first_page), (end_page)); \
	     run.first < (end_page); run = page_runs_at((r), run.first + run.pages, (end_page)))
