/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "look.h"

#include <errno.h>

#include "array.h"
#include "cleanup.h"
#include "look_parts.h"

/* Theory of operation. The question is how each block of a range is mapped; the answer must be
 * exact and must cost next to nothing where nothing is wrong. The steps, cheapest first:
 *
 * 1. seek: PAGEMAP_SCAN for the first page that is anything at all (present and not the shared zero
 *    page, swapped, or a guard), max_pages = 1. What lies before it is nothing. It also says
 *    whether that page is mapped huge.
 * 2. run: if it is, PAGEMAP_SCAN with room for one region that may only say "huge": the kernel
 *    merges huge neighbours into it and stops at the first page, or the first hole, that is
 *    different. One call proves a whole slice huge, and tells it from nothing, which a search for
 *    "present and not huge" alone would not.
 * 3. frame: a block whose pages are mapped one by one is decided by its first page: pagemap gives
 *    the frame, kpageflags of one frame tells whether the folio is of block size (look_frame.c).
 *    Behind such a block most are alike, so the next one is asked in the opposite order: a frame
 *    that is not congruent with its address, or not of a folio of block size, cannot be mapped
 *    huge, and saves the scan. Once two are alike, two are asked at a time.
 * 4. count: swapped pages and guards are counted with the whole block (look_pages.c).
 *
 * CPU milliseconds per GiB (6.18, 2 CPUs, 2 GiB, 2 MiB blocks, best of 5):
 *
 *   reader                                   small   folio    huge   empty
 *   /proc/PID/smaps                           12.8    12.0     3.0    0.06
 *   look_blocks                               0.41    0.95   0.042   0.003
 *   look_pages                                 3.5     3.6    0.06    0.02
 *   pieces: seek, once per block              0.35    0.35    0.31    0.35
 *           pagemap, one entry per block      0.35    0.36    0.30       -
 *           kpageflags, one entry per block   0.15    0.18       -       -
 *           run over huge                        -       -   0.041       -
 *           "present and not huge"               -       -   0.035       -
 *   the same without PAGEMAP_SCAN (look_old.c)  9.3      22     5.1     0.9
 *
 * (look_old.c on folios reads smaps as well.) The table is from before two blocks were asked at a
 * time; that made look_blocks 1.4 times cheaper on folios and 1.3 times on small ones (another
 * machine, builds in turns, three runs: 6.4 to 8.9 and 24 to 31 times cheaper than smaps there).
 * The seek asks for no PAGE_FILE: with it the kernel looks at each page's own record, 0.1 ms per
 * GiB more here and three times the cost in look_pages.
 *
 * One call covers at most one GiB: the kernel holds the VMM's mmap lock for reading during a call,
 * 0.04 ms for a huge GiB, 3 ms at worst (page tables that are all empty), and a thread of the VMM
 * that maps or unmaps something waits for it. Smaller slices gain nothing: the call itself is 1 us.
 *
 * A scan of an mm that is gone finds nothing, which would pass for an empty guest: each look ends
 * with the proof that the mm still was there (pagemap reads at least one entry). */

#define SCAN_SLICE_BYTES (UINT64_C(1) << 30)

int build_sight(struct sight_builder *b, const struct look *l, const struct sight *s)
{
	return sight_list_append(&b->list, &b->n, s, &l->geometry);
}

int build_plain(struct sight_builder *b, const struct look *l, hva_t start, hva_t end,
		enum seen seen)
{
	uint64_t blocks = end > start ? (end - start) / block_bytes(&l->geometry) : 0;
	struct sight s = {.start = start, .seen = (uint8_t)seen, .fill = FILL_UNKNOWN, .node = -1};

	if (blocks == 0)
		return 0;
	if (blocks > UINT32_MAX)
		return -ERANGE;
	s.blocks = (uint32_t)blocks;
	if (seen == SEEN_HUGE) {
		s.fill = FILL_FULL;
		s.present_pages = blocks * block_pages(&l->geometry);
	} else if (seen == SEEN_NOTHING) {
		s.fill = 0;
	}
	return build_sight(b, l, &s);
}

/* Steps 1 and 2 are one call with different limits. */
static int scan(const struct look *l, hva_t start, hva_t end, struct pm_scan_arg *arg,
		struct page_region *region)
{
	uint64_t guard = l->features & FEATURE_SCAN_GUARD ? PAGE_GUARD : 0;

	arg->size = sizeof(*arg);
	arg->start = start;
	arg->end = end;
	arg->vec = (uint64_t)(uintptr_t)region;
	arg->vec_len = 1;
	arg->category_inverted = PAGE_PFNZERO;
	arg->category_mask = PAGE_PFNZERO;
	arg->category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED | guard;
	return l->sys->ops->pagemap_scan(l->sys, l->process->pagemap_fd, l->process->pid, arg);
}

/* The first page of [start, end) that is anything: 1 with *ret, 0 if there is none, -errno. */
static int seek(const struct look *l, hva_t start, hva_t end, struct page_region *ret)
{
	struct pm_scan_arg arg = {
		.max_pages = 1,
		.return_mask = PAGE_PRESENT | PAGE_SWAPPED | PAGE_HUGE,
	};

	return scan(l, start, end, &arg, ret);
}

/* How far huge memory goes from start on (*ret_end), and where the next thing is that is not
 * (*ret_next; between the two is nothing). 0 or -errno. */
static int run_over_huge(const struct look *l, hva_t start, hva_t end, hva_t *ret_end,
			 hva_t *ret_next)
{
	struct pm_scan_arg arg = {.return_mask = PAGE_SWAPPED | PAGE_HUGE};
	struct page_region region;
	int r = scan(l, start, end, &arg, &region);

	if (r < 0)
		return r;
	if (r == 0 || region.start != start || region.categories != PAGE_HUGE) {
		*ret_end = *ret_next = start;
		return 0;
	}
	*ret_end = region.end;
	*ret_next = arg.walk_end;
	return 0;
}

static bool is_mapped_huge(const struct page_region *region)
{
	return region->categories == (PAGE_PRESENT | PAGE_HUGE);
}

static int add_huge(const struct look *l, hva_t block, hva_t end, hva_t *at,
		    struct sight_builder *b)
{
	uint64_t bytes = block_bytes(&l->geometry);
	hva_t huge_end, next;
	int r = run_over_huge(l, block, end, &huge_end, &next);

	if (r < 0)
		return r;
	/* Changed since it was found; that it was huge is true all the same. */
	huge_end = max_u64(align_down(huge_end, bytes), block + bytes);
	next = min_u64(max_u64(align_down(next, bytes), huge_end), end);
	r = build_plain(b, l, block, huge_end, SEEN_HUGE);
	if (r == 0)
		r = build_plain(b, l, huge_end, next, SEEN_NOTHING);
	*at = next;
	return r;
}

static int add_judged(const struct look *l, hva_t block, uint64_t entry, enum seen seen,
		      struct sight_builder *b)
{
	bool is_copy = l->is_file && (entry & ENTRY_PRESENT) && !(entry & ENTRY_FILE);
	struct sight s = {
		.start = block,
		.blocks = 1,
		.seen = (uint8_t)seen,
		.fill = FILL_UNKNOWN,
		.flags = is_copy ? SIGHT_ANON_COPY : 0,
		.node = -1,
	};

	return build_sight(b, l, &s);
}

/* A block whose first page of any kind is `region`, which is not huge. */
static int add_pages(const struct look *l, hva_t block, const struct page_region *region,
		     struct sight_builder *b)
{
	uint64_t page = region->start >> l->geometry.base_shift, entry;
	enum seen seen;
	int r;

	if (!(region->categories & PAGE_PRESENT))
		return count_blocks(l, block, block + block_bytes(&l->geometry), b);
	r = read_entry(l, page, &entry);
	if (r < 0)
		return r;
	seen = entry & ENTRY_PRESENT ? frame_judge(l, page, entry) : SEEN_PAGES;
	return add_judged(l, block, entry, seen == SEEN_UNKNOWN ? SEEN_PAGES : seen, b);
}

/* The frame says that these pages are parts of folios of block size: then only a scan can tell how
 * they are mapped. 1: page by page, 0: not so, or no longer; -errno. */
static int are_mapped_by_pages(const struct look *l, hva_t start, hva_t end)
{
	struct pm_scan_arg arg = {.return_mask = PAGE_PRESENT | PAGE_SWAPPED | PAGE_HUGE};
	struct page_region region;
	int r = scan(l, start, end, &arg, &region);

	if (r <= 0)
		return r;
	return region.start == start && region.end == end && region.categories == PAGE_PRESENT;
}

/* SEEN_FOLIO or SEEN_SMALL, or anything else where the frame is not enough. */
static enum seen judge_by_frame(const struct look *l, uint64_t page, uint64_t entry)
{
	if (!(entry & ENTRY_PRESENT) || !entry_is_never_zero_page(entry))
		return SEEN_UNKNOWN;
	return frame_judge(l, page, entry);
}

/* Step 3 in the opposite order, for a block, or for two that turn out to be alike: these are asked
 * by the pages at which they meet, so that one read and one scan serve both. 1 if judged, 0 if not,
 * -errno. */
static int add_by_frames(const struct look *l, hva_t block, size_t n, struct sight_builder *b)
{
	uint64_t bytes = block_bytes(&l->geometry), page = page_bytes(&l->geometry);
	hva_t start = n == 1 ? block : block + bytes - page;
	uint64_t first = start >> l->geometry.base_shift, entries[2];
	enum seen seen = SEEN_UNKNOWN;
	int r = read_entries(l, first, entries, n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		enum seen one = judge_by_frame(l, first + i, entries[i]);

		if (i > 0 && one != seen)
			return 0;
		seen = one;
	}
	r = seen == SEEN_FOLIO ? are_mapped_by_pages(l, start, start + n * page)
			       : seen == SEEN_SMALL;
	if (r <= 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		r = add_judged(l, block + i * bytes, entries[i], seen, b);
		if (r < 0)
			return r;
	}
	return 1;
}

/* Two blocks in a row were alike: the next two may be, too. */
static size_t blocks_at_once(const struct look *l, hva_t at, hva_t end,
			     const struct sight_builder *b)
{
	bool is_run = b->n > 0 && b->list[b->n - 1].blocks >= 2;

	return is_run && end - at >= 2 * block_bytes(&l->geometry) ? 2 : 1;
}

/* Goes on by frames from *at as far as they are enough. */
static int add_run_by_frames(const struct look *l, hva_t *at, hva_t end, struct sight_builder *b)
{
	if (!(l->features & FEATURE_PFN) || !(l->features & FEATURE_KPAGEFLAGS))
		return 0;
	while (*at < end) {
		size_t n = blocks_at_once(l, *at, end, b);
		int r = add_by_frames(l, *at, n, b);

		if (r == 0 && n > 1) {
			n = 1;
			r = add_by_frames(l, *at, n, b);
		}
		if (r <= 0)
			return r;
		*at += n * block_bytes(&l->geometry);
	}
	return 0;
}

static int look_slice(const struct look *l, hva_t start, hva_t end, struct sight_builder *b)
{
	uint64_t bytes = block_bytes(&l->geometry);
	hva_t at = start;

	while (at < end) {
		struct page_region region;
		hva_t block;
		int r = seek(l, at, end, &region);

		if (r < 0)
			return r;
		block = r == 0 ? end : align_down(region.start, bytes);
		r = build_plain(b, l, at, block, SEEN_NOTHING);
		at = block;
		if (r == 0 && block < end && is_mapped_huge(&region)) {
			r = add_huge(l, block, end, &at, b);
		} else if (r == 0 && block < end) {
			r = add_pages(l, block, &region, b);
			at = block + bytes;
			if (r == 0)
				r = add_run_by_frames(l, &at, end, b);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int look_slices(const struct look *l, hva_t start, hva_t end, struct sight_builder *b)
{
	uint64_t slice = max_u64(SCAN_SLICE_BYTES, block_bytes(&l->geometry));

	while (start < end) {
		hva_t next = min_u64(end, align_down(start, slice) + slice);
		int r = look_slice(l, start, next, b);

		if (r < 0)
			return r;
		start = next;
	}
	return 0;
}

static bool is_block_range(const struct look *l, hva_t start, hva_t end)
{
	return start <= end && is_aligned(start | end, block_bytes(&l->geometry));
}

static int hand_over(const struct sight_builder *b, const struct look *l, struct sight **list,
		     size_t *n)
{
	for (size_t i = 0; i < b->n; i++) {
		int r = sight_list_append(list, n, &b->list[i], &l->geometry);

		if (r < 0)
			return r;
	}
	return 0;
}

typedef int (*look_function)(const struct look *l, hva_t start, hva_t end, struct sight_builder *b);

static int look_by(look_function function, const struct look *l, hva_t start, hva_t end,
		   struct sight_builder *b)
{
	uint64_t entry;
	int r;

	if (!is_block_range(l, start, end))
		return -EINVAL;
	r = l->features & FEATURE_PAGEMAP_SCAN ? function(l, start, end, b)
					       : old_look(l, start, end, b);
	if (r == 0 && l->want_nodes)
		r = mark_nodes(l, b);
	/* Last, so that it vouches for everything before it. */
	return r == 0 ? read_entry(l, 0, &entry) : r;
}

static int look_with(look_function function, const struct look *l, hva_t start, hva_t end,
		     struct sight **list, size_t *n)
{
	struct sight_builder b = {NULL, 0};
	int r = look_by(function, l, start, end, &b);

	if (r == 0)
		r = hand_over(&b, l, list, n);
	free(b.list);
	return r;
}

int look_blocks(const struct look *l, hva_t start, hva_t end, struct sight **list, size_t *n)
{
	return look_with(look_slices, l, start, end, list, n);
}

int look_pages(const struct look *l, hva_t start, hva_t end, struct sight **list, size_t *n)
{
	return look_with(count_blocks, l, start, end, list, n);
}
