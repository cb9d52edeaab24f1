/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where shared memory has to start so that the kernel can map it by huge pages: an address and a
 * file offset that agree modulo the huge page. Pure: all numbers are bytes. */

#include <stdbool.h>
#include <stdint.h>

#define CONGRUENT_2M (UINT64_C(2) << 20)
#define CONGRUENT_1G (UINT64_C(1) << 30)

struct congruent_mapping {
	uint64_t bytes, offset; /* of the mapping, and of its start in the file */
	bool is_reservation;	/* address space for a file to be mapped at its start, and a guard
				   page behind it; offset 0 */
};

/* The alignment to try first: 1 GiB where the memory is whole gigabytes, else 2 MiB; 0: the mapping
 * is none of those that are to be aligned. page_bytes: the base page. */
uint64_t congruent_alignment(const struct congruent_mapping *m, uint64_t page_bytes);

/* The one to try after that; 0: none. */
uint64_t congruent_next(uint64_t alignment);

/* How much room holds a mapping that can be moved to such a start; 0: there is no such number. */
uint64_t congruent_room(const struct congruent_mapping *m, uint64_t alignment, uint64_t page_bytes);

/* The lowest start in that room, which begins at a page. */
uint64_t congruent_start(const struct congruent_mapping *m, uint64_t alignment, uint64_t room);
