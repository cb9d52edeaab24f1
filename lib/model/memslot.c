/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memslot.h"

#include <stdlib.h>

static bool is_range(uint64_t start, uint64_t bytes)
{
	return start <= INT64_MAX && bytes <= INT64_MAX - start;
}

bool memslot_is_lawful(const struct memslot *m, uint64_t page_bytes)
{
	return m->bytes > 0 && is_aligned(m->gpa | m->bytes | m->hva, page_bytes) &&
	       is_range(m->gpa, m->bytes) && is_range(m->hva, m->bytes) &&
	       (m->flags & ~(uint32_t)MEMSLOT_FLAGS) == 0 &&
	       m->address_space < MEMSLOT_ADDRESS_SPACES;
}

static int compare_slots(const void *a, const void *b)
{
	const struct memslot *x = a, *y = b;

	if (x->address_space != y->address_space)
		return x->address_space < y->address_space ? -1 : 1;
	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

void memslots_sort(struct memslot *slots, size_t n)
{
	if (n > 0)
		qsort(slots, n, sizeof(*slots), compare_slots);
}

uint64_t memslot_misalignment(const struct memslot *m, uint64_t unit)
{
	return (m->hva - m->gpa) & (unit - 1);
}
