/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the parts of the model kernel share. Every function here is called with the lock held. */

#include <pthread.h>

#include "model_kernel.h"
#include "page_runs.h"

/* A page cache, or the anonymous pages of one private mapping. */
struct object {
	uint32_t n_mappings;
	enum model_backing backing;
	char *path; /* owned */
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	pid_t owner; /* whose memory cgroup pays */
	struct page_runs pages;
	struct page_runs
		expected;	/* stamps that the guest must find; PAGES_SWAPPED = still remote */
	struct page_runs raced; /* pages given back after a look */
	struct object *next;
};

struct vma {
	hva_t start, end;
	uint64_t first_page; /* index in the object of the page at start */
	uint32_t flags;	     /* enum vma_flag */
	bool is_shared;
	bool was_faulted;      /* has an anon_vma */
	struct object *object; /* counted */
	struct object *copies; /* owned: private copies of a file's pages; NULL if there are none */
	struct page_runs table;	    /* by page from start */
	struct page_runs had_table; /* anonymous blocks that had a page table once */
	bool is_raced;		    /* its flags changed after a look */
};

struct model_process {
	struct model *model;
	pid_t pid;
	uint64_t starttime, exec_count;
	uint64_t pidfd_inode, pagemap_inode; /* of the files behind the fds */
	struct model_vm vm;		     /* texts owned */
	char *args;			     /* owned; NUL-separated */
	size_t args_size;
	struct vma *vmas; /* owned; sorted */
	size_t n_vmas;
	uint64_t faults;
	bool is_alive;
	bool is_loaded; /* /proc files come from a record */
	struct model_process *next;
};

/* Of a PFN: what is above is the node. Above the zones of pfn_take(), below the flags of pagemap.
 */
enum { MODEL_NODE_SHIFT = 44 };

struct fault_state {
	struct model_fault fault;
	uint32_t skipped, hit;
};

struct model {
	pthread_mutex_t lock;
	struct model_options options;
	char *root; /* owned */
	int root_fd;
	uint64_t now_ns, next_starttime, next_inode, next_stamp, next_serial;
	uint64_t next_small_pfn, next_folio_pfn, next_large_pfn, next_device_pfn;
	uint64_t free_blocks, node_free_blocks[MODEL_NODES_MAX];
	int touch_node;
	char shmem_global[16], shmem_block[16];
	bool is_ksm_running;
	bool is_racing;			 /* discards now are races */
	struct model_process *processes; /* owned; the dead stay until the model goes */
	struct object *objects;		 /* owned */
	struct fault_state *faults;	 /* owned */
	size_t n_faults;
	uint32_t scans_skip, scans_fail;
	int scans_error, seeds_error;
	struct model_call *calls; /* owned */
	size_t n_calls;
	struct model_stats stats;
};

static inline uint64_t model_page(const struct model *m)
{
	return page_bytes(&m->options.geometry);
}

static inline uint64_t model_block_pages(const struct model *m)
{
	return block_pages(&m->options.geometry);
}

static inline uint64_t model_block(const struct model *m)
{
	return block_bytes(&m->options.geometry);
}

void *model_alloc(size_t size); /* zeroed; ends the test without memory */
char *model_strdup(const char *text);
void model_lock(struct model *m);
void model_unlock(struct model *m);

/* model_kernel.c */
struct model_process *process_by_pid(struct model *m, pid_t pid);
struct model_process *process_by_pidfd(struct model *m, int fd);
/* NULL: that mm is gone. A recorded process may have no pagemap file: then by pid. */
struct model_process *process_by_pagemap(struct model *m, int fd, pid_t pid);
void process_end(struct model *m, struct model_process *p);
void process_exec(struct model *m, struct model_process *p);

/* model_vma.c */
struct vma *process_add_vma(struct model *m, struct model_process *p, const struct model_map *map);
void process_remove_vma(struct model *m, struct model_process *p, struct vma *v);
struct vma *vma_at(struct model_process *p, hva_t address);
struct vma *vma_next(struct model_process *p, hva_t address); /* first that ends behind it */

/* model_memory.c: primitives on pages of one mapping, by page index from v->start */
uint64_t object_page(const struct vma *v, uint64_t page);
uint64_t pfn_take(struct model *m, enum page_kind kind, uint64_t pages, uint32_t *ret_step);
bool vma_is_file(const struct vma *v);
bool vma_is_shmem(const struct vma *v);
bool vma_block_is_folio(const struct model *m, const struct vma *v, uint64_t page);
void vma_touch(struct model *m, struct model_process *p, struct vma *v, uint64_t page,
	       uint64_t pages);
void vma_discard(struct model *m, struct vma *v, uint64_t page, uint64_t pages);
void vma_swap_out(struct model *m, struct vma *v, uint64_t page, uint64_t pages);
/* Whole blocks under a PMD in the range: all their entries become `left`. */
void vma_break_blocks(struct model *m, struct vma *v, uint64_t page, uint64_t pages,
		      enum page_kind left);
void vma_note_tables(struct model *m, struct vma *v, uint64_t page, uint64_t end);
void vma_set_entries(struct vma *v, enum page_kind kind, uint64_t page, uint64_t pages);
/* Empties the page tables of every mapping of the object's pages. */
void object_unmap(struct model *m, struct object *o, uint64_t page, uint64_t pages);
/* The folios that [page, page + pages) reaches into become small ones. */
void object_split_folios(struct model *m, struct object *o, uint64_t page, uint64_t pages);
uint64_t process_resident_pages(const struct model_process *p);
uint64_t process_charged_bytes(struct model *m, const struct model_process *p);

/* model_collapse.c */
bool vma_refuses(const struct model *m, const struct model_process *p, const struct vma *v);
ssize_t model_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes);

/* model_fault.c */
/* Chooses the faults that this call meets and lets them happen: 0, or the errno of the whole call.
 */
int model_choose_faults(struct model *m, struct model_process *p, const struct model_call *c);
/* Whether a fault is on in this call. */
bool model_has_fault(const struct model *m, enum model_fault_kind kind);

/* model_hole.c */
/* There are no data in these pages of the object; and some are allocated all the same. */
bool object_is_hole(const struct object *o, uint64_t first, uint64_t pages);
bool object_is_seeded_hole(const struct object *o, uint64_t first, uint64_t pages);
int model_seed_hole(struct sys *sys, int dirfd, pid_t pid, const struct hole *hole);

/* model_scan.c */
int model_pagemap_scan(struct sys *sys, int fd, pid_t pid, struct pm_scan_arg *arg);
ssize_t model_pagemap_read(struct sys *sys, int fd, pid_t pid, uint64_t first, uint64_t *entries,
			   size_t n);
ssize_t model_kpageflags_read(struct sys *sys, pfn_t first, uint64_t *flags, size_t n);

/* model_node.c */
uint64_t pfn_on_node(uint64_t pfn, int node);
long model_move_pages(struct sys *sys, pid_t pid, size_t n, const hva_t *pages, const int *nodes,
		      int *status, int flags);

/* model_proc.c */
void proc_write_host(struct model *m);
void proc_write_memory(struct model *m);
void proc_create(struct model *m, struct model_process *p);
void proc_attach(struct model *m, struct model_process *p, int dirfd); /* recorded: fds only */
void proc_remove(struct model *m, struct model_process *p);
void proc_new_mm(struct model *m, struct model_process *p); /* stat, comm, pagemap, maps */
void proc_write_maps(struct model *m, struct model_process *p);
void proc_write_counts(struct model *m, struct model_process *p); /* after pages changed */
void proc_add_userfaultfd(struct model *m, struct model_process *p);
void proc_write_cgroup(struct model *m, struct model_process *p);
