/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A DAX device (/dev/dax0.0): memory that is mapped by pages of its alignment, and of no other size
 * (KERNEL 8.4). */

#include "address.h"

#define DAX_ADDRESS_UNKNOWN UINT64_MAX

struct dax_device {
	uint64_t align_bytes; /* 0: not known */
	uint64_t bytes;
	uint64_t address; /* physical, of its first byte; DAX_ADDRESS_UNKNOWN where root alone may
			     ask */
	int16_t node;	  /* to which the memory belongs; -1: not known */
};

#define DAX_DEVICE_INIT                                     \
	{                                                   \
		.address = DAX_ADDRESS_UNKNOWN, .node = -1, \
	}

/* The largest page by which a mapping of so many bytes could be mapped, by where the device lies
 * and how large it is; 0: not known. */
uint64_t dax_device_page_bytes(const struct dax_device *d, uint64_t mapped_bytes,
			       const struct mmu_geometry *g);

/* It is aligned to less than that. */
bool dax_device_is_small(const struct dax_device *d, uint64_t mapped_bytes,
			 const struct mmu_geometry *g);
