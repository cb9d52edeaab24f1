/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bar.h"

#include "release.h"

/* Backings that collapse never applies to (DESIGN 6.2). 1 GiB device-dax is known per VM, so the
 * VMA is taken for it if its bounds allow that size: better not looked at than split. */
static enum reason bar_of_devdax(const struct snapshot *s, const struct region *r)
{
	uint64_t unit = pud_bytes(&s->geometry);

	if (s->vm.has_device_dax_1g && is_aligned(r->start, unit) && is_aligned(r->end, unit))
		return REASON_DEVICE_DAX_1G;
	return dax_device_is_small(&r->device, r->end - r->start, &s->geometry)
		       ? REASON_DEVDAX_ALIGN_SMALL
		       : REASON_DAX;
}

/* The whole mapping's; the extents decide further, piece by piece (footing.c). */
static enum reason bar_of_fsdax(const struct snapshot *s, const struct region *r)
{
	if (!r->is_shared)
		return REASON_PRIVATE_FILE;
	return region_is_congruent(r, &s->geometry) ? REASON_DAX : REASON_DAX_COLOUR;
}

static enum reason bar_of_file(const struct region *r)
{
	if (!r->is_shared)
		return REASON_NONE;
	return r->can_dax == ANSWER_YES && r->is_dax == ANSWER_NO ? REASON_DAX_NOT_DAX
								  : REASON_READONLY_FILE;
}

static enum reason bar_of_backing(const struct snapshot *s, const struct region *r)
{
	switch (r->backing) {
	case BACKING_SPECIAL:
		return REASON_SPECIAL_MAPPING;
	case BACKING_SECRET:
		return REASON_SECRET_OR_GUEST_MEMFD;
	case BACKING_DEVDAX:
		return bar_of_devdax(s, r);
	case BACKING_FSDAX:
		return bar_of_fsdax(s, r);
	case BACKING_HUGETLB:
		return REASON_HUGETLB;
	case BACKING_FILE:
		return bar_of_file(r);
	case BACKING_ANON:
	case BACKING_SHMEM:
		return REASON_NONE;
	case BACKING_MAX:
		break;
	}
	return REASON_SPECIAL_MAPPING;
}

static bool has_flag(const struct region *r, uint32_t flags)
{
	return r->are_flags_known && (r->flags & flags) != 0;
}

static enum reason bar_of_special_flags(const struct region *r)
{
	/* VM_DONTEXPAND is part of the kernel's VM_SPECIAL (KERNEL 1.2). */
	if (has_flag(r, VMA_FLAGS_SPECIAL | VMA_FLAG_DE))
		return REASON_SPECIAL_MAPPING;
	if (has_flag(r, VMA_FLAG_HT))
		return REASON_HUGETLB;
	return REASON_NONE;
}

/* A VM that is being restored or paged is left alone as a whole (DESIGN 6.5); besides, a collapse
 * of a file's pages is felt through every mapping of it (KERNEL 2.4). */
bool vm_is_armed(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_regions; i++)
		if (has_flag(&s->regions[i], VMA_FLAGS_UFFD))
			return true;
	return false;
}

static enum reason bar_of_userfaultfd(const struct snapshot *s, const struct region *r)
{
	bool is_seen = s->vm.has_uffd || s->host.is_uffd_seen;

	if (vm_is_armed(s))
		return REASON_USERFAULTFD;
	/* Before 6.4 a collapse fills the holes that a pager is waiting for (KERNEL B7), and
	 * another process may arm the same file after flags were read. */
	if (is_seen && (!r->are_flags_known || !(s->host.features & FEATURE_UFFD_SAFE)))
		return REASON_UFFD_POSSIBLE;
	return REASON_NONE;
}

/* MADV_MERGEABLE alone says nothing: QEMU advises it on all guest RAM. It counts where KSM runs or
 * has merged. Where flags could not be read, merged pages are evidence enough. */
static bool is_ksm_at_work(const struct snapshot *s, const struct region *r)
{
	if (r->is_shared || s->policy.may_ksm)
		return false;
	if (!r->are_flags_known)
		return s->vm.ksm_merged_pages > 0;
	return (r->flags & VMA_FLAG_MG) && (s->host.is_ksm_running || s->vm.ksm_merged_pages > 0);
}

static enum reason bar_of_advice(const struct snapshot *s, const struct region *r)
{
	if (has_flag(r, VMA_FLAG_NH))
		return REASON_NOHUGEPAGE;
	/* Guard regions of file mappings were lost by collapse on some kernels (KERNEL B14). */
	if (has_flag(r, VMA_FLAG_GU))
		return REASON_GUARD_REGION;
	if (is_ksm_at_work(s, r))
		return REASON_KSM;
	if (r->backing != BACKING_ANON && !r->is_shared && !s->policy.may_private_file)
		return REASON_PRIVATE_FILE;
	return REASON_NONE;
}

/* Of SEV and SEV-ES: KVM has pinned all of it for as long as the VM lives, so that no copy can
 * replace a page. What could be remapped in place is let be as well: for each entry of such a guest
 * that goes KVM has the processors write back all of their caches (docs/ARCHITECTURE.md). */
static enum reason bar_of_pins(const struct snapshot *s)
{
	return s->vm.has_sev ? REASON_SEV_OR_GUEST_MEMFD : REASON_NONE;
}

/* KVM maps all of it by small pages for as long as the VM lives, so that the guest gains nothing.
 */
static enum reason bar_of_log(const struct snapshot *s)
{
	return s->vm.is_logged_for_life == ANSWER_YES && !s->policy.may_dirty_logged
		       ? REASON_DIRTY_LOGGING_FOR_LIFE
		       : REASON_NONE;
}

static bool is_forbidden_by_size_knob(const struct snapshot *s, const struct region *r)
{
	if (!r->is_unlinked_or_memfd)
		return false; /* a named tmpfs file does not obey it (KERNEL 1.3) */
	if (s->host.shmem_block == SHMEM_KNOB_NEVER)
		return true;
	return s->host.shmem_block == SHMEM_KNOB_ADVISE && r->are_flags_known &&
	       !(r->flags & VMA_FLAG_HG);
}

/* Settings explain a refusal; where the kernel itself said yes, they do not stand in the way (for
 * instance PR_THP_DISABLE_EXCEPT_ADVISED, or a file unlinked after it was mapped). */
static enum reason bar_of_settings(const struct snapshot *s, const struct region *r)
{
	if (r->eligibility == ELIGIBILITY_YES)
		return REASON_NONE;
	if (s->vm.is_thp_disabled)
		return REASON_THP_DISABLED_BY_PRCTL;
	if (r->backing == BACKING_SHMEM && s->host.shmem_global == SHMEM_KNOB_DENY)
		return REASON_SHMEM_DENY;
	if (r->backing == BACKING_SHMEM && is_forbidden_by_size_knob(s, r))
		return REASON_SHMEM_KNOB_NEVER;
	return REASON_NONE;
}

static enum reason bar_of_kernel(const struct snapshot *s, const struct region *r)
{
	if (!(s->host.features & FEATURE_COLLAPSE))
		return release_lacks_collapse(s->host.kernel_release) ? REASON_KERNEL_TOO_OLD
								      : REASON_NO_PERMISSION;
	if (r->eligibility == ELIGIBILITY_NO_RIGHT)
		return REASON_NO_PERMISSION;
	if (r->eligibility == ELIGIBILITY_NO)
		return r->backing == BACKING_FILE ? REASON_READONLY_FILE : REASON_KERNEL_REFUSED;
	return REASON_NONE;
}

enum reason region_bar(const struct snapshot *s, const struct region *r)
{
	enum reason bar = bar_of_backing(s, r);

	if (bar == REASON_NONE)
		bar = bar_of_special_flags(r);
	if (bar == REASON_NONE && !region_is_congruent(r, &s->geometry))
		bar = REASON_MISALIGNED_MAPPING;
	if (bar == REASON_NONE)
		bar = bar_of_userfaultfd(s, r);
	if (bar == REASON_NONE)
		bar = bar_of_advice(s, r);
	if (bar == REASON_NONE)
		bar = bar_of_pins(s);
	if (bar == REASON_NONE)
		bar = bar_of_log(s);
	if (bar == REASON_NONE)
		bar = bar_of_settings(s, r);
	if (bar == REASON_NONE)
		bar = bar_of_kernel(s, r);
	return bar;
}

bool bar_explains_edges(enum reason bar)
{
	return bar == REASON_SPECIAL_MAPPING || bar == REASON_SECRET_OR_GUEST_MEMFD ||
	       bar == REASON_DEVICE_DAX_1G || bar == REASON_DAX || bar == REASON_HUGETLB ||
	       bar == REASON_READONLY_FILE || bar == REASON_DAX_NOT_DAX ||
	       bar == REASON_DAX_COLOUR || bar == REASON_DEVDAX_ALIGN_SMALL ||
	       bar == REASON_MISALIGNED_MAPPING;
}

bool region_is_countable(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FILE || r->backing == BACKING_FSDAX;
}

bool region_is_movable(const struct region *r)
{
	return (r->backing == BACKING_ANON || r->backing == BACKING_SHMEM) &&
	       bar_of_special_flags(r) == REASON_NONE;
}
