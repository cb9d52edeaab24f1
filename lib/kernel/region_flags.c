/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "region_flags.h"

#include <string.h>

#include "procfs.h"

static bool key_is(struct scanner key, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(key.end - key.at) == n && memcmp(key.at, name, n) == 0;
}

/* The next region with exactly these bounds, from *next on; NULL if there is none. */
static struct region *match(struct region *regions, size_t n, size_t *next,
			    const struct maps_line *l)
{
	while (*next < n && regions[*next].start < l->start)
		(*next)++;
	if (*next < n && regions[*next].start == l->start && regions[*next].end == l->end)
		return &regions[*next];
	return NULL;
}

static void correct_backing(struct region *r)
{
	if (r->flags & VMA_FLAG_HT)
		r->backing = BACKING_HUGETLB;
	/* A file of an ordinary file system is a mixed map only if it is mapped directly (dax by
	 * inode, which the mount options do not tell). */
	else if (r->backing == BACKING_FILE && (r->flags & VMA_FLAG_MM))
		r->backing = BACKING_FSDAX;
}

/* The kernel refuses anonymous memory that was never touched, which says nothing about the memory
 * to come. */
static void correct_eligibility(struct region *r, uint64_t resident_bytes)
{
	if (r->backing == BACKING_ANON && r->eligibility == ELIGIBILITY_NO && resident_bytes == 0 &&
	    r->flags == (r->flags & (VMA_FLAG_HG | VMA_FLAG_MG | VMA_FLAG_LO | VMA_FLAG_NR)))
		r->eligibility = ELIGIBILITY_UNKNOWN;
}

void regions_apply_smaps(struct region *regions, size_t n, const char *text, size_t size)
{
	struct scanner s = {.at = text, .end = text + size}, line, key;
	struct region *r = NULL;
	uint64_t resident_bytes = 0;
	size_t next = 0;

	while (scan_line(&s, &line)) {
		struct maps_line header;
		uint64_t bytes;

		if (maps_parse_line(line, &header)) {
			r = match(regions, n, &next, &header);
			resident_bytes = 0;
		} else if (r && smaps_parse_flags(line, &r->flags)) {
			r->are_flags_known = true;
			correct_backing(r);
			correct_eligibility(r, resident_bytes);
		} else if (r && smaps_parse_size(line, &key, &bytes)) {
			if (key_is(key, "Rss") || key_is(key, "Swap"))
				resident_bytes = sat_add_u64(resident_bytes, bytes);
			else if (key_is(key, "Anonymous"))
				r->has_anon_pages = bytes > 0;
		}
	}
}
