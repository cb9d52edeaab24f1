/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ladder of looks at a page table, cheapest first. Theory of operation in look.c. */

#include "process.h"
#include "region.h"
#include "sight.h"

struct look {
	struct sys *sys;
	const struct process *process;
	struct mmu_geometry geometry;
	uint32_t features; /* enum feature */
	/* Present pages that are not PAGE_FILE are copies. To be set for private mappings of shmem
	 * or files; a shared one cannot have copies, and asking makes counting three times dearer.
	 */
	bool is_file;
	/* Ask on which node the blocks lie; where there are several. */
	bool want_nodes;
};

/* Looks at the blocks of [start, end) (block aligned, inside one VMA) and appends sights. One
 * inverted PAGEMAP_SCAN runs over huge memory; a block that stopped it is decided by one page:
 * nothing, swapped, folio, small or pages (fill is FILL_UNKNOWN, except for nothing and huge).
 * Without PAGEMAP_SCAN: pagemap and kpageflags; huge is then inferred only where it is certain,
 * else SEEN_PAGES or SEEN_FOLIO. 0, -ESRCH (mm is gone), -EACCES, -errno. */
int look_blocks(const struct look *l, hva_t start, hva_t end, struct sight **list, size_t *n);

/* Counts every page of the blocks of [start, end): fill, present and swapped pages, flags. Costs a
 * walk of every PTE. */
int look_pages(const struct look *l, hva_t start, hva_t end, struct sight **list, size_t *n);

/* Present pages of [start, end), page aligned, without sights: for the edges of a VMA. */
int look_count(const struct look *l, hva_t start, hva_t end, uint64_t *ret_present);
