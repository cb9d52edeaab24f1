/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Host pre-flight for `thpctl doctor`: what of this host helps or hinders thpd. Pure: judges facts
 * read elsewhere. */

#include <stddef.h>

#include "address.h"
#include "host.h"

enum check_result { CHECK_OK = 0, CHECK_NOTE, CHECK_WARN, CHECK_FAIL };

struct check {
	const char *id; /* "kernel", "shmem-knob", "pfn", ...: interface, static */
	enum check_result result;
	char text[384];	  /* what was found */
	const char *cure; /* static; "" if nothing is to be done */
};

enum { CHECKS_MAX = 16 };

/* Fills checks[] (CHECKS_MAX long) and returns how many. Covers: kernel release against the refused
 * and warned levels, collapse allowed, PAGEMAP_SCAN, PFN and kpageflags rights, shmem_enabled deny,
 * per-size shmem knob, KSM, userfaultfd seen, free blocks per node (nothing free: warn). */
size_t checkup_host(const struct host *h, const struct mmu_geometry *g, struct check *checks);
