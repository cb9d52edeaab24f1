/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Growth of plain arrays. An array is a pointer and a count in its owner; capacity is the next
 * power of two of the count, so it needs no field of its own. */

#include <stddef.h>

/* Makes room for `more` elements behind `count` elements of `size` bytes at *array. The array is
 * NULL or was grown by these functions (it may have been shortened since). Returns 0, or -ENOMEM
 * with *array unchanged. */
int array_reserve(void **array, size_t count, size_t more, size_t size);

/* Makes room for one more element behind `count` elements of `size` bytes at *array (grown by
 * doubling). Returns 0, or -ENOMEM with *array unchanged. */
int array_reserve_one(void **array, size_t count, size_t size);

/* Appends *item. Usage: r = ARRAY_APPEND(&snapshot->regions, &snapshot->n_regions, &region); */
#define ARRAY_APPEND(array, count, item)                                                   \
	({                                                                                 \
		int r_ = array_reserve_one((void **)(array), *(count), sizeof(**(array))); \
		if (r_ == 0)                                                               \
			(*(array))[(*(count))++] = *(item);                                \
		r_;                                                                        \
	})
