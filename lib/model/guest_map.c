/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest_map.h"

#include <errno.h>
#include <stdlib.h>

bool guest_span_is_lawful(const struct guest_span *span)
{
	return span->guest_node >= 0 && span->guest_node < GUEST_NODES_MAX && span->bytes > 0 &&
	       span->start <= INT64_MAX && span->bytes <= INT64_MAX - span->start;
}

static int compare_spans(const void *a, const void *b)
{
	const struct guest_span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

void guest_spans_sort(struct guest_span *spans, size_t n)
{
	if (n > 0)
		qsort(spans, n, sizeof(*spans), compare_spans);
}

int guest_map_settle(struct guest_map *map, uint64_t page_bytes)
{
	for (size_t i = 0; i < map->n_spans; i++) {
		const struct guest_span *span = &map->spans[i];

		if (!guest_span_is_lawful(span) || (span->start | span->bytes) % page_bytes != 0)
			return -EINVAL;
	}
	guest_spans_sort(map->spans, map->n_spans);
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
