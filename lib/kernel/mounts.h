/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What mountinfo tells: which devices are memory, and where the memory cgroups are. */

#include "process.h"

enum mount_kind {
	MOUNT_UNKNOWN = 0, /* not mounted where thpd or the process can see it */
	MOUNT_TMPFS,
	MOUNT_DEVTMPFS,
	MOUNT_HUGETLBFS,
	MOUNT_DAX,	 /* every file is mapped directly (dax or dax=always) */
	MOUNT_MAYBE_DAX, /* XFS or ext4: each file may be (dax=inode) */
	MOUNT_DISK,	 /* anything else */
};

struct mount {
	uint32_t major, minor;
	enum mount_kind kind;
};

struct mounts {
	struct mount *items; /* owned */
	size_t n_items;
	/* Directory below rootfd of a hierarchy, and what its top is called in /proc/PID/cgroup; ""
	 * if there is none. */
	char unified[256], unified_top[256];
	char memory_v1[256], memory_v1_top[256];
};

/* Adds the mounts of one mountinfo text. Only own mounts (is_own) say where the cgroups are. Pure.
 * 0 or -ENOMEM. */
int mounts_parse(struct mounts *m, const char *text, size_t size, bool is_own);

/* The mounts of thpd's own namespace and of the process's: guest memory may lie on a tmpfs that
 * only the VMM sees. What cannot be read is left out. 0 or -ENOMEM. */
int mounts_read(struct sys *sys, const struct process *p, struct mounts *ret);
void mounts_clear(struct mounts *m);
enum mount_kind mounts_find(const struct mounts *m, uint32_t major, uint32_t minor);
