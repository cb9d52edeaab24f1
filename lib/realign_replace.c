/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where parts of a file cannot be moved (ext4 that is mapped directly; XFS without exchange-range),
 * the whole file is copied to another that lies right, which then takes its name. Under the name
 * there is a whole file at any moment; what a crash can leave is the other one, under a name that
 * the next run removes. */
#include "realign_parts.h"

#include <errno.h>

#include "bits.h"
#include "cleanup.h"
#include "lease.h"
#include "likeness.h"
#include "replace.h"
#include "space.h"

/* Between two looks at the lease. */
enum { SLICE_BYTES = 16 << 20, REST_UNIT = 4096 };

/* What one is to have of the other: [offset, offset + bytes) of both. */
typedef int (*slice_function)(struct batch *b, uint64_t offset, uint64_t bytes);

static uint64_t rest_of(const struct batch *b, uint64_t *ret_offset)
{
	*ret_offset = align_down(b->realign->alignment->size_bytes, REST_UNIT);
	return b->realign->alignment->size_bytes - *ret_offset;
}

static bool has_data(const struct piece *p)
{
	return p->has_data || p->state == PIECE_TAIL;
}

static int visit_piece(struct batch *b, const struct piece *p, slice_function visit)
{
	uint64_t end = align_down(p->offset + p->bytes, REST_UNIT);
	int e = 0;

	for (uint64_t at = p->offset; e == 0 && at < end; at += SLICE_BYTES) {
		e = realign_check_undisturbed(b);
		if (e == 0)
			e = visit(b, at, min_u64(end - at, SLICE_BYTES));
	}
	return e;
}

/* Everything that holds data, but for the rest behind the last 4096 bytes. */
static int visit_data(struct batch *b, slice_function visit)
{
	const struct alignment *a = b->realign->alignment;
	int e = 0;

	for (size_t i = 0; e == 0 && i < a->n_pieces; i++)
		if (has_data(&a->pieces[i]))
			e = visit_piece(b, &a->pieces[i], visit);
	return e;
}

static int copy_slice(struct batch *b, uint64_t offset, uint64_t bytes)
{
	struct realign *r = b->realign;
	int e = transfer_copy(b->transfer, r->fd, offset, b->donor_fd, offset, bytes);

	r->copied_bytes += bytes;
	if (r->progress)
		r->progress(r->userdata, min_u64(r->copied_bytes, r->alignment->size_bytes),
			    r->alignment->size_bytes);
	return e < 0 ? realign_fail(r, e, "The data could not be copied.") : 0;
}

static int answer_compare(struct batch *b, int e)
{
	if (e > 0)
		return realign_fail(b->realign, -EIO,
				    "What was copied is not what is in the file.");
	return e < 0 ? realign_fail(b->realign, e, "What was copied cannot be read.") : 0;
}

static int compare_slice(struct batch *b, uint64_t offset, uint64_t bytes)
{
	return answer_compare(b, transfer_compare(b->transfer, b->realign->fd, offset, b->donor_fd,
						  offset, bytes));
}

/* Aligned space for all that is allocated, and holes where there are holes, unless they are what is
 * to be filled. */
static int shape_donor(struct batch *b)
{
	const struct alignment *a = b->realign->alignment;
	bool keeps_holes = !b->realign->fills_holes;
	uint64_t holes = keeps_holes ? align_down(a->by_state[PIECE_HOLE], a->unit) : 0;
	int e = realign_make_donor(b, align_up(a->size_bytes, a->unit) - holes);

	for (size_t i = 0; e == 0 && keeps_holes && i < a->n_pieces; i++)
		if (a->pieces[i].state == PIECE_HOLE)
			e = space_open_hole(b->donor_fd, a->pieces[i].offset, a->pieces[i].bytes);
	if (e == 0)
		e = space_set_size(b->donor_fd, a->size_bytes);
	return e < 0 && !b->realign->why
		       ? realign_fail(b->realign, e, "The copy cannot be given its holes.")
		       : e;
}

static int copy(struct batch *b)
{
	uint64_t offset, bytes = rest_of(b, &offset);
	int e = visit_data(b, copy_slice);

	if (e == 0 && bytes > 0 &&
	    (e = transfer_copy_rest(b->realign->fd, b->donor_fd, offset, bytes)) < 0)
		e = realign_fail(b->realign, e, "The data could not be copied.");
	if (e == 0 && (e = space_sync(b->donor_fd)) < 0)
		e = realign_fail(b->realign, e, "The copy cannot be written back.");
	return e;
}

static int compare(struct batch *b)
{
	uint64_t offset, bytes = rest_of(b, &offset);
	int e = visit_data(b, compare_slice);

	if (e == 0 && bytes > 0)
		e = answer_compare(
			b, transfer_compare_rest(b->realign->fd, b->donor_fd, offset, bytes));
	return e;
}

static int make_alike(struct batch *b)
{
	int e = likeness_copy(b->realign->fd, b->donor_fd);

	if (e == 0)
		e = space_sync(b->donor_fd);
	return e < 0 ? realign_fail(b->realign, e,
				    "The copy cannot be given the file's owner, mode, attributes "
				    "or flags.")
		     : 0;
}

static int fail_for_another(struct batch *b)
{
	return realign_fail(b->realign, -EBUSY, "The name leads to another file now.");
}

static int keep_both(struct batch *b, const struct replacement *place)
{
	if (replace_keep(place) < 0)
		return realign_fail(
			b->realign, -EBUSY,
			"Both the file and the copy that has its name now were opened: "
			"give the file, .thpd-realign. and its name, another one before "
			"the next run, which removes it.");
	return realign_fail(b->realign, -EBUSY,
			    "Both the file and the copy that has its name now were opened: the "
			    "file is kept beside it, with .thpd-kept behind its name.");
}

/* The old file gets its name back, unless somebody has come by the new one: then both stay. */
static int take_back(struct batch *b, const struct replacement *place)
{
	struct realign *r = b->realign;

	if (!replace_leads_to(place, b->donor_fd, r->fd))
		return fail_for_another(b);
	if (!lease_is_undisturbed(b->donor_fd))
		return keep_both(b, place);
	if (replace_swap(place) == 0)
		(void)replace_drop(place, b->donor_fd);
	return realign_fail(r, -EBUSY, "Somebody wants to open the file.");
}

/* Who had found the file before the names changed, and asks for it only then, would get the old
 * one: it is put back. */
static int settle(struct batch *b, const struct replacement *place)
{
	struct realign *r = b->realign;
	int e = replace_sync(place);

	if (e < 0 || !lease_stays_undisturbed(r->fd))
		return take_back(b, place);
	e = replace_drop(place, r->fd);
	if (e == -ESTALE)
		return fail_for_another(b);
	return e < 0 ? realign_fail(r, e, "The old file cannot be removed.") : 0;
}

static int swap(struct batch *b, const struct replacement *place)
{
	struct realign *r = b->realign;
	int e = replace_leads_to(place, r->fd, b->donor_fd) ? replace_swap(place) : -ESTALE;

	if (e == 0 && replace_leads_to(place, b->donor_fd, r->fd))
		return settle(b, place);
	/* What was put under the name right before has it again; what was put there since stays. */
	if (e == 0 && replace_has_name(place, b->donor_fd))
		(void)replace_swap(place);
	(void)replace_drop(place, b->donor_fd);
	return e == 0 || e == -ESTALE ? fail_for_another(b)
				      : realign_fail(r, e, "The copy cannot take the file's name.");
}

/* The lease on the copy shows who comes by the new name. */
static int take_name(struct batch *b, const struct replacement *place)
{
	int e = realign_check_undisturbed(b);

	if (e == 0 && (e = lease_take(b->donor_fd)) < 0)
		e = realign_fail(b->realign, e,
				 "The copy cannot be held against others (a lease).");
	if (e == 0 && (e = replace_name(place, b->donor_fd)) < 0)
		e = realign_fail(b->realign, e, "The copy cannot be given a name.");
	return e < 0 ? e : swap(b, place);
}

static int find_place(struct realign *r, struct replacement *ret)
{
	int e = replace_open(r->fd, ret);

	if (e == -EMLINK)
		return realign_fail(
			r, e,
			"Parts of this file cannot be moved, and a copy cannot take its "
			"place, since it has other names (hard links).");
	if (e == -EBUSY)
		return realign_fail(
			r, e,
			"A file with the name of a copy (.thpd-realign. and the file's) "
			"is in use, or not one of thpctl's.");
	if (e == -ENAMETOOLONG)
		return realign_fail(r, e, "The file's name leaves no room for that of a copy.");
	return e < 0 ? realign_fail(r, e, "The file's directory cannot be used.") : 0;
}

int realign_replace(struct batch *b)
{
	_cleanup_(replace_close) struct replacement place = REPLACEMENT_INIT;
	int e = find_place(b->realign, &place);

	b->realign->copied_bytes = 0;
	if (e == 0)
		e = realign_note_times(b);
	if (e == 0)
		e = shape_donor(b);
	if (e == 0)
		e = copy(b);
	if (e == 0)
		e = compare(b);
	if (e == 0)
		e = make_alike(b);
	return e < 0 ? e : take_name(b, &place);
}
