/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the daemon tells of nodes: where the memory of a VM lies, and where it should. */

#include "report_numa.h"

#include <json-c/json.h>

#include "bits.h"
#include "json_add.h"

static struct json_object *report_node(const struct host_node *node)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "node", json_object_new_int(node->id));
	json_add_u64(o, "total_bytes", node->total_bytes);
	json_add_u64(o, "free_bytes", node->free_bytes);
	json_add_u64(o, "free_block_bytes", node->free_block_bytes);
	json_add_bool(o, "has_cpus", node->has_cpus);
	json_add_text(o, "distances", node->distances);
	return o;
}

struct json_object *report_nodes(const struct host *h)
{
	struct json_object *array = json_object_new_array();

	for (uint16_t i = 0; i < h->n_nodes; i++)
		json_object_array_add(array, report_node(&h->nodes[i]));
	return array;
}

static struct json_object *report_set(node_set_t set)
{
	struct json_object *array = json_object_new_array();

	for (int node = 0; node < NODE_SET_MAX; node++)
		if (node_set_has(set, node))
			json_object_array_add(array, json_object_new_int(node));
	return array;
}

static void add_count(struct json_object *array, int node, const char *key, uint64_t value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "node", json_object_new_int(node));
	json_add_u64(o, key, value);
	json_object_array_add(array, o);
}

/* How many vCPUs run where; those of which it is not known last, as node -1. */
static struct json_object *report_vcpus(const struct snapshot *s)
{
	struct json_object *array = json_object_new_array();
	uint64_t counts[NODE_SET_MAX] = {0}, unknown = 0;

	for (size_t i = 0; i < s->n_vcpus; i++) {
		int node = vcpu_node(&s->vcpus[i]);

		if (node >= 0 && node < NODE_SET_MAX)
			counts[node]++;
		else
			unknown++;
	}
	for (int node = 0; node < NODE_SET_MAX; node++)
		if (counts[node] > 0)
			add_count(array, node, "vcpus", counts[node]);
	if (unknown > 0)
		add_count(array, -1, "vcpus", unknown);
	return array;
}

static struct json_object *report_bytes(const struct whereabouts *w)
{
	struct json_object *array = json_object_new_array();

	for (int node = 0; node < NODE_SET_MAX; node++)
		if (w->by_node[node] > 0)
			add_count(array, node, "bytes", w->by_node[node]);
	return array;
}

static struct json_object *report_findings(const struct whereabouts *w)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < w->n_findings; i++) {
		const struct whereabouts_finding *f = &w->findings[i];
		struct json_object *o = json_object_new_object();

		json_add_text(o, "reason", reason_slug(f->reason));
		if (f->node >= 0)
			json_object_object_add(o, "node", json_object_new_int(f->node));
		json_add_u64(o, "bytes", f->bytes);
		if (f->distance > 0)
			json_add_u64(o, "distance", f->distance);
		json_object_array_add(array, o);
	}
	return array;
}

/* NULL: none is to come. */
static struct json_object *report_wait(const struct manager *m, const struct guest *g)
{
	const struct whereabouts *w = &g->whereabouts;
	uint64_t due_ns = mover_due_ns(&g->mover, &g->snapshot.policy);

	if (m->options.is_dry_run || w->verdict != WHEREABOUTS_REMOTE || due_ns == UINT64_MAX ||
	    !mover_may_move(&g->snapshot, &w->home))
		return NULL;
	return json_object_new_uint64(g->mover.target ? 0 : sat_sub_u64(due_ns, manager_now_ns(m)));
}

/* A dry run decides that a move begins, and moves nothing. */
static bool is_moving(const struct manager *m, const struct guest *g)
{
	return g->mover.target != 0 && g->moves_held == REASON_NONE && !m->options.is_dry_run;
}

struct json_object *report_numa(const struct manager *m, const struct guest *g)
{
	const struct whereabouts *w = &g->whereabouts;
	/* What a move that is over by now waited for is of no interest. */
	enum reason held = g->mover.target ? g->moves_held : REASON_NONE;
	struct json_object *o;

	if (!guest_has_nodes(g, &m->host) || g->cycles == 0)
		return NULL;
	o = json_object_new_object();
	json_add_text(o, "placement", placement_name(g->snapshot.policy.placement));
	json_object_object_add(o, "home", report_set(w->home.nodes));
	json_add_text(o, "home_source", home_source_name(w->home.source));
	json_add_text(o, "home_rule", home_rule_name(w->home.rule));
	json_object_object_add(o, "vcpus", report_vcpus(&g->snapshot));
	json_object_object_add(o, "nodes", report_bytes(w));
	json_add_u64(o, "unknown_bytes", w->unknown_bytes);
	json_add_u64(o, "home_bytes", w->home_bytes);
	json_add_u64(o, "remote_bytes", w->remote_bytes);
	json_add_text(o, "verdict", whereabouts_verdict_name(w->verdict));
	json_object_object_add(o, "findings", report_findings(w));
	json_add_bool(o, "moving", is_moving(m, g));
	json_add_text(o, "moves_held", reason_slug(held));
	json_add_u64(o, "moved_bytes", g->mover.moved_bytes);
	json_object_object_add(o, "moves_in_ns", report_wait(m, g));
	return o;
}
