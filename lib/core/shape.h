/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How to make a file of aligned pieces out of a file that has more space than it needs: cut out
 * what lies between them. What remains is moved forward by the file system (a collapse of the
 * range), which changes file offsets, never addresses. Pure. */

#include "cut.h"
#include "layout.h"

/* Plans the cuts that leave at most wanted_bytes of pieces of `unit` bytes. Holes, shared extents
 * and those without a known place are cut. Blocks of the file system divide the unit. 0 or -ENOMEM.
 */
int shape_plan(const struct layout *l, uint64_t unit, uint64_t wanted_bytes, struct shape *ret);
