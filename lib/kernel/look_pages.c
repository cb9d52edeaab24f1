/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counting: every page of a range, block by block, out of the merged regions of PAGEMAP_SCAN. */
#include <errno.h>

#include "array.h"
#include "cleanup.h"
#include "look_parts.h"

/* The scan holds the VMM's mmap lock for reading while it walks, up to 10 ms a GiB here; a thread
 * of the VMM that wants to map something waits so long, and with it whoever comes behind. */
#define COUNT_SLICE_BYTES (UINT64_C(64) << 20)

/* What the kernel merges into its own buffer before it lets go of the lock. */
enum { COUNT_REGIONS = 512 };

void tally_add(struct tally *t, const struct look *l, uint64_t first, uint64_t n,
	       uint64_t categories)
{
	if (categories & PAGE_GUARD) {
		t->guards += n;
	} else if (categories & PAGE_SWAPPED) {
		t->swapped += n;
	} else if (categories & PAGE_PFNZERO) {
		/* Mapped, but nobody's memory: a collapse would allocate it. */
		t->zeros += n;
	} else if (categories & PAGE_PRESENT) {
		if (t->present == 0)
			t->first_present = first;
		t->present += n;
		if (categories & PAGE_HUGE)
			t->huge += n;
		if (l->is_file && !(categories & PAGE_FILE))
			t->copies += n;
	}
}

static uint8_t tally_flags(const struct tally *t)
{
	return (uint8_t)((t->swapped ? SIGHT_SWAP : 0) | (t->guards ? SIGHT_GUARD : 0) |
			 (t->zeros ? SIGHT_ZERO : 0) | (t->copies ? SIGHT_ANON_COPY : 0));
}

/* Whether every present page of the block is at its place in one folio of block size. */
static int read_is_mixed(const struct look *l, const struct tally *t, uint64_t base_pfn, bool *ret)
{
	uint64_t pages = block_pages(&l->geometry), first = t->block >> l->geometry.base_shift;
	_cleanup_free_ uint64_t *entries = malloc(pages * sizeof(*entries));
	ssize_t n;

	if (!entries)
		return -ENOMEM;
	n = l->sys->ops->pagemap_read(l->sys, l->process->pagemap_fd, l->process->pid, first,
				      entries, pages);
	if (n < 0)
		return (int)n;
	*ret = false;
	for (ssize_t i = 0; i < n; i++)
		if ((entries[i] & ENTRY_PRESENT) &&
		    (entries[i] & ENTRY_PFN_MASK) != base_pfn + (uint64_t)i)
			*ret = true;
	return 0;
}

/* Pages are mapped one by one: the first of them says what folio they are of. */
static int judge_pages(const struct tally *t, const struct look *l, struct sight *s)
{
	uint64_t pages = block_pages(&l->geometry), entry;
	bool is_mixed = false;
	int r = read_entry(l, t->first_present, &entry);

	if (r < 0)
		return r;
	/* Gone since it was counted. */
	if (!(entry & ENTRY_PRESENT)) {
		s->seen = SEEN_PAGES;
		return 0;
	}
	s->seen = (uint8_t)frame_judge(l, t->first_present, entry);
	if (s->seen == SEEN_UNKNOWN)
		s->seen = SEEN_PAGES;
	/* A folio of the page cache covers its whole stretch of the file: nothing else can be
	 * there. */
	if (s->seen != SEEN_FOLIO || (entry & ENTRY_FILE))
		return 0;
	r = read_is_mixed(l, t, align_down(entry & ENTRY_PFN_MASK, pages), &is_mixed);
	if (r == 0 && is_mixed)
		s->flags |= SIGHT_FOLIO_MIXED;
	return r;
}

int tally_judge(const struct tally *t, const struct look *l, struct sight *ret)
{
	uint64_t pages = block_pages(&l->geometry);
	struct sight s = {
		.start = t->block,
		.blocks = 1,
		.fill = (uint8_t)(t->present * FILL_FULL / pages),
		.flags = tally_flags(t),
		.node = -1,
		.present_pages = t->present,
		.swapped_pages = t->swapped,
	};
	int r = 0;

	if (t->huge == pages)
		s.seen = SEEN_HUGE;
	else if (t->present)
		r = judge_pages(t, l, &s);
	else
		s.seen = t->swapped ? SEEN_SWAPPED : SEEN_NOTHING;
	if (r == 0)
		*ret = s;
	return r;
}

static int finish_block(struct tally *t, const struct look *l, struct sight_builder *b)
{
	struct sight s;
	int r = tally_judge(t, l, &s);

	if (r == 0)
		r = build_sight(b, l, &s);
	*t = (struct tally){.block = t->block + block_bytes(&l->geometry)};
	return r;
}

/* Whole blocks of one kind need no tally each. */
static int finish_huge(struct tally *t, const struct look *l, const struct page_region *region,
		       hva_t *at, struct sight_builder *b)
{
	hva_t end = align_down(region->end, block_bytes(&l->geometry));
	int r;

	if (*at != t->block || end <= *at || (region->categories & (PAGE_SWAPPED | PAGE_PFNZERO)) ||
	    !(region->categories & PAGE_HUGE) || !(region->categories & PAGE_PRESENT) ||
	    (l->is_file && !(region->categories & PAGE_FILE)))
		return 0;
	r = build_plain(b, l, *at, end, SEEN_HUGE);
	*at = end;
	*t = (struct tally){.block = end};
	return r;
}

/* Blocks up to `until` get their sights: the current one by its tally, those behind it are empty.
 */
static int advance(struct tally *t, const struct look *l, hva_t until, struct sight_builder *b)
{
	hva_t block = align_down(until, block_bytes(&l->geometry));
	int r;

	if (t->block >= block)
		return 0;
	r = finish_block(t, l, b);
	if (r == 0)
		r = build_plain(b, l, t->block, block, SEEN_NOTHING);
	t->block = block;
	return r;
}

static int add_region(struct tally *t, const struct look *l, const struct page_region *region,
		      struct sight_builder *b)
{
	uint8_t shift = l->geometry.base_shift;
	hva_t at = region->start;
	int r = advance(t, l, at, b);

	if (r == 0)
		r = finish_huge(t, l, region, &at, b);
	while (r == 0 && at < region->end) {
		hva_t end = min_u64(region->end, t->block + block_bytes(&l->geometry));

		tally_add(t, l, at >> shift, (end - at) >> shift, region->categories);
		at = end;
		r = advance(t, l, at, b);
	}
	return r;
}

static uint64_t known_categories(const struct look *l)
{
	return PAGE_PRESENT | PAGE_SWAPPED | (l->features & FEATURE_SCAN_GUARD ? PAGE_GUARD : 0);
}

/* The next regions from *at on, moving *at. Number of regions, or -errno. */
static int scan_regions(const struct look *l, hva_t *at, hva_t end, struct page_region *regions)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = *at,
		.end = min_u64(end, align_down(*at, COUNT_SLICE_BYTES) + COUNT_SLICE_BYTES),
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = COUNT_REGIONS,
		.category_anyof_mask = known_categories(l),
		/* PAGE_FILE makes the kernel look at every page's own record: three times the
		 * cost. */
		.return_mask = known_categories(l) | PAGE_HUGE | PAGE_PFNZERO |
			       (l->is_file ? PAGE_FILE : 0),
	};
	int n = l->sys->ops->pagemap_scan(l->sys, l->process->pagemap_fd, l->process->pid, &arg);

	if (n >= 0)
		*at = arg.walk_end > *at ? arg.walk_end : arg.end;
	return n;
}

int count_blocks(const struct look *l, hva_t start, hva_t end, struct sight_builder *b)
{
	struct page_region regions[COUNT_REGIONS];
	struct tally t = {.block = start};
	hva_t at = start;

	while (at < end) {
		int n = scan_regions(l, &at, end, regions);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			int r = add_region(&t, l, &regions[i], b);

			if (r < 0)
				return r;
		}
	}
	return advance(&t, l, end, b);
}

static int scan_count(const struct look *l, hva_t start, hva_t end, uint64_t *ret_present)
{
	struct page_region regions[COUNT_REGIONS];
	uint64_t bytes = 0;

	while (start < end) {
		int n = scan_regions(l, &start, end, regions);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			if ((regions[i].categories & (PAGE_PRESENT | PAGE_PFNZERO)) == PAGE_PRESENT)
				bytes += regions[i].end - regions[i].start;
	}
	*ret_present = bytes >> l->geometry.base_shift;
	return 0;
}

int look_count(const struct look *l, hva_t start, hva_t end, uint64_t *ret_present)
{
	uint64_t entry, present = 0;
	int r = l->features & FEATURE_PAGEMAP_SCAN ? scan_count(l, start, end, &present)
						   : old_count(l, start, end, &present);

	if (r == 0)
		r = read_entry(l, 0, &entry);
	if (r == 0)
		*ret_present = present;
	return r;
}
