/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Host pre-flight for `thpctl doctor`: what of this host helps or hinders thpd. Pure: judges facts
 * read elsewhere. */

#include "address.h"
#include "check.h"
#include "host.h"

/* Fills the list. Covers: kernel release against the refused
 * and warned levels, collapse allowed, PAGEMAP_SCAN, PFN and kpageflags rights, shmem_enabled deny,
 * per-size shmem knob, KSM, userfaultfd seen, free blocks per node (nothing free: warn). */
void checkup_host(const struct host *h, const struct mmu_geometry *g, struct check_list *ret);
