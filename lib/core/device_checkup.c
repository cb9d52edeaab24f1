/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device_checkup.h"

enum { KIB = 1024 };

static unsigned long long kib(uint64_t bytes)
{
	return bytes / KIB;
}

static void check_align(const struct dax_device *d, const struct mmu_geometry *g,
			struct check_list *list)
{
	if (d->align_bytes == 0)
		CHECK_ADD(list, "align", CHECK_NOTE, "", "The device does not tell its alignment.");
	else if (dax_device_is_small(d, d->bytes, g))
		CHECK_ADD(list, reason_slug(REASON_DEVDAX_ALIGN_SMALL), CHECK_WARN,
			  reason_cure(REASON_DEVDAX_ALIGN_SMALL),
			  "Mapped by pages of %llu KiB; where it lies and its size allow %llu KiB.",
			  kib(d->align_bytes), kib(dax_device_page_bytes(d, d->bytes, g)));
	else
		CHECK_ADD(list, "align", CHECK_OK, "", "Mapped by pages of %llu KiB.",
			  kib(d->align_bytes));
}

/* Why pages of that size are out of reach. */
static void check_place(const struct dax_device *d, uint64_t page, struct check_list *list)
{
	if (d->bytes == 0 || d->align_bytes >= page)
		return;
	if (d->address == DAX_ADDRESS_UNKNOWN)
		CHECK_ADD(
			list, "place", CHECK_NOTE, "Ask as root.",
			"Where it lies is not known, so whether larger pages are possible is not, "
			"either.");
	else if (!is_aligned(d->address, page))
		CHECK_ADD(list, "place", CHECK_NOTE,
			  "Make the namespace anew with ndctl create-namespace --mode=devdax "
			  "--align=1G: what it holds is lost.",
			  "It begins %llu KiB behind a multiple of %llu KiB.",
			  kib(d->address & (page - 1)), kib(page));
	if (!is_aligned(d->bytes, page))
		CHECK_ADD(list, "size", CHECK_NOTE,
			  "Give it a size that is a multiple: daxctl create-device, or ndctl "
			  "create-namespace --size.",
			  "Its size is %llu KiB more than a multiple of %llu KiB.",
			  kib(d->bytes & (page - 1)), kib(page));
}

static void check_node(const struct dax_device *d, struct check_list *list)
{
	if (d->node >= 0)
		CHECK_ADD(list, "node", CHECK_OK, "", "The memory belongs to node %d.", d->node);
}

/* What the guest's memory needs besides: the guest's addresses cannot be seen from outside, but
 * they begin at a multiple of 1 GiB in every machine type, and an address in the VMM that does not
 * cannot agree with them. */
static void check_mapping(const struct mapping *m, uint64_t page, struct check_list *list)
{
	uint64_t off = (m->start | m->offset | (m->end - m->start)) & (page - 1);

	if (off != 0)
		CHECK_ADD(list, "mapping", CHECK_NOTE,
			  "Let the VMM map it at, from and in multiples (QEMU: align=1G).",
			  "Process %d maps it at an address, from a place or in a size that is no "
			  "multiple of %llu KiB: KVM cannot map all of it by such pages.",
			  (int)m->pid, kib(page));
}

void device_checkup(const struct dax_device *d, const struct mapping_list *mappings,
		    const struct mmu_geometry *g, struct check_list *ret)
{
	ret->n_items = 0;
	check_align(d, g, ret);
	check_place(d, pud_bytes(g), ret);
	check_node(d, ret);
	for (size_t i = 0; i < mappings->n_items; i++)
		check_mapping(&mappings->items[i], pud_bytes(g), ret);
}
