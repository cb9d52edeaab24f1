/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static int by_start(const void *a, const void *b)
{
	const struct guest_span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static bool span_is_sane(const struct guest_span *s, uint64_t page_bytes)
{
	return s->bytes > 0 && s->start % page_bytes == 0 && s->bytes % page_bytes == 0 &&
	       s->bytes <= UINT64_MAX - s->start && s->guest_node >= 0 &&
	       s->guest_node < GUEST_NODES_MAX;
}

int guest_map_settle(struct guest_map *map, uint64_t page_bytes)
{
	for (size_t i = 0; i < map->n_spans; i++)
		if (!span_is_sane(&map->spans[i], page_bytes))
			return -EINVAL;
	if (map->n_spans > 1)
		qsort(map->spans, map->n_spans, sizeof(*map->spans), by_start);
	for (size_t i = 1; i < map->n_spans; i++) {
		const struct guest_span *before = &map->spans[i - 1];

		if (before->start + before->bytes > map->spans[i].start)
			return -EINVAL;
	}
	return 0;
}

void guest_map_clear(struct guest_map *map)
{
	free(map->spans);
	free(map->cpus);
	*map = (struct guest_map)GUEST_MAP_INIT;
}
