/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A snapshot, and room for what is judged of it. */

#include "snapshot_builder.h"

struct bench {
	struct snapshot s;
	struct diagnosis d;
};

static inline int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	*state = b;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	diagnosis_clear(&b->d);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}
