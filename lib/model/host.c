/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <assert.h>
#include <string.h>

#include "names.h"
#include "parse.h"

/* The kernel's own words. */
static const char *const knob_names[] = {
	[SHMEM_KNOB_ABSENT] = "absent", [SHMEM_KNOB_NEVER] = "never",
	[SHMEM_KNOB_ADVISE] = "advise", [SHMEM_KNOB_WITHIN_SIZE] = "within_size",
	[SHMEM_KNOB_ALWAYS] = "always", [SHMEM_KNOB_INHERIT] = "inherit",
	[SHMEM_KNOB_DENY] = "deny",	[SHMEM_KNOB_FORCE] = "force",
};

static_assert(ARRAY_SIZE(knob_names) == SHMEM_KNOB_MAX, "every knob value has a name");

const char *shmem_knob_name(enum shmem_knob knob)
{
	return name_of(knob_names, ARRAY_SIZE(knob_names), knob);
}

int shmem_knob_from_name(const char *name, enum shmem_knob *ret)
{
	int r = name_find(knob_names, ARRAY_SIZE(knob_names), name);

	if (r < 0)
		return r;
	*ret = (enum shmem_knob)r;
	return 0;
}

node_set_t host_node_set(const struct host *h)
{
	node_set_t set = 0;

	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++)
		set |= node_set_of(h->nodes[i].id);
	return set;
}

const struct host_node *host_find_node(const struct host *h, int id)
{
	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++)
		if (h->nodes[i].id == id)
			return &h->nodes[i];
	return NULL;
}

unsigned int host_distance(const struct host *h, int from, int to)
{
	const struct host_node *node = host_find_node(h, from);
	struct scanner s;
	uint64_t distance;

	if (!node)
		return 0;
	s = (struct scanner){.at = node->distances,
			     .end = node->distances + strlen(node->distances)};
	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++) {
		scan_blanks(&s);
		if (!scan_u64(&s, &distance) || distance > UINT8_MAX)
			return 0;
		if (h->nodes[i].id == to)
			return (unsigned int)distance;
	}
	return 0;
}

uint64_t host_zone_block_bytes(const struct host_zone *z, uint64_t block_bytes)
{
	return align_down(min_u64(z->free_block_bytes, sat_sub_u64(z->free_bytes, z->kept_bytes)),
			  block_bytes);
}

uint64_t host_room_bytes(const struct host *h, int node, uint64_t reserve_bytes)
{
	const struct host_node *n = host_find_node(h, node);

	return n ? sat_sub_u64(n->free_block_bytes, reserve_bytes) : 0;
}

uint64_t host_free_block_bytes(const struct host *h)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++)
		bytes = sat_add_u64(bytes, h->nodes[i].free_block_bytes);
	return bytes;
}

bool host_has_same_knobs(const struct host *a, const struct host *b)
{
	return a->shmem_global == b->shmem_global && a->shmem_block == b->shmem_block &&
	       a->is_ksm_running == b->is_ksm_running &&
	       strcmp(a->thp_enabled, b->thp_enabled) == 0;
}
