/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sights.h"

/* The share of the first `part` of `blocks` blocks; in two terms so that nothing overflows. */
static uint64_t share_of(uint64_t total, uint64_t part, uint64_t blocks)
{
	return total / blocks * part + total % blocks * part / blocks;
}

uint64_t sight_part_pages(const struct sight *s, uint64_t pages, hva_t start, hva_t end,
			  const struct mmu_geometry *g)
{
	uint64_t from = (start - s->start) / block_bytes(g), to = (end - s->start) / block_bytes(g);

	return share_of(pages, to, s->blocks) - share_of(pages, from, s->blocks);
}

uint64_t sights_huge_bytes(const struct sight *sights, size_t n, hva_t start, hva_t end,
			   const struct mmu_geometry *g)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		hva_t from = max_u64(sights[i].start, start),
		      to = min_u64(sight_end(&sights[i], g), end);

		if (sights[i].seen == SEEN_HUGE)
			bytes += sat_sub_u64(to, from);
	}
	return bytes;
}

uint64_t sights_bytes_on(const struct sight *sights, size_t n, int node, hva_t start, hva_t end,
			 const struct mmu_geometry *g)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		hva_t from = max_u64(sights[i].start, start),
		      to = min_u64(sight_end(&sights[i], g), end);

		if (sights[i].node == node)
			bytes += sat_sub_u64(to, from);
	}
	return bytes;
}

static bool is_in_pieces(const struct sight *s)
{
	return s->seen == SEEN_FOLIO || s->seen == SEEN_SMALL || s->seen == SEEN_PAGES;
}

uint64_t sights_split_bytes(const struct sight *before, size_t n_before, const struct sight *after,
			    size_t n_after, hva_t start, hva_t end, const struct mmu_geometry *g)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n_after; i++) {
		hva_t from = max_u64(after[i].start, start),
		      to = min_u64(sight_end(&after[i], g), end);

		if (from < to && is_in_pieces(&after[i]))
			bytes += sights_huge_bytes(before, n_before, from, to, g);
	}
	return bytes;
}
