/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout_checkup.h"

#include "bits.h"

enum { KIB = 1024 };

static unsigned long long kib(uint64_t bytes)
{
	return bytes / KIB;
}

bool layout_decides_mappings(const struct storage *s)
{
	return s->is_dax == ANSWER_YES || s->can_dax == ANSWER_YES;
}

static void check_filesystem(const struct storage *s, struct check_list *list)
{
	const char *name = s->filesystem_name[0] ? s->filesystem_name : "a file system not known";
	const char *device = s->device[0] ? s->device : "a device not known";

	if (s->filesystem == FILESYSTEM_OTHER)
		CHECK_ADD(list, "filesystem", CHECK_NOTE, "Use XFS or ext4.",
			  "%s on %s: the addresses it tells may not be those of the device.", name,
			  device);
	else
		CHECK_ADD(list, "filesystem", CHECK_OK, "", "%s on %s, blocks of %llu bytes.", name,
			  device, (unsigned long long)s->block_bytes);
}

static void check_dax(const struct storage *s, struct check_list *list)
{
	if (s->is_dax == ANSWER_YES)
		CHECK_ADD(list, "dax", CHECK_OK, "", "The file is mapped directly (DAX).");
	else if (s->can_dax == ANSWER_YES)
		CHECK_ADD(list, "dax", CHECK_WARN, reason_cure(REASON_DAX_NOT_DAX), "%s: %s",
			  reason_slug(REASON_DAX_NOT_DAX), reason_sentence(REASON_DAX_NOT_DAX));
	else
		CHECK_ADD(
			list, "dax", CHECK_NOTE, "",
			"Not on memory: the file is mapped through the page cache, whose pages do "
			"not go by its extents. Alignment still serves large input and output.");
}

static void check_base(const struct storage *s, uint64_t unit, struct check_list *list)
{
	if (!s->is_base_known) {
		CHECK_ADD(list, "base", CHECK_NOTE, "",
			  "Where the file system begins is not known: all of this is alignment "
			  "within it.");
		return;
	}
	if (s->can_dax == ANSWER_YES && s->namespace_align_bytes < unit)
		CHECK_ADD(list, "namespace-align",
			  s->namespace_align_bytes ? CHECK_WARN : CHECK_NOTE,
			  "ndctl create-namespace --mode=fsdax --align=2M makes it anew; what it "
			  "holds "
			  "is lost.",
			  "The namespace is aligned to %llu KiB (0: not known).",
			  kib(s->namespace_align_bytes));
	if (!is_aligned(s->partition_start_bytes, unit))
		CHECK_ADD(list, "partition-start", CHECK_WARN,
			  "Begin partitions at a multiple of the huge page size.",
			  "The partition begins %llu KiB behind a multiple of %llu KiB.",
			  kib(s->partition_start_bytes & (unit - 1)), kib(unit));
	else if (s->partition_start_bytes > 0)
		CHECK_ADD(list, "partition-start", CHECK_OK, "",
			  "The partition begins at a multiple of %llu KiB.", kib(unit));
}

/* The allocators of both aim at multiples of the stripe unit, and at nothing without one. */
static void check_stripe(const struct storage *s, uint64_t unit, struct check_list *list)
{
	if (s->filesystem == FILESYSTEM_OTHER)
		return;
	if (s->stripe_bytes > 0 && is_aligned(s->stripe_bytes, unit))
		CHECK_ADD(list, "stripe", CHECK_OK, "", "The stripe unit is %llu KiB.",
			  kib(s->stripe_bytes));
	else
		CHECK_ADD(
			list, "stripe", CHECK_NOTE,
			"Make files with thpctl dax create, which searches; or make the file "
			"system "
			"with mkfs.xfs -d su=2m,sw=1 or mkfs.ext4 -E stride=512,stripe_width=512.",
			"The stripe unit is %llu KiB: the allocator does not aim at multiples of "
			"%llu KiB.",
			kib(s->stripe_bytes), kib(unit));
}

static void check_state(const struct alignment *a, enum piece_state state, struct check_list *list)
{
	enum reason reason = piece_state_reason(state);
	/* What is not there, or ends, may be wanted so. */
	enum check_result result =
		state == PIECE_HOLE || state == PIECE_TAIL ? CHECK_NOTE : CHECK_WARN;

	if (a->by_state[state] > 0)
		CHECK_ADD(list, reason_slug(reason), result, reason_cure(reason), "%llu KiB: %s",
			  kib(a->by_state[state]), reason_sentence(reason));
}

static void check_pieces(const struct alignment *a, struct check_list *list)
{
	for (unsigned int i = PIECE_ALIGNED + 1; i < PIECE_STATE_MAX; i++)
		check_state(a, (enum piece_state)i, list);
	if (a->shared_bytes > 0)
		CHECK_ADD(list, "shared", CHECK_NOTE, "Copy without sharing: cp --reflink=never.",
			  "%llu KiB are shared with another file; a write moves them elsewhere.",
			  kib(a->shared_bytes));
}

static void check_mappings(const struct mapping_list *mappings, uint64_t unit,
			   struct check_list *list)
{
	const struct mapping *off = NULL, *private = NULL;

	for (size_t i = 0; i < mappings->n_items; i++) {
		const struct mapping *m = &mappings->items[i];

		if (mapping_off_by(m, unit) != 0)
			off = m;
		if (!m->is_shared)
		private = m;
	}
	if (off)
		CHECK_ADD(list, reason_slug(REASON_DAX_COLOUR), CHECK_WARN,
			  reason_cure(REASON_DAX_COLOUR), "Process %d: %s", (int)off->pid,
			  reason_sentence(REASON_DAX_COLOUR));
	if (private)
		CHECK_ADD(
			list, "private-mapping", CHECK_WARN, "Map guest memory shared (share=on).",
			"Process %d has the file mapped privately: a write copies a page of 4 KiB.",
			(int)private->pid);
}

void layout_checkup(const struct storage *s, const struct alignment *a,
		    const struct mapping_list *mappings, struct check_list *ret)
{
	ret->n_items = 0;
	check_filesystem(s, ret);
	check_dax(s, ret);
	check_base(s, a->unit, ret);
	check_stripe(s, a->unit, ret);
	check_pieces(a, ret);
	if (layout_decides_mappings(s))
		check_mappings(mappings, a->unit, ret);
}
