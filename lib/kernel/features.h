/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this kernel can do, learned by trying it on a forked helper that holds a few blocks of its
 * own. */

#include "host.h"
#include "sys.h"

/* Fills host->features (enum feature), host->trial and host->kernel_release; the knobs, if they are
 * to be named, have to be there already. About 10 ms. What works is in features in every case:
 *
 *   0            collapse works (or only the moment was bad: no memory, busy)
 *   -EOPNOTSUPP  the kernel is known to be older than 6.1, and refuses: running is of no use
 *   -EPERM       collapse is refused although the kernel is new enough (no right, a seccomp filter,
 *                a sandbox): looking and explaining works
 *   other        the helper, or uname, failed: nothing was tried
 *
 * *ret_why (may be NULL) is the gravest lack and its cure (text of host_lack(), static), or NULL
 * if nothing is missing that operators are told about. With -EOPNOTSUPP and -EPERM it is set. */
int features_probe(struct sys *sys, const struct mmu_geometry *g, struct host *host,
		   const char **ret_why);
