/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of half-open intervals [start, end) of uint64_t, kept sorted, disjoint and merged. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
	uint64_t start, end;
};

struct interval_set {
	struct interval *items; /* owned */
	size_t n_items;
};

#define INTERVAL_SET_INIT \
	{                 \
		NULL, 0   \
	}

int interval_set_add(struct interval_set *set, uint64_t start,
		     uint64_t end); /* 0 or -ENOMEM; empty interval: no-op */
int interval_set_remove(struct interval_set *set, uint64_t start,
			uint64_t end); /* 0 or -ENOMEM (a removal may split) */
bool interval_set_covers(const struct interval_set *set, uint64_t start, uint64_t end);
bool interval_set_overlaps(const struct interval_set *set, uint64_t start, uint64_t end);
/* The first that ends behind the address: the one that holds it, or the next; NULL: none. */
const struct interval *interval_set_find(const struct interval_set *set, uint64_t address);
uint64_t interval_set_bytes(const struct interval_set *set);
void interval_set_clear(struct interval_set *set); /* frees; usable again */
