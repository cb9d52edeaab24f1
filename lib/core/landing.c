/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "landing.h"

#include "bits.h"

node_set_t landing_nodes(const struct snapshot *s, const struct home *home, const struct host *host)
{
	node_set_t all = host_node_set(host), bound = s->vm.bound_nodes & all,
		   allowed = bound & s->vm.allowed_nodes;

	if (bound)
		return allowed ? allowed : bound;
	if (home->nodes & all)
		return node_set_of(home_best_node(home->nodes, host));
	return all;
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
