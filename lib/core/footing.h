/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What guest RAM stands on where a file is mapped directly: its extents decide, block by block,
 * what can be huge. Pure. */

#include "piece.h"
#include "snapshot.h"

/* A region's pieces by address, and how far a walk through them has come. */
struct footing {
	struct alignment alignment; /* `offset` of its pieces is an address */
	size_t next;
};

/* Of a region whose extents are known. 0 or -ENOMEM. */
int footing_of(const struct snapshot *s, const struct region *r, struct footing *ret);
void footing_clear(struct footing *f);

/* The piece at the block `start`, NULL behind the last one, where the file has ended; *end is cut
 * to where the answer changes. To be asked in order of addresses. */
const struct piece *footing_at(struct footing *f, hva_t start, hva_t *end);

/* Why blocks on that piece are not huge, if they are not and are not empty. */
enum reason footing_reason(const struct snapshot *s, const struct piece *piece);
