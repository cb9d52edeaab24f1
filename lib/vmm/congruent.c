/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "congruent.h"

/* A reservation of whole huge pages is somebody else's: an allocator's arena, or QEMU's for private
 * or hugetlb memory, which it aligns itself. The one for shared memory has a guard page behind it.
 */
static bool is_ours(const struct congruent_mapping *m)
{
	if (m->bytes < CONGRUENT_2M)
		return false;
	return !m->is_reservation || m->bytes % CONGRUENT_2M != 0;
}

uint64_t congruent_alignment(const struct congruent_mapping *m, uint64_t page_bytes)
{
	uint64_t memory = m->is_reservation ? m->bytes - page_bytes : m->bytes;

	if (!is_ours(m) || m->offset % page_bytes != 0 || memory < CONGRUENT_2M)
		return 0;
	return memory % CONGRUENT_1G == 0 ? CONGRUENT_1G : CONGRUENT_2M;
}

uint64_t congruent_next(uint64_t alignment)
{
	return alignment == CONGRUENT_1G ? CONGRUENT_2M : 0;
}

uint64_t congruent_room(const struct congruent_mapping *m, uint64_t alignment, uint64_t page_bytes)
{
	uint64_t room;

	return __builtin_add_overflow(m->bytes, alignment - page_bytes, &room) ? 0 : room;
}

uint64_t congruent_start(const struct congruent_mapping *m, uint64_t alignment, uint64_t room)
{
	return room + (m->offset - room) % alignment;
}
