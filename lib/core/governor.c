/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "governor.h"

#include <errno.h>

#define NS_PER_S UINT64_C(1000000000)

enum { ENOMEM_STRIKES_MAX = 7 }; /* 1 << 6 = 64 s */

static bool is_unlimited(const struct governor *g)
{
	return g->budget.copy_bytes_per_s == UINT64_MAX;
}

/* One second's worth, but never less than a block, else a slow budget could never pay for one. */
static uint64_t burst_bytes(const struct governor *g)
{
	if (g->budget.copy_bytes_per_s == 0)
		return 0;
	return max_u64(g->budget.copy_bytes_per_s, g->budget.block_bytes);
}

/* What `ns` are worth at the rate. In parts, so that nothing overflows before it saturates. *rest
 * carries what does not make a whole byte over to the next time, so that asking often costs
 * nothing. */
static uint64_t worth_of(uint64_t rate, uint64_t ns, uint64_t *rest)
{
	uint64_t seconds = ns / NS_PER_S, rest_ns = ns % NS_PER_S, whole;
	uint64_t fraction = rate % NS_PER_S * rest_ns + *rest;

	if (__builtin_mul_overflow(rate, seconds, &whole))
		whole = UINT64_MAX;
	*rest = fraction % NS_PER_S;
	return sat_add_u64(whole, rate / NS_PER_S * rest_ns + fraction / NS_PER_S);
}

static void refill(struct governor *g, uint64_t now_ns)
{
	uint64_t rate = g->budget.copy_bytes_per_s, worth;

	if (now_ns <= g->refilled_ns || is_unlimited(g))
		return;
	worth = worth_of(rate, now_ns - g->refilled_ns, &g->refill_rest);
	g->tokens_bytes = min_u64(sat_add_u64(g->tokens_bytes, worth), burst_bytes(g));
	g->refilled_ns = now_ns;
}

void governor_init(struct governor *g, const struct budget *budget, uint64_t now_ns)
{
	*g = (struct governor){.budget = *budget, .refilled_ns = now_ns};
	g->tokens_bytes = burst_bytes(g);
}

void governor_set_budget(struct governor *g, const struct budget *budget, uint64_t now_ns)
{
	refill(g, now_ns);
	g->budget = *budget;
	g->tokens_bytes = min_u64(g->tokens_bytes, burst_bytes(g));
	g->refilled_ns = max_u64(g->refilled_ns, now_ns);
	g->refill_rest = 0;
}

/* Free blocks that copies may take: reserve and copies under way are not free. A host whose free
 * blocks could not be read does not limit: the kernel's ENOMEM still does. */
static uint64_t free_for_copies(const struct governor *g, const struct host *host)
{
	if (host->n_nodes == 0)
		return UINT64_MAX;
	return sat_sub_u64(sat_sub_u64(host_free_block_bytes(host), g->budget.free_reserve_bytes),
			   g->in_flight_bytes);
}

static uint64_t whole_blocks(const struct governor *g, uint64_t bytes)
{
	return g->budget.block_bytes == 0 ? bytes : align_down(bytes, g->budget.block_bytes);
}

/* When the bucket will hold the price of one more block (or byte). */
static uint64_t tokens_due_ns(const struct governor *g, uint64_t now_ns)
{
	uint64_t rate = g->budget.copy_bytes_per_s;
	uint64_t missing = sat_sub_u64(max_u64(g->budget.block_bytes, 1), g->tokens_bytes);
	uint64_t rest_ns;

	if (rate == 0)
		return UINT64_MAX;
	rest_ns = missing % rate > UINT64_MAX / NS_PER_S ? NS_PER_S
							 : missing % rate * NS_PER_S / rate + 1;
	return sat_add_u64(sat_add_u64(now_ns, missing / rate * NS_PER_S), rest_ns);
}

uint64_t governor_copy_allowance(struct governor *g, const struct host *host, uint64_t now_ns,
				 enum reason *ret_reason, uint64_t *ret_retry_ns)
{
	uint64_t tokens, free_bytes = whole_blocks(g, free_for_copies(g, host));

	refill(g, now_ns);
	tokens = whole_blocks(g, is_unlimited(g) ? UINT64_MAX : g->tokens_bytes);
	*ret_reason = REASON_NONE;
	*ret_retry_ns = now_ns;
	if (g->budget.copy_bytes_per_s == 0) {
		*ret_reason = REASON_POLICY_OFF;
		*ret_retry_ns = UINT64_MAX;
		return 0;
	}
	if (now_ns < g->enomem_until_ns) {
		*ret_reason = REASON_NO_FREE_HUGE_PAGE;
		*ret_retry_ns = g->enomem_until_ns;
		return 0;
	}
	if (free_bytes == 0) {
		*ret_reason = REASON_NO_FREE_HUGE_PAGE;
		*ret_retry_ns = sat_add_u64(now_ns, NS_PER_S);
		return 0;
	}
	if (tokens == 0)
		*ret_retry_ns = tokens_due_ns(g, now_ns);
	return min_u64(tokens, free_bytes);
}

/* A node that is full may stay so for long: asked again ten times less often. */
#define NODE_FULL_RETRY_NS (10 * NS_PER_S)

uint64_t governor_place_allowance(struct governor *g, const struct host *host, int node,
				  uint64_t now_ns, enum reason *ret_reason, uint64_t *ret_retry_ns)
{
	uint64_t room = host_room_bytes(host, node, g->budget.free_reserve_bytes);
	uint64_t free_bytes = whole_blocks(g, sat_sub_u64(room, g->in_flight_bytes)), tokens;

	refill(g, now_ns);
	tokens = whole_blocks(g, is_unlimited(g) ? UINT64_MAX : g->tokens_bytes);
	*ret_reason = REASON_NONE;
	*ret_retry_ns = now_ns;
	if (g->budget.copy_bytes_per_s == 0) {
		*ret_reason = REASON_POLICY_OFF;
		*ret_retry_ns = UINT64_MAX;
		return 0;
	}
	if (free_bytes == 0) {
		*ret_reason = REASON_NODE_FULL;
		*ret_retry_ns = sat_add_u64(now_ns, NODE_FULL_RETRY_NS);
		return 0;
	}
	if (tokens == 0)
		*ret_retry_ns = tokens_due_ns(g, now_ns);
	return min_u64(tokens, free_bytes);
}

uint64_t governor_populate_allowance(const struct governor *g, const struct host *host,
				     node_set_t nodes, uint64_t now_ns, enum reason *ret_reason,
				     uint64_t *ret_retry_ns)
{
	uint64_t room = landing_room_bytes(nodes, host, g->budget.free_reserve_bytes);
	uint64_t free_bytes = whole_blocks(g, sat_sub_u64(room, g->in_flight_bytes));

	*ret_reason = REASON_NONE;
	*ret_retry_ns = now_ns;
	if (whole_blocks(g, room) == 0) {
		*ret_reason = REASON_NODE_FULL;
		*ret_retry_ns = sat_add_u64(now_ns, NODE_FULL_RETRY_NS);
	} else if (free_bytes == 0) {
		*ret_retry_ns = sat_add_u64(now_ns, NS_PER_S);
	}
	return free_bytes;
}

static bool costs_bandwidth(const struct action *a)
{
	return a->kind != ACTION_REMAP;
}

void governor_spend(struct governor *g, const struct action *a)
{
	if (!costs_bandwidth(a))
		return;
	if (!is_unlimited(g))
		g->tokens_bytes = sat_sub_u64(g->tokens_bytes, a->target.bytes);
	g->in_flight_bytes = sat_add_u64(g->in_flight_bytes, a->target.bytes);
}

void governor_settle(struct governor *g, const struct action *a, const struct outcome *o,
		     uint64_t now_ns)
{
	if (!costs_bandwidth(a))
		return;
	g->in_flight_bytes = sat_sub_u64(g->in_flight_bytes, a->target.bytes);
	if (o->err == ECANCELED && !is_unlimited(g))
		g->tokens_bytes =
			min_u64(sat_add_u64(g->tokens_bytes, a->target.bytes), burst_bytes(g));
	if (a->kind == ACTION_PLACE)
		return;
	if (o->err == 0) {
		g->enomem_strikes = 0;
		g->enomem_until_ns = 0;
		return;
	}
	/* Several copies under way fail together: that is one strike. */
	if (o->err != ENOMEM || now_ns < g->enomem_until_ns)
		return;
	if (g->enomem_strikes < ENOMEM_STRIKES_MAX)
		g->enomem_strikes++;
	g->enomem_until_ns =
		sat_add_u64(now_ns, (UINT64_C(1) << (g->enomem_strikes - 1)) * NS_PER_S);
}

int outcome_node_errno(const struct outcome *o, int look_error, const struct sight *after,
		       size_t n_after)
{
	if (o->err != ENOMEM)
		return o->err;
	for (size_t i = 0; look_error == 0 && i < n_after; i++)
		if (after[i].seen != SEEN_NOTHING)
			return ENOMEM;
	return ESRCH;
}
