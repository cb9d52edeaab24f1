/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A model of the kernel behind `struct sys`, so that whole cycles run without root, under faults,
 * by the thousand. It has processes with mappings, page caches shared by several mappers, page
 * tables, and MADV_COLLAPSE with the rules of KERNEL.md 1.4, 1.5 and 2.1; it answers PAGEMAP_SCAN
 * as fs/proc/task_mmu.c does; it keeps a tree of /proc and /sys files below a private directory. It
 * remembers what the guests wrote, so that lost data, refilled holes and calls on barred memory are
 * counted, not believed.
 *
 * One lock around everything: the ops may be called from several threads. Out of memory, or a tree
 * that cannot be written, ends the test program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "region.h"
#include "sys.h"

struct model;
struct model_process;

#define MODEL_SECOND UINT64_C(1000000000)
#define MODEL_MINUTE (60 * MODEL_SECOND)

/* ---- The machine ---- */

struct model_options {
	struct mmu_geometry geometry;
	uint64_t free_blocks;	  /* huge pages that the allocator can give */
	uint64_t mem_total_bytes; /* 0: 64 GiB */
	bool has_pfn_right;	  /* PFNs in pagemap, kpageflags */
	bool has_scan;		  /* PAGEMAP_SCAN, Linux 6.7 */
	bool has_guard;		  /* PAGE_IS_GUARD, Linux 6.15 */
	bool has_collapse_right;  /* else EPERM */
	bool is_uffd_safe;	  /* Linux 6.4: EBUSY instead of filling holes under userfaultfd */
	bool can_copy_large;	  /* Linux 6.12: large shmem folios of other orders */
	bool has_block_knob;	  /* Linux 6.11: hugepages-<size>kB/shmem_enabled */
	int nodes;		  /* 0 or 1: one; MODEL_NODES_MAX at most */
	char release[65];	  /* "": 6.18.44-model */
};

enum { MODEL_NODES_MAX = 4 };

#define MODEL_OPTIONS_INIT                                                              \
	{                                                                               \
		.geometry = {12, 9, 18}, .free_blocks = 1 << 20, .has_pfn_right = true, \
		.has_scan = true, .has_guard = true, .has_collapse_right = true,        \
		.is_uffd_safe = true, .can_copy_large = true, .has_block_knob = true,   \
	}

struct model *model_new(const struct model_options *o);
struct model *model_free(struct model *m); /* removes the tree; NULL */

/* Fills a sys that reads below the model's tree and asks the model. sys_close() it as any other. */
int model_open_sys(struct model *m, struct sys *ret);
const struct sys_ops *model_ops(void);

const char *model_root(const struct model *m); /* path of the tree, for tests that break files */
const struct mmu_geometry *model_geometry(const struct model *m);
uint32_t model_features(const struct model *m); /* enum feature, as the helper would find them */

uint64_t model_now(struct model *m);
void model_advance(struct model *m, uint64_t ns);
void model_set_free_blocks(struct model *m, uint64_t blocks);
void model_set_shmem_knobs(struct model *m, const char *global, const char *per_size);
void model_set_ksm(struct model *m, bool is_running);

/* Where pages come from that are touched from now on; and what moves to a node find there. */
void model_set_touch_node(struct model *m, int node);
void model_set_node_free_blocks(struct model *m, int node, uint64_t blocks);

/* ---- Processes and mappings ---- */

struct model_vm {
	pid_t pid;
	const char *comm, *exe, *cgroup; /* cgroup: path, or NULL for "/" */
	const char *const *args;	 /* NULL-terminated, or NULL */
	bool has_kvm, has_uffd, has_vfio;
	bool has_sev; /* a guest of SEV or SEV-ES: whoever acts on it breaks a rule */
	bool is_thp_disabled;
	uint64_t memcg_max_bytes; /* 0: no limit */
};

struct model_process *model_spawn(struct model *m, const struct model_vm *vm);
struct model_process *model_find(struct model *m, pid_t pid); /* NULL if gone */
void model_exit(struct model *m, pid_t pid);
void model_exec(struct model *m, pid_t pid); /* same process, other program, no mappings */
void model_set_memcg_max(struct model *m, pid_t pid, uint64_t bytes); /* 0: no limit */

enum model_backing {
	MODEL_ANON = 0,
	MODEL_MEMFD,
	MODEL_TMPFS, /* named: does not obey the per-size knob */
	MODEL_REGULAR_FILE,
	MODEL_FSDAX,
	MODEL_DEVDAX_1G,
	MODEL_HUGETLB,
	MODEL_SECRETMEM,
	MODEL_GUEST_MEMFD,
	MODEL_DEVICE, /* PFNMAP */
	MODEL_BACKING_MAX,
};

struct model_map {
	hva_t start;
	uint64_t bytes;
	enum model_backing backing;
	bool is_private; /* of a file; anon always is */
	uint64_t file_offset;
	uint32_t flags;	    /* enum vma_flag */
	pid_t share_pid;    /* map the same file as this process does ... */
	hva_t share_start;  /* ... here; pid 0: a new file */
	const char *path;   /* NULL: made up */
	uint32_t dev_minor; /* for MODEL_REGULAR_FILE; 0: made up */
};

void model_mmap(struct model *m, pid_t pid, const struct model_map *map);
void model_munmap(struct model *m, pid_t pid, hva_t start); /* the whole mapping at start */
void model_change_flags(struct model *m, pid_t pid, hva_t start, uint32_t set, uint32_t clear);

/* ---- What the guest and the VMM do; ranges are page aligned and inside one mapping ---- */

void model_touch(struct model *m, pid_t pid, hva_t start, uint64_t bytes);     /* write */
void model_read_zero(struct model *m, pid_t pid, hva_t start, uint64_t bytes); /* anon holes */
void model_discard(struct model *m, pid_t pid, hva_t start, uint64_t bytes);   /* balloon */
void model_split(struct model *m, pid_t pid, hva_t start, uint64_t bytes); /* PMDs become PTEs */
void model_zap(struct model *m, pid_t pid, hva_t start, uint64_t bytes);   /* shared: page table */
void model_copy_on_write(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
void model_swap_out(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
void model_guard(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
void model_pin(struct model *m, pid_t pid, hva_t start, uint64_t bytes, bool is_pinned);
/* The state of memory at birth: whole blocks become huge, unless there are guards; small folios
 * become folios of another order; contents stay. */
void model_make_huge(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
void model_make_large(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
/* Small folios whose PFNs happen to be contiguous and aligned as those of a huge folio. */
void model_make_contiguous(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
/* Post-copy: the guest's data of this range is still elsewhere; and it comes. */
void model_expect_remote(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
void model_deliver_remote(struct model *m, pid_t pid, hva_t start, uint64_t bytes);

/* ---- Faults: each fires in a collapse call, before anything else happens in it ---- */

enum model_fault_kind {
	MODEL_FAULT_EAGAIN = 0,	 /* every block is locked by somebody */
	MODEL_FAULT_VANISH,	 /* the process dies when half of the blocks are done */
	MODEL_FAULT_HALF_EINVAL, /* half of the blocks are done, then the kernel gives up */
	MODEL_FAULT_ENOMEM,	 /* no free huge page */
	MODEL_FAULT_EBUSY,	 /* the memory cgroup is full */
	MODEL_FAULT_EXEC,	 /* another program, just before the call */
	MODEL_FAULT_PUNCH,	 /* the guest gives back the first pages of the middle block */
	MODEL_FAULT_SWAP,	 /* the middle block is swapped out */
	MODEL_FAULT_UNMAP,	 /* the mapping is gone */
	MODEL_FAULT_UFFD,	 /* the mapping comes under userfaultfd */
	MODEL_FAULT_EINTR,	 /* a signal; nothing done */
	MODEL_FAULT_EPERM,
	MODEL_FAULT_MAX,
};

const char *model_fault_name(enum model_fault_kind kind);

struct model_fault {
	enum model_fault_kind kind;
	pid_t pid;	   /* 0: any */
	uint32_t skip;	   /* calls that go well first */
	uint32_t calls;	   /* how many it hits; 0: one */
	uint64_t until_ns; /* over at that time; 0: no end */
};

void model_add_fault(struct model *m, const struct model_fault *f);
void model_clear_faults(struct model *m);
void model_fail_seeds(struct model *m, int error); /* -errno of every page for a hole; 0: none */
void model_fail_scans(struct model *m, uint32_t skip, uint32_t calls, int error); /* -errno */

/* Between these, memory that a guest gives back is given back in a race: a look came before it. */
void model_race_begin(struct model *m);
void model_race_end(struct model *m);

/* ---- The truth ---- */

struct model_stats {
	uint64_t calls,
		probe_calls; /* collapse calls; of less than a block: not counted in calls */
	uint64_t scan_calls, scanned_pages, read_pages, kpageflags_pages;
	uint64_t longest_call_bytes;
	uint64_t copied_bytes, remapped_bytes;
	uint64_t raced_copied_bytes;   /* of blocks that changed after the look: not planned */
	uint64_t refilled_pages;       /* holes that a collapse filled against the rule */
	uint64_t raced_refilled_pages; /* ... that were no holes when last looked at */
	uint64_t swapped_in_pages, zero_filled_pages;
	uint64_t wrong_process_calls; /* pid of the call and process of the pidfd differ */
	uint64_t dead_process_calls;
	uint64_t barred_calls;	    /* on a mapping that must not be collapsed */
	uint64_t secret_calls;	    /* even to ask about secretmem or guest_memfd */
	uint64_t empty_block_calls; /* a range with an empty block, not in a race */
	uint64_t unaligned_calls;
	uint64_t split_puds; /* walks over 1 GiB device-dax */
	uint64_t move_calls, moved_bytes;
	uint64_t barred_moves;	  /* of memory that must not be moved */
	uint64_t split_by_move;	  /* huge folios that lost their size on the way */
	uint64_t seeded_pages;	  /* small pages given to holes */
	uint64_t populated_bytes; /* of holes that were given a page first */
	/* What was left, at the least, after a populated block: free blocks, and below the limit of
	 * the memory cgroup. */
	uint64_t least_free_blocks, least_headroom_bytes;
	uint64_t least_node_free_blocks; /* on its node, where there are several */
	uint64_t lost_pages;		 /* guest data that is not there any more */
	uint64_t fired[MODEL_FAULT_MAX];
};

struct model_stats model_stats(struct model *m);

struct model_call { /* one collapse call of at least a block */
	pid_t pid;
	hva_t start;
	uint64_t bytes, at_ns;
	int err; /* 0 or errno */
};

/* Calls since the last model_forget_calls(); valid until the next call. */
const struct model_call *model_calls(struct model *m, size_t *ret_n);
void model_forget_calls(struct model *m);

uint64_t model_huge_bytes(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
uint64_t model_bytes_on(struct model *m, pid_t pid, hva_t start, uint64_t bytes, int node);
/* Without the shared zero page, which is nobody's memory. */
uint64_t model_present_bytes(struct model *m, pid_t pid, hva_t start, uint64_t bytes);
/* Whether a collapse of this block would be right: eligible, nothing missing, swapped, guarded,
 * pinned (unless it is a remap) or copied. Huge blocks are not collapsible. */
bool model_is_collapsible(struct model *m, pid_t pid, hva_t block);

/* The file holds no data in this block. */
bool model_is_hole(struct model *m, pid_t pid, hva_t block);

/* Compares what guests expect with what is there; adds to stats.lost_pages; returns that. */
uint64_t model_check_data(struct model *m);

/* ---- Recorded hosts (lib/kernel/record.h): golden tests ---- */

/* Copies the recorded tree into the model's and makes processes of its thpd-pages. The geometry
 * must be that of the record. 0 or -errno. */
int model_load_tree(struct model *m, const char *path);
