/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Facts about the host that decisions need. Read by kernel/, never by core/. */

#include "address.h"
#include "node_set.h"

/* Learned by a forked helper at start, not read off version numbers (kernel/features.h). */
enum feature {
	FEATURE_COLLAPSE = 1 << 0, /* process_madvise(MADV_COLLAPSE) on another process works */
	FEATURE_COLLAPSE_SHMEM = 1 << 1, /* ... on memfd too (knobs permitting) */
	FEATURE_PAGEMAP_SCAN = 1 << 2,	 /* Linux 6.7 */
	FEATURE_SCAN_GUARD = 1 << 3,	 /* PAGE_IS_GUARD known */
	FEATURE_PFN = 1 << 4,		 /* PFNs in pagemap are readable */
	FEATURE_KPAGEFLAGS = 1 << 5,	 /* /proc/kpageflags is readable */
	FEATURE_ELIGIBILITY_PROBE =
		1 << 6,		    /* a collapse of nothing tells whether a VMA is eligible */
	FEATURE_UFFD_SAFE = 1 << 7, /* Linux 6.4: holes are not filled under userfaultfd */
	FEATURE_OTHER_PROCESSES = 1 << 8, /* may look at processes of other users */
	FEATURE_NODES = 1 << 9,		  /* move_pages tells on which node memory lies */
};

/* Effective capabilities of thpd itself. */
enum right {
	RIGHT_PTRACE = 1 << 0,
	RIGHT_NICE = 1 << 1,
	RIGHT_ADMIN = 1 << 2,
};

/* How the features were tried: why one is lost (lack.h). No decision rests on it, so it is not part
 * of a snapshot. */
struct trial {
	uint32_t rights;       /* enum right */
	int helper_error;      /* errno that kept everything from being tried; 0: none */
	int collapse_error;    /* errno of the trial collapse; 0: none */
	bool is_call_filtered; /* process_madvise is answered by somebody before the kernel */
	bool is_shmem_offered; /* there was a memfd to try */
	bool has_kpageflags_file;
};

enum shmem_knob {
	SHMEM_KNOB_ABSENT = 0, /* the kernel has no such file */
	SHMEM_KNOB_NEVER,
	SHMEM_KNOB_ADVISE,
	SHMEM_KNOB_WITHIN_SIZE,
	SHMEM_KNOB_ALWAYS,
	SHMEM_KNOB_INHERIT, /* per-size file only */
	SHMEM_KNOB_DENY,
	SHMEM_KNOB_FORCE,
	SHMEM_KNOB_MAX,
};

const char *shmem_knob_name(enum shmem_knob knob);
int shmem_knob_from_name(const char *name, enum shmem_knob *ret);

enum { HOST_NODES_MAX = 64 };

/* A part of a node's memory, by address; it has its own free pieces. */
struct host_zone {
	uint64_t free_bytes;
	uint64_t free_block_bytes; /* in pieces of at least one block */
	uint64_t kept_bytes;	   /* are never handed out to user memory, in whatever pieces */
};

/* What the kernel would hand out of the zone in blocks: whole ones, until no more is free than it
 * keeps. On a host with much memory the zone below 4 GiB may be kept as a whole. */
uint64_t host_zone_block_bytes(const struct host_zone *z, uint64_t block_bytes);

struct host_node {
	int16_t id;
	/* Free memory in pieces of at least one block that the kernel would hand out
	 * (host_zone_block_bytes()). */
	uint64_t free_block_bytes;
	uint64_t free_bytes;
	uint64_t total_bytes; /* 0: not known */
	bool has_cpus;	      /* else it is memory alone: CXL, or a slow tier */
	/* To each of the host's nodes, in the order of host.nodes, as the firmware says (10: to
	 * itself); "" if that is not known, or does not fit. */
	char distances[64];
};

struct host {
	uint32_t features;	      /* enum feature */
	struct trial trial;	      /* behind them */
	char kernel_release[65];      /* uname -r */
	enum shmem_knob shmem_global; /* transparent_hugepage/shmem_enabled */
	enum shmem_knob shmem_block;  /* transparent_hugepage/hugepages-<block>kB/shmem_enabled */
	char thp_enabled[16];	      /* transparent_hugepage/enabled, the chosen word */
	bool is_ksm_running;
	bool is_numa_balancing; /* the kernel moves memory between nodes by itself */
	bool is_uffd_seen; /* some process on the host holds a userfaultfd, or that could not be
			 ruled out */
	uint64_t mem_total_bytes, mem_available_bytes;
	uint32_t cpus;
	uint16_t n_nodes;
	struct host_node nodes[HOST_NODES_MAX];
};

/* What an administrator turns: the settings of huge pages and of KSM. */
bool host_has_same_knobs(const struct host *a, const struct host *b);

node_set_t host_node_set(const struct host *h);			      /* all nodes with memory */
const struct host_node *host_find_node(const struct host *h, int id); /* NULL: no such */
/* As the firmware says; 0: not known. */
unsigned int host_distance(const struct host *h, int from, int to);
/* Free blocks of the node beyond the reserve, in bytes; 0 of a node that is not there. */
uint64_t host_room_bytes(const struct host *h, int node, uint64_t reserve_bytes);
uint64_t host_free_block_bytes(const struct host *h); /* over all nodes */
