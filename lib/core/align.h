/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which pieces of a file could be mapped huge. Pure. */

#include "layout.h"
#include "piece.h"

/* Judges every piece of `unit` bytes (a power of two: 2 MiB, 1 GiB) by the rules of KERNEL 8.1.
 * Extents that do not come in order are judged as far as they go. Time is that of the extents, not
 * of the size. 0 or -ENOMEM (*ret is empty then). */
int align_judge(const struct layout *l, uint64_t unit, struct alignment *ret);
