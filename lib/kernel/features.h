/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this kernel can do, learned by trying it on a forked helper that holds a few blocks of its
 * own. */

#include "host.h"
#include "sys.h"

/* Fills host->features (enum feature). About 10 ms. 0; -EOPNOTSUPP below Linux 6.1 (no remote
 * collapse at all); -EPERM if the rights are missing (features is what was found nevertheless);
 * other -errno if the helper failed. *ret_why (static text, may be NULL) says what was missing and
 * what cures it. */
int features_probe(struct sys *sys, const struct mmu_geometry *g, struct host *host,
		   const char **ret_why);
