/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "region.h"

#include <assert.h>

#include "names.h"

static const char *const backing_names[] = {
	[BACKING_ANON] = "anon",     [BACKING_SHMEM] = "shmem",	    [BACKING_FSDAX] = "fsdax",
	[BACKING_DEVDAX] = "devdax", [BACKING_HUGETLB] = "hugetlb", [BACKING_FILE] = "file",
	[BACKING_SECRET] = "secret", [BACKING_SPECIAL] = "special",
};

static_assert(ARRAY_SIZE(backing_names) == BACKING_MAX, "every backing has a name");

const char *backing_name(enum backing backing)
{
	return name_of(backing_names, ARRAY_SIZE(backing_names), backing);
}

int backing_from_name(const char *name, enum backing *ret)
{
	int r = name_find(backing_names, ARRAY_SIZE(backing_names), name);

	if (r < 0)
		return r;
	*ret = (enum backing)r;
	return 0;
}

static const char *const eligibility_names[] = {
	[ELIGIBILITY_UNKNOWN] = "unknown",
	[ELIGIBILITY_YES] = "yes",
	[ELIGIBILITY_NO] = "no",
	[ELIGIBILITY_NO_RIGHT] = "no-right",
};

static_assert(ARRAY_SIZE(eligibility_names) == ELIGIBILITY_MAX, "every eligibility has a name");

const char *eligibility_name(enum eligibility eligibility)
{
	return name_of(eligibility_names, ARRAY_SIZE(eligibility_names), eligibility);
}

uint64_t region_misalignment(const struct region *r, const struct mmu_geometry *g)
{
	if (r->backing == BACKING_ANON)
		return 0;
	return (r->start - r->file_offset) & (block_bytes(g) - 1);
}

bool region_is_congruent(const struct region *r, const struct mmu_geometry *g)
{
	return region_misalignment(r, g) == 0;
}
