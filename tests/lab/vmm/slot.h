/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A memslot: a mapping of this process, and where the guest sees it. Functions return 0 or negative
 * errno. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine.h"

struct slot_plan {
	/* memfd, anon, file (shared: tmpfs, fs-dax; a device-dax is taken as it is), private (a
	 * file's private mapping), hugetlb (a memfd of that pool) */
	const char *kind;
	const char *path;
	uint64_t bytes, gpa;
	uint64_t skew;	  /* host address modulo 1 GiB */
	uint64_t offset;  /* into the file */
	uint64_t page;	  /* of hugetlb */
	bool is_readonly; /* for the guest */
};

struct slot {
	uint32_t id;
	uint8_t *hva; /* NULL: the slot is not in use */
	uint64_t bytes, gpa;
	uint32_t generation; /* of what the guest wrote last (guest.h) */
	bool is_logged, is_readonly;
	uint64_t *dirty; /* what the last look at the log said, one bit a page */
	int pin;	 /* -1: not pinned */
	pid_t pager;	 /* 0: not under userfaultfd */
	void *reserved;	 /* the mapping and what is around it */
	uint64_t reserved_bytes;
};

#define SLOT_INIT(number)               \
	{                               \
		.id = number, .pin = -1 \
	}

int slot_add(struct slot *s, const struct machine *m, const struct slot_plan *plan);

/* Undoes all that was done to the slot. */
int slot_drop(struct slot *s, const struct machine *m);
/* Takes the memslot from the guest and gives it back: KVM forgets every mapping of it. */
int slot_recreate(struct slot *s, const struct machine *m);

/* Dirty logging on and off; the number of pages in the log; clearing what was read. */
int slot_log(struct slot *s, const struct machine *m);
int slot_unlog(struct slot *s, const struct machine *m);
int64_t slot_count_dirty(struct slot *s, const struct machine *m);
int slot_clear_dirty(struct slot *s, const struct machine *m);

/* The nudge, as a VMM makes it: dirty logging on and off at once, for KVM to look again at what it
 * could map by large pages. -EBUSY if the slot is logged: that log would be lost. */
int slot_nudge(struct slot *s, const struct machine *m);

/* Asks the kernel to collapse what it can, as thpd does, and touches nothing. -EAGAIN: pages were
 * held by others to the end. */
int slot_collapse(const struct slot *s);
/* Maps it page by page, and never takes a right from the guest meanwhile. Whole blocks only. */
int slot_split(const struct slot *s);

/* Pinned, and under a userfaultfd (missing mode) that another process holds, as during post-copy.
 */
int slot_pin(struct slot *s, const struct machine *m);
int slot_unpin(struct slot *s, const struct machine *m);
int slot_arm(struct slot *s, const struct machine *m);
int slot_disarm(struct slot *s, const struct machine *m);

/* A sum over the page frame numbers: it stays only if every page does. -ENXIO if one is not there.
 */
int slot_sum_frames(const struct slot *s, uint64_t *ret_sum);

/* Where the kernel says that the slot's pages are (move_pages): bytes on each node, and what this
 * process has no page for. -ERANGE if one is on a node beyond these. */
enum { SLOT_NODES = 4 };

struct slot_nodes {
	uint64_t bytes[SLOT_NODES];
	uint64_t absent_bytes;
};

int slot_count_nodes(const struct slot *s, struct slot_nodes *ret);
