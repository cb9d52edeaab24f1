/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of a file and of all that it lies on helps or hinders huge mappings (KERNEL 8.1, 8.2), for
 * `thpctl dax check`. Pure. */

#include "check.h"
#include "mapping.h"
#include "piece.h"
#include "storage.h"

/* Whether page sizes of mappings are decided by the extents at all. */
bool layout_decides_mappings(const struct storage *s);

/* Fills the list. Covers: file system, DAX of the inode, alignment of the namespace and of the
 * partition, stripe unit, each state of pieces that is not aligned, mappings that are off. */
void layout_checkup(const struct storage *s, const struct alignment *a,
		    const struct mapping_list *mappings, struct check_list *ret);
