/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4: the kernel itself copies to the donor's blocks and exchanges them, page by page, each in
 * the journal. What the donor holds afterwards is marked as unwritten, so the data are compared by
 * their digest. */
#include "realign_parts.h"

#include <errno.h>

#include "bits.h"
#include "exchange.h"
#include "lease.h"
#include "space.h"

static int prepare(struct batch *b)
{
	if (b->realign->storage->is_dax == ANSWER_YES)
		return realign_fail(b->realign, -EOPNOTSUPP,
				    "ext4 does not move parts of a file that is mapped directly "
				    "(DAX).");
	return 0;
}

static int digest(struct batch *b, const struct move *m, uint64_t *ret)
{
	int e;

	*ret = 0;
	if (!m->has_data)
		return 0;
	e = transfer_digest(b->transfer, b->realign->fd, m->offset, m->bytes, ret);
	return e < 0 ? realign_fail(b->realign, e, "The file cannot be read.") : 0;
}

/* So much is written back between two looks at the lease. */
enum { SLICE_BYTES = 16 << 20 };

static int write_back(struct batch *b, const struct move *m)
{
	int fd = b->realign->fd, e = 0;

	for (uint64_t at = 0; e == 0 && at < m->bytes; at += SLICE_BYTES) {
		uint64_t offset = m->offset + at, n = min_u64(m->bytes - at, SLICE_BYTES);

		if (!lease_is_undisturbed(fd))
			return realign_fail(b->realign, -EBUSY, "Somebody wants to open the file.");
		e = transfer_copy(b->transfer, fd, offset, fd, offset, n);
	}
	return e < 0 ? realign_fail(b->realign, e, "The file cannot be written back.") : 0;
}

/* The kernel moves what is there, each extent as it is: what is written in part, or a hole, is made
 * one by filling it and writing back what it reads. */
static int unite(struct batch *b, const struct move *m)
{
	int e = space_fill(b->realign->fd, m->offset, m->bytes);

	if (e < 0)
		return realign_fail(b->realign, e, "The holes of the file cannot be filled.");
	return m->has_data && m->is_split ? write_back(b, m) : 0;
}

static int exchange(struct batch *b, const struct move *m)
{
	struct realign *r = b->realign;
	int e = exchange_ext4(r->fd, m->offset, b->donor_fd, m->donor_offset, m->bytes,
			      r->storage->block_bytes);

	if (e == 0)
		e = space_sync(r->fd);
	if (m->has_data)
		r->copied_bytes += m->bytes;
	return e < 0 ? realign_fail(r, e, "The file system refused to move this part.") : 0;
}

static int move(struct batch *b, const struct move *m)
{
	uint64_t before, after;
	int e = digest(b, m, &before);

	if (e == 0)
		e = unite(b, m);
	if (e == 0)
		e = exchange(b, m);
	if (e == 0)
		e = digest(b, m, &after);
	/* Whoever did not wait for the lease any longer may have written. */
	if (e == 0 && before != after && !lease_is_undisturbed(b->realign->fd))
		return realign_fail(b->realign, -EBUSY, "Somebody opened the file.");
	if (e == 0 && before != after)
		e = realign_fail(b->realign, -EIO,
				 "The file reads otherwise than before the kernel moved it: "
				 "restore it from a copy, and report this.");
	return e;
}

const struct realign_method realign_ext4 = {.prepare = prepare, .move = move};
