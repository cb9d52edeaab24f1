/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What only smaps tells about regions. */

#include <stddef.h>

#include "region.h"

/* Fills flags, are_flags_known and has_anon_pages of the regions (sorted) whose bounds appear in
 * the text of smaps, and corrects their backing where the flags tell better. Regions whose bounds
 * changed since stay unknown. Pure. */
void regions_apply_smaps(struct region *regions, size_t n, const char *text, size_t size);
