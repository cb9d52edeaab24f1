/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A range that is left alone until some time, because of what was learned there. */

#include "address.h"
#include "reason.h"

struct hold {
	hva_t start, end;  /* block aligned */
	uint64_t until_ns; /* CLOCK_MONOTONIC; UINT64_MAX = as long as the process lives */
	uint8_t strikes;   /* how often the same happened here: 1, 4, 16, 64 minutes */
	enum reason reason;
};
