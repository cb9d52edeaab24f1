/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bars that hold for a whole VMA: why nothing in it can be made huge, whatever its pages are. */

#include <stdbool.h>

#include "snapshot.h"

/* The first bar that applies, in the order of diagnose(), or REASON_NONE. */
enum reason region_bar(const struct snapshot *s, const struct region *r);

/* Whether the bar also explains the parts of the VMA outside whole blocks; else hva-too-short does.
 */
bool bar_explains_edges(enum reason bar);

/* Whether the page table of this VMA may be walked to count pages. */
bool region_is_countable(const struct region *r);

/* Some mapping of it is known to be armed with a userfaultfd. */
bool vm_is_armed(const struct snapshot *s);

/* Its pages are the guest's and can be on another node as well: no DAX, hugetlb, device; nor a file
 * of a disk file system, whose pages others may use. */
bool region_is_movable(const struct region *r);
