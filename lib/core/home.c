/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "home.h"

#include <assert.h>
#include <string.h>

#include "bits.h"
#include "names.h"

/* A vCPU that sleeps has been somewhere last, too: it counts this much, so that a VM at rest has a
 * home, and nothing beside one that works. */
enum { WEIGHT_OF_IDLE_BP = 1 };

/* Nodes with a smaller share of the work than one part in this are where a vCPU has strayed to. */
enum { STRAY_PART = 10 };

static const char *const source_names[] = {
	[HOME_UNKNOWN] = "none",  [HOME_POLICY] = "policy", [HOME_VMM] = "vmm",
	[HOME_CPUSET] = "cpuset", [HOME_VCPUS] = "vcpus",
};

static_assert(ARRAY_SIZE(source_names) == HOME_SOURCE_MAX, "every source has a name");

const char *home_source_name(enum home_source source)
{
	return name_of(source_names, ARRAY_SIZE(source_names), source);
}

static const char *const rule_names[] = {
	[HOME_WHOLE] = "whole",
	[HOME_LEFT] = "left",
	[HOME_INTERLEAVED] = "interleaved",
	[HOME_BY_GUEST] = "guest-nodes",
};

static_assert(ARRAY_SIZE(rule_names) == HOME_RULE_MAX, "every rule has a name");

const char *home_rule_name(enum home_rule rule)
{
	return name_of(rule_names, ARRAY_SIZE(rule_names), rule);
}

static uint64_t weight_of(const struct vcpu *v)
{
	return v->busy_bp == VCPU_BUSY_UNKNOWN || v->busy_bp == 0 ? WEIGHT_OF_IDLE_BP : v->busy_bp;
}

enum { EVERY_GUEST_NODE = -1 };

/* Where the vCPUs run, those of one guest node or all. */
static node_set_t nodes_of_vcpus(const struct snapshot *s, int guest_node)
{
	uint64_t weights[NODE_SET_MAX] = {0}, sum = 0;
	node_set_t set = 0;

	for (size_t i = 0; i < s->n_vcpus; i++) {
		int node = vcpu_node(&s->vcpus[i]);

		if (node < 0 || node >= NODE_SET_MAX)
			continue;
		if (guest_node != EVERY_GUEST_NODE && s->vcpus[i].guest_node != guest_node)
			continue;
		weights[node] += weight_of(&s->vcpus[i]);
		sum += weight_of(&s->vcpus[i]);
	}
	for (int node = 0; node < NODE_SET_MAX; node++)
		if (weights[node] > 0 && weights[node] * STRAY_PART >= sum)
			set |= node_set_of(node);
	return set;
}

static node_set_t allowed_of(node_set_t wanted, node_set_t allowed)
{
	/* The kernel moves nothing to where a cpuset lets it have no memory. */
	return wanted & allowed ? wanted & allowed : wanted;
}

/* What the VM is bound to; 0: nothing. */
static node_set_t bound_of(const struct snapshot *s, enum home_source *ret_source)
{
	node_set_t all = host_node_set(&s->host), named = s->policy.nodes & all,
		   bound = s->vm.bound_nodes & all, allowed = s->vm.allowed_nodes & all;

	if (named) {
		*ret_source = HOME_POLICY;
		return allowed_of(named, allowed);
	}
	if (bound) {
		*ret_source = HOME_VMM;
		return allowed_of(bound, allowed);
	}
	if (allowed && allowed != all) {
		*ret_source = HOME_CPUSET;
		return allowed;
	}
	*ret_source = HOME_UNKNOWN;
	return 0;
}

/* What it belongs to as a whole. */
static void find_nodes(const struct snapshot *s, struct home *h)
{
	node_set_t runs_on = h->vcpu_nodes & host_node_set(&s->host);

	h->nodes = bound_of(s, &h->source);
	if (s->policy.placement == PLACEMENT_BIND)
		return;
	if (h->nodes == 0 && runs_on) {
		h->nodes = runs_on;
		h->source = HOME_VCPUS;
	} else if (s->policy.placement == PLACEMENT_FOLLOW && (h->nodes & runs_on)) {
		h->nodes &= runs_on;
	}
}

/* The spans are of more than one guest node. */
static bool is_guest_divided(const struct snapshot *s)
{
	for (size_t i = 1; i < s->n_guest_spans; i++)
		if (s->guest_spans[i].guest_node != s->guest_spans[0].guest_node)
			return true;
	return false;
}

static uint64_t digest(uint64_t mark, uint64_t value)
{
	return (mark ^ value) * 0x100000001b3u; /* FNV-1a, by words */
}

/* By guest node one node of the home: where several are as good, none is better. */
static void divide_by_guest(const struct snapshot *s, struct home *h)
{
	h->rule = HOME_BY_GUEST;
	for (size_t i = 0; i < s->n_guest_spans; i++) {
		const struct guest_span *span = &s->guest_spans[i];
		node_set_t *nodes = &h->by_guest_node[span->guest_node];

		h->guest_mark = digest(h->guest_mark, span->start);
		h->guest_mark = digest(h->guest_mark, span->bytes);
		h->guest_mark = digest(h->guest_mark, (uint64_t)span->guest_node);
		if (*nodes)
			continue;
		*nodes = nodes_of_vcpus(s, span->guest_node) & h->nodes;
		if (!node_set_is_single(*nodes))
			*nodes = h->nodes;
	}
}

static void divide(const struct snapshot *s, struct home *h)
{
	if (h->nodes == 0 || node_set_is_single(h->nodes))
		return;
	if (is_guest_divided(s)) {
		divide_by_guest(s, h);
	} else if (s->policy.wide == WIDE_INTERLEAVE) {
		uint64_t block = block_bytes(&s->geometry);

		h->rule = HOME_INTERLEAVED;
		h->stripe_bytes = max_u64(align_down(s->policy.wide_stripe_bytes, block), block);
	} else {
		h->rule = HOME_LEFT;
	}
}

struct home home_of(const struct snapshot *s)
{
	struct home h = {.vcpu_nodes = nodes_of_vcpus(s, EVERY_GUEST_NODE)};

	find_nodes(s, &h);
	divide(s, &h);
	return h;
}

bool home_is_same(const struct home *a, const struct home *b)
{
	return a->nodes == b->nodes && a->rule == b->rule && a->stripe_bytes == b->stripe_bytes &&
	       a->guest_mark == b->guest_mark &&
	       memcmp(a->by_guest_node, b->by_guest_node, sizeof(a->by_guest_node)) == 0;
}

int home_best_node(node_set_t nodes, const struct host *h)
{
	const struct host_node *best = NULL;

	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++) {
		const struct host_node *node = &h->nodes[i];

		if (node_set_has(nodes, node->id) &&
		    (!best || node->free_block_bytes > best->free_block_bytes))
			best = node;
	}
	return best ? best->id : -1;
}
