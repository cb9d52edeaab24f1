/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "landing.h"

#include "bits.h"

static node_set_t with_processors(node_set_t nodes, const struct host *host)
{
	node_set_t with = 0;

	for (uint16_t i = 0; i < host->n_nodes && i < HOST_NODES_MAX; i++)
		if (host->nodes[i].has_cpus)
			with |= node_set_of(host->nodes[i].id) & nodes;
	return with ? with : nodes;
}

/* Memory that was bound before the cpuset went elsewhere is where it was bound, and a VMM that lies
 * about it is not served: then both are counted, and none is asked for. */
static node_set_t nodes_of_bound(node_set_t bound, node_set_t allowed)
{
	node_set_t both = bound & allowed;

	return both ? both : bound | allowed;
}

node_set_t landing_nodes(const struct snapshot *s, const struct home *home, const struct host *host)
{
	node_set_t all = host_node_set(host), bound = s->vm.bound_nodes & all,
		   allowed = s->vm.allowed_nodes & all, wanted = home->nodes & all;

	if (host->n_nodes < 2)
		return 0;
	if (!allowed)
		allowed = all;
	if (bound)
		return nodes_of_bound(bound, allowed);
	if (!wanted)
		wanted = with_processors(allowed, host);
	return node_set_of(home_best_node(wanted, host));
}

int landing_node(node_set_t nodes, const struct host *host)
{
	return host->n_nodes > 1 && node_set_is_single(nodes) ? node_set_first(nodes) : -1;
}

uint64_t landing_room_bytes(node_set_t nodes, const struct host *host, uint64_t reserve_bytes)
{
	uint64_t room = UINT64_MAX;

	for (; nodes; nodes &= nodes - 1)
		room = min_u64(room, host_room_bytes(host, node_set_first(nodes), reserve_bytes));
	return room;
}
