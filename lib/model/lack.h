/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a feature of the host is lost: the kernel, a right, or somebody in between. One table for the
 * log, `thpctl status` and `thpctl doctor`. */

#include "host.h"

struct lack {
	const char *sentence; /* what is lost, and why; static */
	const char *cure;     /* static, never empty */
	const char *text;     /* both */
};

/* For a feature that host->features lacks; judged by host->trial, the release and the knobs. NULLs
 * for a feature that nobody is told about (FEATURE_SCAN_GUARD). */
struct lack host_lack(const struct host *h, enum feature feature);

/* Collapse is refused because the kernel is too old: not for lack of a right, nor by a filter. */
bool host_is_too_old(const struct host *h);
