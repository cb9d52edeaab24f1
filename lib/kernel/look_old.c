/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking below Linux 6.7. Pagemap tells present, swapped, file and frame of every page, but not
 * how it is mapped: a folio of block size looks the same mapped huge or page by page. smaps knows
 * the huge bytes of a whole VMA; they settle the matter where all of its blocks are huge, or
 * exactly as many as are full folios. Everywhere else a huge block is reported as what can be
 * proven of it: a folio. A collapse of a block that is huge already costs 2 us and changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "look_parts.h"
#include "host.h"
#include "procfs.h"

enum { OLD_ENTRIES = 512, SMAPS_BYTES_MAX = 64 << 20 };

static uint64_t entry_categories(const struct look *l, uint64_t entry)
{
	if (entry & ENTRY_GUARD)
		return PAGE_GUARD;
	if (entry & ENTRY_SWAP)
		return PAGE_SWAPPED;
	if (!(entry & ENTRY_PRESENT))
		return 0;
	if (frame_is_zero_page(l, entry))
		return PAGE_PRESENT | PAGE_PFNZERO;
	return PAGE_PRESENT | (entry & ENTRY_FILE ? PAGE_FILE : 0);
}

/* Reads the next entries; how many, or -errno. */
static ssize_t read_some(const struct look *l, uint64_t page, uint64_t end, uint64_t *entries)
{
	ssize_t n = l->sys->ops->pagemap_read(l->sys, l->process->pagemap_fd, l->process->pid, page,
					      entries, min_u64(end - page, OLD_ENTRIES));

	return n == 0 ? -ESRCH : n;
}

static int tally_block(const struct look *l, struct tally *t)
{
	uint64_t entries[OLD_ENTRIES];
	uint64_t page = t->block >> l->geometry.base_shift;
	uint64_t end = page + block_pages(&l->geometry);

	while (page < end) {
		ssize_t n = read_some(l, page, end, entries);

		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, page++)
			tally_add(t, l, page, 1, entry_categories(l, entries[i]));
	}
	return 0;
}

int old_count(const struct look *l, hva_t start, hva_t end, uint64_t *ret_present)
{
	uint64_t entries[OLD_ENTRIES], present = 0;
	uint64_t page = start >> l->geometry.base_shift, last = end >> l->geometry.base_shift;

	while (page < last) {
		ssize_t n = read_some(l, page, last, entries);

		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, page++)
			present += entry_categories(l, entries[i]) == PAGE_PRESENT ||
				   entry_categories(l, entries[i]) == (PAGE_PRESENT | PAGE_FILE);
	}
	*ret_present = present;
	return 0;
}

struct huge_vma {
	hva_t start, end;
	uint64_t huge_bytes;
};

static bool key_is(struct scanner key, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(key.end - key.at) == n && memcmp(key.at, name, n) == 0;
}

/* The VMA around `address` in smaps. */
static bool find_huge_vma(const char *text, size_t size, hva_t address, struct huge_vma *ret)
{
	struct scanner s = {.at = text, .end = text + size}, line, key;
	struct huge_vma vma = {0};
	bool is_inside = false;

	while (scan_line(&s, &line)) {
		struct maps_line header;
		uint64_t bytes;

		if (maps_parse_line(line, &header)) {
			if (is_inside)
				break;
			is_inside = header.start <= address && address < header.end;
			vma.start = header.start;
			vma.end = header.end;
		} else if (is_inside && smaps_parse_size(line, &key, &bytes)) {
			if (key_is(key, "AnonHugePages") || key_is(key, "ShmemPmdMapped") ||
			    key_is(key, "FilePmdMapped"))
				vma.huge_bytes += bytes;
		}
	}
	*ret = vma;
	return is_inside;
}

/* smaps walks every VMA, and a walk splits 1 GiB device-dax mappings (KERNEL.md 7.2). */
static bool may_read_smaps(const struct look *l)
{
	_cleanup_free_ char *maps = NULL;
	size_t size;

	if (sys_read_all_at(l->process->dirfd, "maps", SMAPS_BYTES_MAX, &maps, &size) < 0)
		return false;
	return strstr(maps, "/dev/dax") == NULL;
}

static bool read_huge_vma(const struct look *l, hva_t address, struct huge_vma *ret)
{
	_cleanup_free_ char *smaps = NULL;
	size_t size;

	if (!may_read_smaps(l) ||
	    sys_read_all_at(l->process->dirfd, "smaps", SMAPS_BYTES_MAX, &smaps, &size) < 0)
		return false;
	return find_huge_vma(smaps, size, address, ret);
}

static bool may_be_huge(const struct sight *s)
{
	return s->fill == FILL_FULL && (s->seen == SEEN_FOLIO || s->seen == SEEN_PAGES);
}

static uint64_t candidate_bytes(const struct look *l, const struct sight_builder *b)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < b->n; i++)
		if (may_be_huge(&b->list[i]))
			bytes += b->list[i].blocks * block_bytes(&l->geometry);
	return bytes;
}

static void infer_huge(const struct look *l, hva_t start, hva_t end, struct sight_builder *b)
{
	uint64_t block = block_bytes(&l->geometry), candidates = candidate_bytes(l, b);
	struct huge_vma vma;
	hva_t first, last;

	if (candidates == 0 || !read_huge_vma(l, start, &vma) || vma.huge_bytes == 0)
		return;
	first = align_up(vma.start, block);
	last = align_down(vma.end, block);
	if (vma.huge_bytes != last - first &&
	    (start > first || end < last || vma.huge_bytes != candidates))
		return;
	for (size_t i = 0; i < b->n; i++)
		if (may_be_huge(&b->list[i]))
			b->list[i].seen = SEEN_HUGE;
}

int old_look(const struct look *l, hva_t start, hva_t end, struct sight_builder *b)
{
	for (hva_t at = start; at < end; at += block_bytes(&l->geometry)) {
		struct tally t = {.block = at};
		struct sight s;
		int r = tally_block(l, &t);

		if (r == 0)
			r = tally_judge(&t, l, &s);
		if (r == 0)
			r = build_sight(b, l, &s);
		if (r < 0)
			return r;
	}
	infer_huge(l, start, end, b);
	return 0;
}
