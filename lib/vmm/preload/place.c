/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. Left to itself the kernel puts a mapping below the lowest one, and QEMU's
 * reservation for shared guest RAM (its size and one guard page) so ends on a huge page's boundary
 * and begins 4 KiB below one: the file that is then mapped over it can never be huge (KERNEL.md
 * 0.3). So a place is looked for first: room for any start is mapped without access and let go
 * again, and what was asked for is mapped inside with MAP_FIXED_NOREPLACE. If another thread was
 * quicker, that fails and harms nobody, as would not be so with MAP_FIXED and trimming. Whatever
 * goes wrong, the plain call is made as if nothing had been tried. */

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "congruent.h"
#include "place.h"
#include "shmem.h"

enum { SHARED_FLAGS = MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_LOCKED };

static void *raw_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	/* NOLINTNEXTLINE: the kernel's answer is an address */
	return (void *)syscall(SYS_mmap, addr, bytes, prot, flags, fd, offset);
}

static bool is_reservation(const struct place_request *q)
{
	return q->prot == PROT_NONE && q->fd == -1 && q->offset == 0 &&
	       (q->flags & ~MAP_NORESERVE) == (MAP_PRIVATE | MAP_ANONYMOUS);
}

static bool is_shared_memory(const struct place_request *q)
{
	return (q->flags & ~(MAP_TYPE | SHARED_FLAGS)) == 0 && shmem_is_shared(q);
}

/* The kernel refuses MAP_FIXED_NOREPLACE beside MAP_SHARED_VALIDATE, which asks for no more than
 * MAP_SHARED where all other flags are ones that every kernel knows. */
static int placed_flags(const struct place_request *q)
{
	int type = q->flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE)
		type = MAP_SHARED;
	return (q->flags & ~MAP_TYPE) | type | MAP_FIXED_NOREPLACE;
}

static void *map_in_room(const struct place_request *q, const struct congruent_mapping *m,
			 uint64_t alignment, uint64_t page_bytes)
{
	uint64_t room_bytes = congruent_room(m, alignment, page_bytes);
	void *room, *at, *got;

	if (room_bytes == 0)
		return NULL;
	room = raw_mmap(NULL, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (room == MAP_FAILED || munmap(room, room_bytes) < 0)
		return NULL;
	at = (void *)(uintptr_t)congruent_start(m, alignment, (uintptr_t)room);
	got = raw_mmap(at, q->bytes, q->prot, placed_flags(q), q->fd, q->offset);
	if (got == MAP_FAILED)
		return NULL;
	if (got != at) { /* a kernel before 4.17 takes the address as a hint */
		munmap(got, q->bytes);
		return NULL;
	}
	return got;
}

void *place_aligned(const struct place_request *q)
{
	struct congruent_mapping m = {.bytes = q->bytes, .offset = shmem_offset(q)};
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	int saved = errno;
	void *got = NULL;

	if (q->addr || q->bytes < CONGRUENT_2M)
		return NULL;
	m.is_reservation = is_reservation(q);
	if (m.is_reservation || is_shared_memory(q))
		for (uint64_t a = congruent_alignment(&m, page_bytes); a && !got;
		     a = congruent_next(a))
			got = map_in_room(q, &m, a, page_bytes);
	errno = saved;
	return got;
}
