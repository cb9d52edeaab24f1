/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a page table entry to the folio behind it. */
#include <errno.h>

#include "look_parts.h"

/* Bits of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h). */
#define FLAG_COMPOUND_TAIL (UINT64_C(1) << 16)
#define FLAG_HUGETLB	   (UINT64_C(1) << 17)
#define FLAG_NOPAGE	   (UINT64_C(1) << 20)
#define FLAG_ZERO_PAGE	   (UINT64_C(1) << 24)

int read_entries(const struct look *l, uint64_t page, uint64_t *ret, size_t n)
{
	ssize_t r = l->sys->ops->pagemap_read(l->sys, l->process->pagemap_fd, l->process->pid, page,
					      ret, n);

	if (r < 0)
		return (int)r;
	return (size_t)r < n ? -ESRCH : 0;
}

int read_entry(const struct look *l, uint64_t page, uint64_t *ret)
{
	return read_entries(l, page, ret, 1);
}

bool entry_is_never_zero_page(uint64_t entry)
{
	/* File pages are not, nor is what belongs to one process only. */
	return entry & (ENTRY_FILE | ENTRY_EXCLUSIVE);
}

static bool can_read_frames(const struct look *l)
{
	return (l->features & FEATURE_PFN) && (l->features & FEATURE_KPAGEFLAGS);
}

static bool read_flags(const struct look *l, pfn_t pfn, uint64_t *ret)
{
	return l->sys->ops->kpageflags_read(l->sys, pfn, ret, 1) == 1;
}

bool frame_is_zero_page(const struct look *l, uint64_t entry)
{
	uint64_t flags;

	if (entry_is_never_zero_page(entry) || !can_read_frames(l))
		return false;
	return read_flags(l, entry & ENTRY_PFN_MASK, &flags) && (flags & FLAG_ZERO_PAGE);
}

/* A folio of order k starts at a frame that is a multiple of 2^k. The frame in the middle of an
 * aligned block of frames therefore is the first of every smaller folio that it is part of: if it
 * is a tail, the folio spans the whole block. One read of eight bytes decides. */
enum seen frame_judge(const struct look *l, uint64_t page, uint64_t entry)
{
	uint64_t pages = block_pages(&l->geometry), flags;
	pfn_t pfn = entry & ENTRY_PFN_MASK;

	/* A copied page of a file mapping is not part of the file's folio. */
	if (l->is_file && !(entry & ENTRY_FILE))
		return SEEN_SMALL;
	/* Without the right frame numbers read as 0. */
	if (!can_read_frames(l) || pfn == 0)
		return SEEN_PAGES;
	if (!is_aligned(pfn - page, pages))
		return SEEN_SMALL;
	if (!read_flags(l, align_down(pfn, pages) + pages / 2, &flags))
		return SEEN_PAGES;
	if (flags & (FLAG_NOPAGE | FLAG_HUGETLB))
		return SEEN_UNKNOWN;
	return flags & FLAG_COMPOUND_TAIL ? SEEN_FOLIO : SEEN_SMALL;
}
