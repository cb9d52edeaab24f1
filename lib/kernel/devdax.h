/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Device-dax mappings with 1 GiB alignment: whatever walks their page tables splits them (KERNEL
 * 7.2), so they are found before anything walks. */

#include "backing.h"
#include "region.h"

/* Whether the mapping is device-dax that the kernel may map by a PUD. Doubt counts as yes. */
bool mapping_is_devdax_1g(struct sys *sys, const struct process *p, const struct maps_line *l,
			  const struct mounts *m, const struct mmu_geometry *g);

/* What the device behind the mapping r, which is device-dax, says of itself: align, size, address.
 * What cannot be read stays 0. */
void devdax_read(struct sys *sys, const struct process *p, const struct maps_line *l,
		 struct region *r);
