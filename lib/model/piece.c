/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "piece.h"

#include <stdlib.h>

#include "bits.h"
#include "names.h"

const char *piece_state_name(enum piece_state state)
{
	static const char *const names[PIECE_STATE_MAX] = {
		[PIECE_ALIGNED] = "aligned", [PIECE_MISALIGNED] = "misaligned",
		[PIECE_SPLIT] = "split",     [PIECE_HOLE] = "hole",
		[PIECE_TAIL] = "tail",	     [PIECE_UNPLACED] = "unplaced",
	};

	return name_of(names, ARRAY_SIZE(names), state);
}

enum reason piece_state_reason(enum piece_state state)
{
	switch (state) {
	case PIECE_MISALIGNED:
		return REASON_DAX_EXTENT_MISALIGNED;
	case PIECE_SPLIT:
		return REASON_DAX_SPLIT_EXTENT;
	case PIECE_HOLE:
		return REASON_DAX_HOLE;
	case PIECE_TAIL:
		return REASON_DAX_TAIL;
	case PIECE_UNPLACED:
		return REASON_DAX_UNPLACED;
	case PIECE_ALIGNED:
	case PIECE_STATE_MAX:
		break;
	}
	return REASON_NONE;
}

void alignment_clear(struct alignment *a)
{
	free(a->pieces);
	*a = (struct alignment)ALIGNMENT_INIT;
}

bool alignment_is_whole(const struct alignment *a)
{
	return a->by_state[PIECE_MISALIGNED] == 0 && a->by_state[PIECE_SPLIT] == 0 &&
	       a->by_state[PIECE_UNPLACED] == 0;
}
