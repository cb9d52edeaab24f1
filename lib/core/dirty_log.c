/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirty_log.h"

#include "bits.h"

enum answer dirty_log_is_on(const struct snapshot *s)
{
	uint64_t all = 0, logged = 0;

	if (!s->are_memslots_known)
		return ANSWER_UNKNOWN;
	for (size_t i = 0; i < s->n_memslots; i++) {
		const struct memslot *m = &s->memslots[i];

		if (m->flags & MEMSLOT_READONLY)
			continue;
		all = sat_add_u64(all, m->bytes);
		if (m->flags & MEMSLOT_LOG_DIRTY)
			logged = sat_add_u64(logged, m->bytes);
	}
	return logged > all / 2 ? ANSWER_YES : ANSWER_NO;
}
