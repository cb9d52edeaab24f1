/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the recorder share; nothing outside record*.c includes this. */

#include "host.h"
#include "process.h"
#include "text.h"

struct recorder {
	struct sys *sys;
	int dirfd; /* the new tree */
	bool scrub;
	struct mmu_geometry geometry;
	struct host host;
};

/* Writes a new file, making its directories. 0 or -errno. */
int record_put(const struct recorder *r, const char *path, const char *data, size_t size);
int record_put_link(const struct recorder *r, const char *path, const char *target);

/* Hands the text over to a new file and frees it. */
int record_put_text(const struct recorder *r, const char *path, struct text *t);

/* proc/PID of one process; n numbers it for made-up names. */
int record_process(const struct recorder *r, pid_t pid, unsigned n);

/* The runs of guest memory of a process: thpd-pages. */
int record_pages(const struct recorder *r, const struct process *p, struct text *out);

/* KVM's counts of a process as debugfs has them, and what makes them its own. After its
 * descriptors. */
int record_kvm(const struct recorder *r, const struct process *p);
