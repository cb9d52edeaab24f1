/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory that belongs to the same nodes of the home, from one address to the next at which that
 * changes. Pure. */

#include "home.h"

struct home_piece {
	hva_t start, end;
	node_set_t nodes; /* 0: the home is not known */
};

/* The piece that begins at `at`, up to `end`; both block aligned; empty if at == end. A block is of
 * one piece: it belongs where its first byte does. So a range is walked by
 *
 *	p = home_piece_at(h, s, start, end);
 *	for (; p.start < end; p = home_piece_at(h, s, p.end, end))
 *
 * Stripes are counted by the offset in the file, so that they are the same for all who map it,
 * however its mappings are cut; by the address of memory without a file, which does not change
 * while the memory lives (a start of its mapping would, when the mapping is cut in two). Memory of
 * no guest node belongs to all nodes of the home. *s: that *h was made of. */
struct home_piece home_piece_at(const struct home *h, const struct snapshot *s, hva_t at,
				hva_t end);
