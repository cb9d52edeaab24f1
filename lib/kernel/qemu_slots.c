/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: `info mtree -f` marks with KVM's name a range that QEMU's own table of
 * memslots has, start and size (kvm_accel_has_memory(), accel/kvm/kvm-all.c), so that what is a
 * slot is not guessed. Where QEMU has it, gpa2hva says, of its first address: asked of each range,
 * not once for each memory region, since two devices may give their regions the same name. Between
 * two answers a device may come or go: an address that is then in another region makes all of the
 * table unknown, and it is read again later. */
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

/* Where QEMU has the range. 0 with *ret_why NULL: it told. */
static int ask_hva(struct qmp *q, const struct mtree_range *range, hva_t *ret, const char **ret_why)
{
	_cleanup_free_ char *answer = NULL;
	struct scanner region;
	char line[64];
	int r;

	(void)snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, range->gpa);
	r = qmp_human(q, line, &answer);
	if (r == QMP_REFUSED)
		*ret_why = "QEMU has no human monitor";
	else if (r == 0 && (!hmp_read_gpa2hva(answer, range->gpa, &region, ret) ||
			    !is_same(region, range->name)))
		*ret_why = "QEMU's gpa2hva is not understood";
	return r < 0 ? r : 0;
}

static int take(struct qmp *q, const struct mtree_range *range, struct qemu_slots *slots,
		const char **ret_why)
{
	struct memslot slot = {
		.gpa = range->gpa,
		.bytes = range->bytes,
		.flags = range->is_readonly ? MEMSLOT_READONLY : 0,
	};
	int r;

	if (slots->n == QEMU_SLOTS_MAX) {
		*ret_why = "there are too many memslots";
		return 0;
	}
	r = ask_hva(q, range, &slot.hva, ret_why);
	return r == 0 ? ARRAY_APPEND(&slots->items, &slots->n, &slot) : r;
}

int qemu_slots_read(struct qmp *q, const char *mtree, struct qemu_slots *ret, const char **ret_why)
{
	struct mtree tree = mtree_of(mtree);
	struct qemu_slots slots = {.n = 0};
	struct mtree_range range;
	int r = 0;

	*ret_why = NULL;
	while (r == 0 && !*ret_why && mtree_next(&tree, &range))
		if (range.is_slot)
			r = take(q, &range, &slots, ret_why);
	if (r == 0 && !*ret_why && slots.n == 0)
		*ret_why = "QEMU's `info mtree -f` shows no memslot of KVM";
	if (r == 0 && !*ret_why)
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
