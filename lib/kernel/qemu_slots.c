/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: `info mtree -f` marks with KVM's name a range that QEMU's own table of
 * memslots has, start and size (kvm_accel_has_memory(), accel/kvm/kvm-all.c), so that what is a
 * slot is not guessed. Where QEMU has it, gpa2hva says, of its first address: asked of each range,
 * not once for each memory region, since two devices may give their regions the same name. Nothing
 * is asked before it is known that all of it can be. Between two answers a device may come or go:
 * an address that is then in another region makes the table one that is not told now. */
#include "qemu_slots.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "hmp_text.h"

static bool is_same(struct scanner a, struct scanner b)
{
	return a.end - a.at == b.end - b.at && memcmp(a.at, b.at, (size_t)(a.end - a.at)) == 0;
}

static int fail(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return error;
}

static bool next_slot(struct mtree *tree, struct mtree_range *ret)
{
	while (mtree_next(tree, ret))
		if (ret->is_slot)
			return true;
	return false;
}

/* ---- What the view says ---- */

/* QEMU has them in order. */
static bool is_lawful(const struct memslot *slot, const struct qemu_slots *before,
		      uint64_t page_bytes)
{
	const struct memslot *last = before->n > 0 ? &before->items[before->n - 1] : NULL;

	return memslot_is_lawful(slot, page_bytes) &&
	       (!last || slot->gpa >= last->gpa + last->bytes);
}

static int read_ranges(const char *mtree, uint64_t page_bytes, struct qemu_slots *slots,
		       const char **ret_why)
{
	struct mtree tree = mtree_of(mtree);
	struct mtree_range range;
	int r = 0;

	while (r == 0 && next_slot(&tree, &range)) {
		const struct memslot slot = {
			.gpa = range.gpa,
			.bytes = range.bytes,
			.flags = range.is_readonly ? MEMSLOT_READONLY : 0,
		};

		if (slots->n == QEMU_SLOTS_MAX)
			return fail(-ENODATA, "there are too many memslots", ret_why);
		if (!is_lawful(&slot, slots, page_bytes))
			return fail(-ENODATA, "QEMU's `info mtree -f` shows slots that cannot be",
				    ret_why);
		r = ARRAY_APPEND(&slots->items, &slots->n, &slot);
	}
	if (r == 0 && tree.has_odd_slot)
		return fail(-ENODATA, "QEMU's `info mtree -f` is not understood", ret_why);
	if (r == 0 && slots->n == 0)
		return fail(-ENODATA, "QEMU's `info mtree -f` shows no memslot of KVM", ret_why);
	return r == 0 ? 0 : fail(r, "no memory", ret_why);
}

/* ---- Where QEMU has it ---- */

static int ask_hva(struct qmp *q, const struct mtree_range *range, hva_t *ret, const char **ret_why)
{
	_cleanup_free_ char *answer = NULL;
	struct scanner region;
	char line[64];
	int r;

	(void)snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, range->gpa);
	r = qmp_human(q, line, &answer);
	if (r < 0)
		return fail(r, q->why ? q->why : "no memory", ret_why);
	if (r == QMP_REFUSED)
		return fail(-ENODATA, "QEMU has no human monitor", ret_why);
	if (!hmp_read_gpa2hva(answer, range->gpa, &region, ret) || !is_same(region, range->name))
		return fail(-EAGAIN, "QEMU's gpa2hva is not understood, or memory came or went",
			    ret_why);
	return 0;
}

static int ask_places(struct qmp *q, const char *mtree, struct qemu_slots *slots,
		      const char **ret_why)
{
	struct mtree tree = mtree_of(mtree);
	struct mtree_range range;
	int r = 0;

	for (size_t i = 0; r == 0 && i < slots->n && next_slot(&tree, &range); i++)
		r = ask_hva(q, &range, &slots->items[i].hva, ret_why);
	return r;
}

int qemu_slots_read(struct qmp *q, const char *mtree, struct qemu_slots *ret, const char **ret_why)
{
	struct qemu_slots slots = {.n = 0};
	int r = read_ranges(mtree, q->sys->ops->page_bytes(q->sys), &slots, ret_why);

	if (r == 0)
		r = ask_places(q, mtree, &slots, ret_why);
	if (r == 0)
		*ret = slots;
	else
		qemu_slots_clear(&slots);
	return r;
}

void qemu_slots_clear(struct qemu_slots *slots)
{
	free(slots->items);
	*slots = (struct qemu_slots){.n = 0};
}
