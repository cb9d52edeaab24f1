/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memslots of one VM, put together from the parts that its VMM tells. The VMM is not trusted: a
 * table counts when it is whole and without contradiction, and takes memory as its parts come,
 * never as they are announced. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memslot.h"

struct slot_table {
	struct memslot *slots; /* owned; by (address_space, gpa): the last table that was whole */
	size_t n;
	bool is_whole; /* there was one; an empty one is one, too */

	struct memslot *parts; /* owned: the next one, so far */
	size_t n_parts;
	uint32_t total, generation;
	bool is_begun;
};

struct slot_part {
	uint32_t generation, first, total;
	const struct memslot *slots; /* [first, first + n) of total */
	size_t n;
};

/* Takes a part. A part that begins with the first slot begins a table anew, whatever came before;
 * each other one goes on where the one before ended. 1: the table is whole now; 0: more is to come;
 * -EPROTO: a law was broken, *ret_why says which; -ENOSPC: more than `room` slots are announced;
 * -ENOMEM. After an error the next table is begun anew, and the last whole one is as it was. */
int slot_table_take(struct slot_table *t, const struct slot_part *p, size_t room,
		    const char **ret_why);

/* The slots that take memory, and how many it may have to have: of the table that is whole, or of
 * the one that is begun. held is never more than twice as many. */
size_t slot_table_held(const struct slot_table *t);
size_t slot_table_claimed(const struct slot_table *t);

/* As if nothing had been told. */
void slot_table_clear(struct slot_table *t);
