/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <assert.h>
#include <stdlib.h>

#include "names.h"

static const char *const state_names[] = {
	[BLOCK_HUGE] = "huge",	   [BLOCK_REMAPPABLE] = "remappable", [BLOCK_COPYABLE] = "copyable",
	[BLOCK_SPARSE] = "sparse", [BLOCK_EMPTY] = "empty",	      [BLOCK_SWAPPED] = "swapped",
	[BLOCK_BARRED] = "barred", [BLOCK_UNKNOWN] = "unknown",
};

static_assert(ARRAY_SIZE(state_names) == BLOCK_STATE_MAX, "every block state has a name");

const char *block_state_name(enum block_state state)
{
	return name_of(state_names, ARRAY_SIZE(state_names), state);
}

void diagnosis_clear(struct diagnosis *d)
{
	free(d->runs);
	free(d->wants);
	*d = (struct diagnosis)DIAGNOSIS_INIT;
}
