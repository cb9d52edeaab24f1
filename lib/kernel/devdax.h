/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Device-dax mappings with 1 GiB alignment: whatever walks their page tables splits them (KERNEL
 * 7.2), so they are found before anything walks. */

#include "backing.h"
#include "dax_device.h"

/* Whether the mapping is device-dax that the kernel may map by a PUD. Doubt counts as yes. */
bool mapping_is_devdax_1g(struct sys *sys, const struct process *p, const struct maps_line *l,
			  const struct mounts *m, const struct mmu_geometry *g);

/* What the device behind a mapping says of itself. What cannot be read stays unknown. */
void devdax_read(struct sys *sys, const struct process *p, const struct maps_line *l,
		 struct dax_device *ret);

/* The same of an open device. 0, or -ENOTTY if it is no DAX device. */
int devdax_read_open(struct sys *sys, int fd, struct dax_device *ret);
