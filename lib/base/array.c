/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "array.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static_assert(sizeof(size_t) == sizeof(unsigned long long), "capacity_of() counts 64 bits");

/* The next power of two; 0 for 0, and for what no size_t holds. */
static size_t capacity_of(size_t count)
{
	size_t half;

	if (count <= 1)
		return count;
	half = SIZE_MAX / 2 + 1;
	half >>= __builtin_clzll(count - 1);
	return half << 1;
}

int array_reserve(void **array, size_t count, size_t more, size_t size)
{
	size_t needed, capacity, bytes;
	void *grown;

	if (__builtin_add_overflow(count, more, &needed))
		return -ENOMEM;
	capacity = capacity_of(needed);
	if (needed > 0 && capacity == 0)
		return -ENOMEM;
	if (capacity == capacity_of(count))
		return 0;
	/* PTRDIFF_MAX: no object is larger, and pointers into it still subtract. */
	if (__builtin_mul_overflow(capacity, size, &bytes) || bytes > PTRDIFF_MAX)
		return -ENOMEM;
	grown = realloc(*array, bytes);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

int array_reserve_one(void **array, size_t count, size_t size)
{
	return array_reserve(array, count, 1, size);
}
