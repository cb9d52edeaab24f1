/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a look saw of a run of equal blocks: facts, no judgement. Diagnosis turns sights into runs
 * with a state and a reason. Memory grows with the number of sights, not of blocks. */

#include "address.h"

enum seen {
	SEEN_UNKNOWN = 0, /* not looked at, or the look failed */
	SEEN_HUGE,	  /* PMD-mapped (or mapped by something larger) */
	SEEN_NOTHING,	  /* nothing present and nothing swapped at the places looked at */
	SEEN_FOLIO, /* page-mapped; the page looked at belongs to a folio of block size at its place
		     */
	SEEN_SMALL, /* page-mapped; the page looked at belongs to a smaller folio */
	SEEN_PAGES, /* page-mapped; folio size not readable (no PFN right) */
	SEEN_SWAPPED, /* no page present, some swapped */
	SEEN_MAX,
};

const char *seen_name(enum seen seen); /* "huge", "nothing", "folio", ... */
int seen_from_name(const char *name, enum seen *ret);

/* How much of each block of the sight is present, in sixteenths of a block, rounded down: FILL_FULL
 * only if every page is present. Coarse on purpose: equal neighbours merge, so a fragmented VM does
 * not cost a sight per block. */
enum { FILL_FULL = 16, FILL_UNKNOWN = 255 };

/* Whether a block of that fill may be copied under MinPopulated=. Uncounted and empty blocks never.
 */
static inline bool fill_suffices(uint8_t fill, uint16_t min_populated_bp)
{
	return fill > 0 && fill <= FILL_FULL &&
	       fill * 10000u >= (uint32_t)min_populated_bp * FILL_FULL;
}

enum sight_flag {
	SIGHT_SWAP = 1 << 0,	    /* some page of the block is swapped or a migration entry */
	SIGHT_GUARD = 1 << 1,	    /* guard region */
	SIGHT_ZERO = 1 << 2,	    /* some page is the shared zero page */
	SIGHT_ANON_COPY = 1 << 3,   /* anon page inside a file mapping (copied page) */
	SIGHT_FOLIO_MIXED = 1 << 4, /* present pages are not all of one folio (detail only) */
};

struct sight {
	hva_t start; /* block aligned */
	uint32_t blocks;
	uint8_t seen;		/* enum seen */
	uint8_t fill;		/* sixteenths; FILL_UNKNOWN until counted */
	uint8_t flags;		/* enum sight_flag */
	int16_t node;		/* -1: not known */
	uint64_t present_pages; /* in all blocks together; valid if fill is known (huge: all) */
	uint64_t swapped_pages; /* likewise */
};

/* Same facts, so that two adjacent sights are one. */
bool sight_can_join(const struct sight *a, const struct sight *b, const struct mmu_geometry *g);

/* Blocks [from, to) of *s. Differences of sums from the start, so that all pieces together have
 * exactly the pages of the whole. */
struct sight sight_piece(const struct sight *s, uint32_t from, uint32_t to,
			 const struct mmu_geometry *g);

/* Appends *s to a sorted list, joining it with the last one if they are adjacent and equal. 0 or
 * -ENOMEM. */
int sight_list_append(struct sight **list, size_t *n, const struct sight *s,
		      const struct mmu_geometry *g);

/* Replaces what the sorted list says of [start, end) by the n_news sights in news (sorted, inside
 * that range); parts of old sights outside stay, with page counts split in proportion where they
 * were counted. 0 or -ENOMEM (list unchanged). */
int sight_list_replace(struct sight **list, size_t *n, hva_t start, hva_t end,
		       const struct sight *news, size_t n_news, const struct mmu_geometry *g);

/* The part of the sorted list inside [start, end), block aligned, as a new list (malloc'ed; NULL if
 * there is nothing). 0 or -ENOMEM. */
int sight_list_slice(const struct sight *list, size_t n, hva_t start, hva_t end, struct sight **ret,
		     size_t *ret_n, const struct mmu_geometry *g);
