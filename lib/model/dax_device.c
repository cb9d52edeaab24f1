/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dax_device.h"

static bool fits(const struct dax_device *d, uint64_t mapped_bytes, uint64_t page)
{
	return mapped_bytes >= page && is_aligned(d->address | d->bytes, page);
}

uint64_t dax_device_page_bytes(const struct dax_device *d, uint64_t mapped_bytes,
			       const struct mmu_geometry *g)
{
	if (d->align_bytes == 0 || d->bytes == 0 || d->address == DAX_ADDRESS_UNKNOWN)
		return 0;
	if (fits(d, mapped_bytes, pud_bytes(g)))
		return pud_bytes(g);
	return fits(d, mapped_bytes, block_bytes(g)) ? block_bytes(g) : page_bytes(g);
}

bool dax_device_is_small(const struct dax_device *d, uint64_t mapped_bytes,
			 const struct mmu_geometry *g)
{
	return d->align_bytes < dax_device_page_bytes(d, mapped_bytes, g);
}
