/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XFS: the data are copied to the donor, then file and donor exchange their blocks. */
#include "realign_parts.h"

#include <errno.h>

#include "exchange.h"
#include "lease.h"
#include "space.h"

static int copy(struct batch *b)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < b->n_moves; i++) {
		const struct move *m = &b->moves[i];

		if (!m->has_data)
			continue;
		e = transfer_copy(b->transfer, b->realign->fd, m->offset, b->donor_fd,
				  m->donor_offset, m->bytes);
		b->realign->copied_bytes += m->bytes;
	}
	if (e == 0)
		e = space_sync(b->donor_fd);
	return e < 0 ? realign_fail(b->realign, e, "The data could not be copied.") : 0;
}

/* Whether file and donor hold the same in the places of this move. */
static int compare(struct batch *b, const struct move *m)
{
	int e;

	if (!m->has_data)
		return 0;
	e = transfer_compare(b->transfer, b->realign->fd, m->offset, b->donor_fd, m->donor_offset,
			     m->bytes);
	/* Whoever did not wait for the lease any longer may have written. */
	if (e > 0 && !lease_is_undisturbed(b->realign->fd))
		return realign_fail(b->realign, -EBUSY, "Somebody opened the file.");
	if (e > 0)
		return realign_fail(b->realign, -EIO,
				    "What was copied is not what is in the file.");
	return e < 0 ? realign_fail(b->realign, e, "What was copied cannot be read.") : 0;
}

static int answer_exchange(struct batch *b, int e)
{
	if (e == -EOPNOTSUPP || e == -ENOTTY)
		return realign_fail(b->realign, -EOPNOTSUPP,
				    "This XFS cannot exchange parts of files (it takes mkfs.xfs -i "
				    "exchange=1 and Linux 6.10).");
	if (e == -EBUSY)
		return realign_fail(b->realign, e, "Somebody changed the file.");
	return e < 0 ? realign_fail(b->realign, e, "The file system refused the exchange.") : 0;
}

static int exchange(struct batch *b, const struct move *m, bool is_trial)
{
	return answer_exchange(b, exchange_xfs(b->realign->fd, m->offset, b->donor_fd,
					       m->donor_offset, m->bytes, is_trial));
}

static int prepare(struct batch *b)
{
	int e = 0;

	/* First, as it costs nothing. */
	for (size_t i = 0; e == 0 && i < b->n_moves; i++)
		e = exchange(b, &b->moves[i], true);
	return e < 0 ? e : copy(b);
}

/* What is equal after it was noted what the file is like can be exchanged as long as it is like
 * that: a write in between, by whomever, stops it. */
static int exchange_if_equal(struct batch *b, const struct move *m)
{
	const struct freshness f = exchange_xfs_note(b->realign->fd);
	int e = compare(b, m);

	return e < 0 ? e
		     : answer_exchange(b,
				       exchange_xfs_if_fresh(b->realign->fd, m->offset, b->donor_fd,
							     m->donor_offset, m->bytes, &f));
}

/* The donor holds the old blocks then: if they read otherwise, they are put back, unless it is
 * because somebody wrote to the new ones. */
static int move(struct batch *b, const struct move *m)
{
	int e = exchange_if_equal(b, m);

	if (e < 0)
		return e;
	e = compare(b, m);
	if (e < 0 && e != -EBUSY)
		(void)exchange(b, m, false);
	return e;
}

const struct realign_method realign_xfs = {.prepare = prepare, .move = move};
