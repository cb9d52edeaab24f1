/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Memory in a known state, for tests and benchmarks that run on a real kernel.
 *
 * Makers act on the calling process's own memory: a test that wants a "VMM" forks one and calls
 * them there. Readers take a pid (0 is the caller) and need the right to open its /proc files.
 *
 * Unless said otherwise: 0 or a count on success, negative errno on failure; sizes in bytes;
 * ranges are whole, block-aligned blocks. No state is kept between calls.
 */

#include <stdint.h>
#include <sys/types.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

typedef struct memstate_map {
	uint8_t *addr; /* NULL: nothing mapped */
	uint64_t bytes;
	int fd; /* owned memfd, -EBADF for memory without a file */
} memstate_map;

#define MEMSTATE_MAP_INIT                                       \
	{                                                       \
		.addr = NULL, .bytes = 0, .fd = -9 /* -EBADF */ \
	}

/* Page categories of PAGEMAP_SCAN (KERNEL.md 7.1), under our own names because the uapi headers of
 * the build host may be older than the kernel. */
enum {
	MEMSTATE_WPALLOWED = 1 << 0,
	MEMSTATE_WRITTEN = 1 << 1,
	MEMSTATE_FILE = 1 << 2,
	MEMSTATE_PRESENT = 1 << 3,
	MEMSTATE_SWAPPED = 1 << 4,
	MEMSTATE_PFNZERO = 1 << 5,
	MEMSTATE_HUGE = 1 << 6,
	MEMSTATE_SOFT_DIRTY = 1 << 7,
	MEMSTATE_GUARD = 1 << 8,
};

/* One PAGEMAP_SCAN request: pages where ((categories ^ inverted) & mask) == mask. */
typedef struct memstate_scan {
	uint64_t start, end;
	uint64_t inverted; /* categories that must be absent; list them in mask too */
	uint64_t mask;
	uint64_t returned;  /* categories to report; 0 is taken as mask */
	uint64_t max_pages; /* stop after so many matching pages, 0 is no limit */
	/* out */
	uint64_t walk_end;   /* where the kernel stopped */
	uint64_t first;	     /* start of the first match, UINT64_MAX if none */
	uint64_t categories; /* of the first match */
	uint64_t pages;	     /* all matching pages seen in this one call, capped at 512 regions */
} memstate_scan;

/* geometry of this host, read from sysfs and sysconf */
uint64_t memstate_page_bytes(void);
uint64_t memstate_block_bytes(void);

/* Mapping. skew_bytes is the address modulo the block size: 0 is aligned, a page is what QEMU's
 * memory-backend-memfd does wrong (KERNEL.md 0.3). The mapping has a guard gap on both sides, so it
 * never merges with a neighbour. MADV_HUGEPAGE is not advised. Pages are not touched. */
int memstate_map_memfd(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes);
int memstate_map_anon(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes);
/* Shared, without a file of ours. */
int memstate_map_shared_anon(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes);
/* Maps fd at offset with mmap() flags (MAP_SHARED or MAP_PRIVATE); the map gets its own dup of fd.
 */
int memstate_map_fd(memstate_map *ret_map, int fd, uint64_t offset, uint64_t bytes,
		    uint64_t skew_bytes, int flags);
void memstate_unmap(memstate_map *map);

/* Makers. The memory is readable and writable before and after.
 *
 * fill_small    every page present as a small folio, 8 bytes of each page hold its number + seed.
 *               Fresh memory only, -EIO if some is huge already. The process has THP disabled
 *               (PR_SET_THP_DISABLE) while it lasts, so the host's knobs do not matter.
 * make_huge     every block PMD-mapped (MADV_COLLAPSE on ourselves), holes filled. Contents stay.
 *               -EIO if the kernel says yes and some block is still not huge.
 * make_pte_mapped
 *               PMD-mapped blocks become 512 PTEs onto the same, still PMD-order folio: what an
 *               interrupted post-copy or a background snapshot leaves behind (KERNEL.md 0.5).
 *               Shared memory and anonymous memory alike; contents and PFNs stay. -EIO if it did
 *               not work. How, and what else was measured: see memstate.c.
 * check_filled  0 if every page still holds what fill_small wrote, else -EILSEQ.
 */
int memstate_fill_small(void *addr, uint64_t bytes, uint64_t seed);
int memstate_check_filled(const void *addr, uint64_t bytes, uint64_t seed);
int memstate_make_huge(void *addr, uint64_t bytes);
int memstate_make_pte_mapped(void *addr, uint64_t bytes);

/* Readers of page tables. scan: -ENOTTY on kernels before 6.7. */
int memstate_scan_pages(pid_t pid, memstate_scan *scan);
int memstate_scan_fd(int pagemap_fd, memstate_scan *scan);

/* PMD-mapped blocks in the range. Before 6.7 it is answered from smaps totals: exact for pid 0,
 * where the range is whole VMAs, and where all or nothing is huge; else -EOPNOTSUPP. */
int64_t memstate_count_huge(pid_t pid, const void *start, uint64_t bytes);
/* pages with a present entry, base pages */
int64_t memstate_count_present(pid_t pid, const void *start, uint64_t bytes);

/* Physical side, needs CAP_SYS_ADMIN: -ENXIO if the page is not present, -EPERM if PFNs are hidden.
 */
int memstate_first_pfn(pid_t pid, const void *addr, uint64_t *ret_pfn);
int memstate_pfn_flags(uint64_t pfn, uint64_t *ret_kpageflags);
/* 1 if the block at addr is one PMD-order folio (however it is mapped), 0 if not. First page
 * present. */
int memstate_is_huge_folio(pid_t pid, const void *addr);

enum { MEMSTATE_KPF_COMPOUND_HEAD = 15, MEMSTATE_KPF_COMPOUND_TAIL = 16, MEMSTATE_KPF_THP = 22 };

/* A number out of one line of smaps, of the VMA that holds addr, e.g. "Rss" in kB; -ENOENT. */
int64_t memstate_smaps_kb(pid_t pid, const void *addr, const char *field);
/* 1 if VmFlags of the VMA that holds addr has the two-letter flag, 0 if not. */
int memstate_has_vmflag(pid_t pid, const void *addr, const char *flag);
