/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sorted list of disjoint holds. */

#include <stdbool.h>
#include <stddef.h>

#include "hold.h"

/* Bound on what a hostile guest can make thpd remember: beyond it a new hold is joined to its
 * neighbour, so that more than necessary is left alone, never less. */
enum { HOLDS_MAX = 65536 };

static inline bool hold_is_active(const struct hold *h, uint64_t now_ns)
{
	return h->until_ns == UINT64_MAX || now_ns < h->until_ns;
}

/* Index of the first hold that ends behind address (n if none). */
size_t hold_list_find(const struct hold *list, size_t n, hva_t address);

/* Replaces what the list says of [h->start, h->end) by *h. An empty range changes nothing. 0 or
 * -ENOMEM (list unchanged). */
int hold_list_set(struct hold **list, size_t *n, const struct hold *h);

/* Forgets [start, end). 0 or -ENOMEM (list unchanged). */
int hold_list_cut(struct hold **list, size_t *n, hva_t start, hva_t end);
