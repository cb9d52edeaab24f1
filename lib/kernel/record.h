/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The recorder: writes what thpd reads of this host and of chosen VMs as a small tree of files that
 * a test (or a maintainer) can look at instead of the host. Format in docs/ARCHITECTURE.md,
 * "Recorded hosts". */

#include "process.h"

struct record_options {
	const pid_t *pids;
	size_t n_pids;
	bool scrub; /* replace names, UUIDs, paths and command lines by made-up ones */
};

/* Writes below dirfd (an empty directory). Page tables are written as runs in proc/PID/thpd-pages,
 * one per line:
 * "<start-hex> <pages> <kind> [pfn-hex]", kind = huge | folio | small | swap | guard | zero; what
 * is absent is a hole. 0 or -errno. */
int host_record(struct sys *sys, int dirfd, const struct record_options *o);
