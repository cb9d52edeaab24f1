/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

#include <stdlib.h>

void moves_clear(struct moves *m)
{
	free(m->items);
	*m = (struct moves)MOVES_INIT;
}

const struct move *moves_of_batch(const struct moves *m, size_t batch, size_t *ret_n)
{
	size_t first = 0, end;

	while (first < m->n_items && m->items[first].batch < batch)
		first++;
	for (end = first; end < m->n_items && m->items[end].batch == batch; end++)
		;
	*ret_n = end - first;
	return m->items + first;
}
