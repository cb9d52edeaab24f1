/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small arithmetic on sizes and addresses. `unit` is a power of two. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t align_down(uint64_t value, uint64_t unit)
{
	return value & ~(unit - 1);
}

/* Saturates at the last aligned value instead of wrapping to 0. */
static inline uint64_t align_up(uint64_t value, uint64_t unit)
{
	return value > UINT64_MAX - (unit - 1) ? align_down(UINT64_MAX, unit)
					       : align_down(value + (unit - 1), unit);
}

static inline bool is_aligned(uint64_t value, uint64_t unit)
{
	return (value & (unit - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t sat_sub_u64(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t sat_add_u64(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}
