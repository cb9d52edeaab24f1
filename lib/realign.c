/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "realign.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "lease.h"
#include "prepare.h"
#include "realign_parts.h"
#include "replace.h"
#include "space.h"
#include "storagefacts.h"

int realign_fail(struct realign *r, int err, const char *why)
{
	r->why = why;
	return err;
}

static void transfer_closep(struct transfer **t)
{
	*t = transfer_close(*t);
}

int realign_make_donor(struct batch *b, uint64_t bytes)
{
	struct realign *r = b->realign;
	uint64_t searched_bytes;
	struct storage storage;
	int e = storage_read(r->sys, b->donor_fd, &storage);

	if (e < 0)
		return realign_fail(r, e, "The file's directory cannot be asked what it lies on.");
	/* The kernel does not compare: one of them would be left with pages of the other kind. */
	if (storage.is_dax != r->storage->is_dax)
		return realign_fail(
			r, -EOPNOTSUPP,
			"A new file in that directory differs from this one in being mapped "
			"directly (DAX).");
	e = prepare_aligned(b->donor_fd, r->storage, r->unit, bytes, &searched_bytes);
	if (e == -ENOSPC)
		return realign_fail(r, e, "The free space does not hold enough aligned pieces.");
	return e < 0 ? realign_fail(r, e, "The file system refused space for the copy.") : 0;
}

/* A write through a mapping that thpd does not see would need the file to be open, which the lease
 * rules out; the times are a second opinion. */
int realign_check_undisturbed(struct batch *b)
{
	struct stat st;

	if (!lease_is_undisturbed(b->realign->fd))
		return realign_fail(b->realign, -EBUSY, "Somebody wants to open the file.");
	if (fstat(b->realign->fd, &st) < 0)
		return realign_fail(b->realign, -errno, "The file cannot be asked for its times.");
	if (st.st_mtim.tv_sec != b->mtime.tv_sec || st.st_mtim.tv_nsec != b->mtime.tv_nsec ||
	    st.st_ctim.tv_sec != b->ctime.tv_sec || st.st_ctim.tv_nsec != b->ctime.tv_nsec)
		return realign_fail(b->realign, -EBUSY, "Somebody changed the file.");
	return 0;
}

int realign_note_times(struct batch *b)
{
	struct stat st;

	if (fstat(b->realign->fd, &st) < 0)
		return realign_fail(b->realign, -errno, "The file cannot be asked for its times.");
	b->mtime = st.st_mtim;
	b->ctime = st.st_ctim;
	return 0;
}

/* Not one byte of it changed, so its time of change does not. */
static int keep_times(struct batch *b)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, b->mtime};

	(void)futimens(b->realign->fd, times);
	return realign_note_times(b);
}

static const struct realign_method *method_of(const struct storage *s)
{
	return s->filesystem == FILESYSTEM_XFS ? &realign_xfs : &realign_ext4;
}

static int do_batch(struct batch *b, uint64_t bytes)
{
	const struct realign_method *method = method_of(b->realign->storage);
	int e = realign_note_times(b);

	if (e == 0)
		e = realign_make_donor(b, bytes);
	if (e == 0)
		e = method->prepare(b);
	for (size_t i = 0; e == 0 && i < b->n_moves; i++) {
		e = realign_check_undisturbed(b);
		if (e == 0)
			e = method->move(b, &b->moves[i]);
		if (e == 0)
			e = keep_times(b);
		if (e == 0)
			b->realign->moved_bytes += b->moves[i].bytes;
	}
	return e;
}

static int run_batch(struct realign *r, struct transfer *transfer, const struct moves *moves,
		     size_t index)
{
	struct batch b = {.realign = r, .transfer = transfer};
	_cleanup_close_ int donor_fd = space_open_unnamed(r->path);
	uint64_t bytes = 0;

	if (donor_fd < 0)
		return realign_fail(r, donor_fd,
				    "No file for the copy can be made in its directory.");
	b.donor_fd = donor_fd;
	b.moves = moves_of_batch(moves, index, &b.n_moves);
	for (size_t i = 0; i < b.n_moves; i++)
		bytes += b.moves[i].bytes;
	transfer_use_direct(donor_fd);
	return do_batch(&b, bytes);
}

static int run_moves(struct realign *r, struct transfer *transfer, const struct moves *moves)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < moves->n_batches; i++) {
		if (r->progress)
			r->progress(r->userdata, r->moved_bytes, moves->bytes);
		e = run_batch(r, transfer, moves, i);
	}
	if (e == 0 && r->progress)
		r->progress(r->userdata, r->moved_bytes, moves->bytes);
	return e;
}

static int run_replacement(struct realign *r, struct transfer *transfer, const struct moves *moves)
{
	struct batch b = {.realign = r, .transfer = transfer};
	_cleanup_close_ int donor_fd = space_open_unnamed(r->path);
	int e;

	if (donor_fd < 0)
		return realign_fail(r, donor_fd,
				    "No file for the copy can be made in its directory.");
	b.donor_fd = donor_fd;
	r->why = NULL;
	transfer_use_direct(donor_fd);
	e = realign_replace(&b);
	if (e < 0)
		return e;
	r->moved_bytes = moves->bytes;
	r->new_fd = TAKE_FD(donor_fd);
	return 0;
}

int realign_hold(struct realign *r)
{
	int e = lease_take(r->fd);

	if (e == -EAGAIN)
		return realign_fail(r, -EBUSY, "Somebody has the file open or mapped.");
	if (e < 0)
		return realign_fail(r, e, "The file cannot be held against others (a lease).");
	e = space_sync(r->fd);
	return e < 0 ? realign_fail(r, e, "The file cannot be written back.") : 0;
}

/* What a run left that was cut off behind the exchange of names, when there was nothing more to
 * move. */
static void sweep(const struct realign *r)
{
	_cleanup_(replace_close) struct replacement place = REPLACEMENT_INIT;

	(void)replace_open(r->fd, &place);
}

int realign_run(struct realign *r, const struct moves *moves)
{
	_cleanup_(transfer_closep) struct transfer *transfer = NULL;
	int e;

	if (r->storage->filesystem == FILESYSTEM_OTHER)
		return realign_fail(r, -EOPNOTSUPP, "Only files on XFS and ext4 can be realigned.");
	sweep(r);
	if (moves->n_items == 0)
		return 0;
	e = transfer_open(&transfer);
	if (e < 0)
		return realign_fail(r, e, "No buffers for copying (io_uring).");
	transfer_use_direct(r->fd);
	e = r->is_copying ? -EOPNOTSUPP : run_moves(r, transfer, moves);
	return e == -EOPNOTSUPP && r->moved_bytes == 0 ? run_replacement(r, transfer, moves) : e;
}
