/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Address types and the page geometry of the machine. Nothing in thpd knows the number 2 MiB: a
 * block is what the running kernel says a PMD maps (2 MiB with 4K pages, 512 MiB on arm64 with 64K
 * pages). */

#include <stdbool.h>
#include <stdint.h>

#include "bits.h"

typedef uint64_t gfn_t, gpa_t, hva_t, pfn_t;

struct mmu_geometry {
	uint8_t base_shift; /* log2 of the base page */
	uint8_t pmd_order;  /* log2 of base pages in a block */
	uint8_t pud_order;  /* log2 of base pages that a PUD maps */
};

static inline uint64_t page_bytes(const struct mmu_geometry *g)
{
	return UINT64_C(1) << g->base_shift;
}

static inline uint64_t block_pages(const struct mmu_geometry *g)
{
	return UINT64_C(1) << g->pmd_order;
}

static inline uint64_t block_bytes(const struct mmu_geometry *g)
{
	return UINT64_C(1) << (g->base_shift + g->pmd_order);
}

static inline uint64_t pud_bytes(const struct mmu_geometry *g)
{
	return UINT64_C(1) << (g->base_shift + g->pud_order);
}

/* A geometry that came from outside (a file, a snapshot) must pass this before it is shifted by. */
static inline bool mmu_geometry_is_valid(const struct mmu_geometry *g)
{
	return g->base_shift >= 12 && g->base_shift <= 16 && g->pmd_order >= 5 &&
	       g->pmd_order <= 13 && g->pud_order > g->pmd_order && g->pud_order <= 26;
}
