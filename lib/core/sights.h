/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parts of a sight. All blocks of a sight are alike, so page counts fall to its parts evenly. */

#include <stddef.h>

#include "sight.h"

static inline hva_t sight_end(const struct sight *s, const struct mmu_geometry *g)
{
	return s->start + s->blocks * block_bytes(g);
}

/* How many of `pages` (of the whole sight) fall to [start, end), block aligned and inside it. The
 * shares of neighbouring parts add up to the whole. */
uint64_t sight_part_pages(const struct sight *s, uint64_t pages, hva_t start, hva_t end,
			  const struct mmu_geometry *g);

/* Bytes of [start, end) that the sorted sights show as huge. */
uint64_t sights_huge_bytes(const struct sight *sights, size_t n, hva_t start, hva_t end,
			   const struct mmu_geometry *g);

/* Bytes of [start, end) that were huge and are mapped in smaller pieces now. Blocks that are empty
 * by now, given back by the guest, are not among them. */
uint64_t sights_split_bytes(const struct sight *before, size_t n_before, const struct sight *after,
			    size_t n_after, hva_t start, hva_t end, const struct mmu_geometry *g);

/* Bytes of [start, end) whose blocks the sorted sights show on the node. */
uint64_t sights_bytes_on(const struct sight *sights, size_t n, int node, hva_t start, hva_t end,
			 const struct mmu_geometry *g);
