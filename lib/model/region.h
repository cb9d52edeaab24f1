/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Guest RAM inside one VMA of the VMM: one backing, one owner, one policy. */

#include "address.h"
#include "dax_device.h"
#include "reason.h"
#include "storage.h"

enum backing {
	BACKING_ANON = 0, /* private anonymous */
	BACKING_SHMEM,	  /* memfd, tmpfs, shared anonymous, SysV */
	BACKING_FSDAX,
	BACKING_DEVDAX,
	BACKING_HUGETLB,
	BACKING_FILE,	 /* regular file of a disk file system */
	BACKING_SECRET,	 /* secretmem, guest_memfd: never touched */
	BACKING_SPECIAL, /* device, pfn or mixed map */
	BACKING_MAX,
};

const char *backing_name(enum backing backing); /* "anon", "shmem", ... */
int backing_from_name(const char *name, enum backing *ret);

/* VmFlags of /proc/PID/smaps that matter here; the letters are the kernel's. */
enum vma_flag {
	VMA_FLAG_NH = 1 << 0, /* MADV_NOHUGEPAGE */
	VMA_FLAG_HG = 1 << 1, /* MADV_HUGEPAGE */
	VMA_FLAG_UM = 1 << 2, /* userfaultfd missing */
	VMA_FLAG_UW = 1 << 3, /* userfaultfd write protect */
	VMA_FLAG_UI = 1 << 4, /* userfaultfd minor */
	VMA_FLAG_HT = 1 << 5, /* hugetlb */
	VMA_FLAG_PF = 1 << 6, /* PFNMAP */
	VMA_FLAG_IO = 1 << 7,
	VMA_FLAG_MM = 1 << 8,  /* MIXEDMAP */
	VMA_FLAG_DE = 1 << 9,  /* DONTEXPAND */
	VMA_FLAG_MG = 1 << 10, /* MADV_MERGEABLE */
	VMA_FLAG_GU = 1 << 11, /* maybe guard regions */
	VMA_FLAG_LO = 1 << 12, /* mlocked */
	VMA_FLAG_NR = 1 << 13, /* MAP_NORESERVE */
};

#define VMA_FLAGS_UFFD	  (VMA_FLAG_UM | VMA_FLAG_UW | VMA_FLAG_UI)
#define VMA_FLAGS_SPECIAL (VMA_FLAG_PF | VMA_FLAG_IO | VMA_FLAG_MM)

/* What the kernel says when asked to collapse nothing in this VMA: the eligibility probe
 * (kernel/collapse.h). */
enum eligibility {
	ELIGIBILITY_UNKNOWN = 0, /* not asked, or no right to ask */
	ELIGIBILITY_YES,
	ELIGIBILITY_NO,	      /* EINVAL: the kernel refuses the whole VMA */
	ELIGIBILITY_NO_RIGHT, /* EPERM or EACCES */
	ELIGIBILITY_MAX,
};

const char *eligibility_name(enum eligibility eligibility); /* "unknown", "yes", "no", "no-right" */

struct region {
	hva_t start, end;     /* bounds of the VMA: page aligned, not necessarily block aligned */
	uint64_t file_offset; /* bytes; of `start`; 0 for anon */
	enum backing backing;
	bool is_shared;
	bool is_writable;
	bool has_anon_pages; /* private mapping with copied pages; meaningful if are_flags_known */
	bool is_unlinked_or_memfd; /* obeys the per-size shmem knob (KERNEL 1.3) */
	bool are_flags_known;	   /* flags below were read from smaps */
	uint32_t flags;		   /* enum vma_flag */
	enum eligibility eligibility;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	/* Of a file on XFS or ext4; where not asked or not known, ANSWER_UNKNOWN. */
	enum answer is_dax;  /* this file is mapped directly */
	enum answer can_dax; /* its device can be */
	/* Of a file that is mapped directly; then the snapshot has its extents. */
	bool are_extents_known;
	uint64_t file_bytes;	     /* i_size */
	struct dax_device device;    /* BACKING_DEVDAX */
	uint64_t edge_present_pages; /* present pages outside whole blocks; UINT64_MAX = not counted
				      */
	char *path;		     /* owned; as /proc/PID/maps prints it; may be NULL */
};

/* Whole blocks of the VMA: [region_first_block(), region_last_block()); empty if it is too short.
 */
static inline hva_t region_first_block(const struct region *r, const struct mmu_geometry *g)
{
	return align_up(r->start, block_bytes(g));
}

static inline hva_t region_last_block(const struct region *r, const struct mmu_geometry *g)
{
	hva_t first = region_first_block(r, g), last = align_down(r->end, block_bytes(g));

	return last > first ? last : first;
}

/* Address and file offset agree modulo the block size, so that a PMD can map the file. Always true
 * for anon. */
bool region_is_congruent(const struct region *r, const struct mmu_geometry *g);

/* How far the mapping is off, in bytes modulo the block size; 0 if congruent. */
uint64_t region_misalignment(const struct region *r, const struct mmu_geometry *g);
