/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a process has a file mapped. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "address.h"
#include "bits.h"

#define MAPPING_HUGE_UNKNOWN UINT64_MAX

struct mapping {
	pid_t pid;
	hva_t start, end;
	uint64_t offset; /* of the file */
	bool is_shared;
	uint64_t huge_bytes; /* mapped by huge pages now, or MAPPING_HUGE_UNKNOWN */
};

/* All of one file, by whomever. */
struct mapping_list {
	const struct mapping *items;
	size_t n_items;
};

/* How far the address is off the place in the file, in pieces of `unit`: only at 0 can a piece be
 * mapped huge (KERNEL 8.1, the colour of the mapping). */
static inline uint64_t mapping_off_by(const struct mapping *m, uint64_t unit)
{
	return (m->start - m->offset) & (unit - 1);
}
