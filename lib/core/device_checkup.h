/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of a DAX device helps or hinders large pages, for `thpctl dax check`. Pure. */

#include "check.h"
#include "dax_device.h"
#include "mapping.h"
#include "reason.h"

/* Fills the list. Covers: alignment, what of place and size defeats a larger one, the node, and
 * each mapping's place in the device. */
void device_checkup(const struct dax_device *d, const struct mapping_list *mappings,
		    const struct mmu_geometry *g, struct check_list *ret);
