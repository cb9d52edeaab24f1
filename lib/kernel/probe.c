/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "address.h"

static long count_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? -1 : usage.ru_minflt + usage.ru_majflt;
}

/* By the kernel, so that what cannot be read is an error and no signal. A page that is mapped
 * already costs no fault. */
static int touch(char *page)
{
	return madvise(page, 1, MADV_POPULATE_READ) < 0 ? -errno : 0;
}

/* DAX maps nothing around the page that was asked for: the second place faults again unless it is
 * part of the same huge page. */
static int probe_piece(char *piece, uint64_t unit, struct probe *p)
{
	long before = 0, after = 0;
	int r = touch(piece);

	if (r == 0) {
		before = count_faults();
		r = touch(piece + unit / 2);
		after = count_faults();
	}
	if (r < 0)
		return r;
	p->tried_bytes += unit;
	p->huge_bytes += before >= 0 && before == after ? unit : 0;
	return 0;
}

/* Address space with an aligned start; the file is mapped into it piece by piece. */
struct room {
	char *reserved, *aligned;
	size_t bytes;
};

static int room_open(uint64_t unit, struct room *ret)
{
	struct room room = {.bytes = 2 * unit};

	room.reserved = mmap(NULL, room.bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room.reserved == MAP_FAILED)
		return -errno;
	room.aligned =
		room.reserved + align_up((uintptr_t)room.reserved, unit) - (uintptr_t)room.reserved;
	*ret = room;
	return 0;
}

static int probe_at(int fd, const struct room *room, uint64_t offset, uint64_t unit,
		    struct probe *p)
{
	char *piece =
		mmap(room->aligned, unit, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);

	return piece == MAP_FAILED ? -errno : probe_piece(piece, unit, p);
}

int probe_file(int fd, const struct alignment *a, uint64_t max_bytes, struct probe *ret)
{
	struct probe p = {0};
	struct room room = {.bytes = 0};
	int r = room_open(a->unit, &room);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < a->n_pieces; i++) {
		const struct piece *piece = &a->pieces[i];

		for (uint64_t at = 0; r == 0 && piece->state == PIECE_ALIGNED &&
				      at < piece->bytes && p.tried_bytes < max_bytes;
		     at += a->unit)
			r = probe_at(fd, &room, piece->offset + at, a->unit, &p);
	}
	(void)munmap(room.reserved, room.bytes);
	*ret = p;
	return r;
}
