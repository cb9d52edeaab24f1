/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of NUMA nodes. Nodes are numbered below NODE_SET_MAX here; the kernel can have more
 * (MAX_NUMNODES is 1024), which are then in no set and their memory on no known node. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t node_set_t; /* bit N: node N */

enum { NODE_SET_MAX = 64, NODE_SET_TEXT_MAX = 192 };

static inline node_set_t node_set_of(int node)
{
	return node >= 0 && node < NODE_SET_MAX ? UINT64_C(1) << node : 0;
}

static inline bool node_set_has(node_set_t set, int node)
{
	return (set & node_set_of(node)) != 0;
}

static inline bool node_set_is_single(node_set_t set)
{
	return set != 0 && (set & (set - 1)) == 0;
}

static inline unsigned int node_set_count(node_set_t set)
{
	unsigned int n = 0;

	for (; set; set &= set - 1)
		n++;
	return n;
}

/* The lowest of a set that is not empty. */
static inline int node_set_first(node_set_t set)
{
	return __builtin_ctzll(set);
}

/* "0-1,3" as the kernel writes lists; the empty text is the empty set. Nodes beyond NODE_SET_MAX
 * are left out. 0 or -EINVAL (*ret left alone). */
int node_set_parse(const char *text, node_set_t *ret);

/* The same for what a person wrote: a node beyond NODE_SET_MAX is refused with -ERANGE, since a set
 * without it is not what was meant. */
int node_set_parse_whole(const char *text, node_set_t *ret);

/* The same form; "" for the empty set. buffer: NODE_SET_TEXT_MAX bytes. Returns buffer. */
const char *node_set_format(node_set_t set, char *buffer);
