/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the steps of the ladder share; nothing outside look*.c includes this. */

#include "host.h"
#include "look.h"

/* Bits of a pagemap entry (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PFN_MASK	((UINT64_C(1) << 55) - 1)
#define ENTRY_EXCLUSIVE (UINT64_C(1) << 56)
#define ENTRY_GUARD	(UINT64_C(1) << 58)
#define ENTRY_FILE	(UINT64_C(1) << 61)
#define ENTRY_SWAP	(UINT64_C(1) << 62)
#define ENTRY_PRESENT	(UINT64_C(1) << 63)

/* Sights under construction; appended to the caller's list only when all went well. */
struct sight_builder {
	struct sight *list; /* owned */
	size_t n;
};

/* A sight of [start, end) with nothing counted but what `seen` implies (huge: all, nothing: none).
 * Empty ranges are skipped. 0 or -ENOMEM. */
int build_plain(struct sight_builder *b, const struct look *l, hva_t start, hva_t end,
		enum seen seen);
int build_sight(struct sight_builder *b, const struct look *l, const struct sight *s);

/* One block's pages, counted. */
struct tally {
	hva_t block;
	uint64_t present, swapped, guards, zeros, huge, copies; /* pages */
	uint64_t first_present;					/* page index; valid if present */
};

/* Adds n pages from page index `first` (inside the block) of which PAGEMAP_SCAN says `categories`.
 */
void tally_add(struct tally *t, const struct look *l, uint64_t first, uint64_t n,
	       uint64_t categories);

/* What the counts say; asks the frames where pages are mapped one by one. 0 or -errno. */
int tally_judge(const struct tally *t, const struct look *l, struct sight *ret);

/* One pagemap entry, or n of them from page index `page` on. 0, -ESRCH if the mm is gone, or
 * -errno. */
int read_entry(const struct look *l, uint64_t page, uint64_t *ret);
int read_entries(const struct look *l, uint64_t page, uint64_t *ret, size_t n);

/* What the frame behind a present entry of page index `page` is part of: SEEN_FOLIO, SEEN_SMALL,
 * SEEN_PAGES (not readable), or SEEN_UNKNOWN (the frame has no flags: DAX; only a scan can tell).
 */
enum seen frame_judge(const struct look *l, uint64_t page, uint64_t entry);

/* The entry surely is not the shared zero page. */
bool entry_is_never_zero_page(uint64_t entry);

/* The shared zero page, as far as kpageflags can be asked. */
bool frame_is_zero_page(const struct look *l, uint64_t entry);

/* look_blocks, look_pages, look_count for kernels without PAGEMAP_SCAN. */
int old_look(const struct look *l, hva_t start, hva_t end, struct sight_builder *b);
int old_count(const struct look *l, hva_t start, hva_t end, uint64_t *ret_present);

/* Asks on which node the blocks of the sights lie, and cuts the sights where the answer changes. A
 * block that is not one folio is on the node of most of a few of its pages. What cannot be asked
 * stays unknown. 0 or -ENOMEM. */
int mark_nodes(const struct look *l, struct sight_builder *b);

/* look_pages with PAGEMAP_SCAN. */
int count_blocks(const struct look *l, hva_t start, hva_t end, struct sight_builder *b);
