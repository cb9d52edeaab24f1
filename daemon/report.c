/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the daemon tells: JSON for the bus. Formats in docs/ARCHITECTURE.md, "Interface". */

#include <json-c/json.h>

#include "bits.h"
#include "config_key.h"
#include "cycle.h"
#include "json_add.h"
#include "lack.h"
#include "report_json.h"
#include "report_kvm.h"
#include "report_numa.h"
#include "report_vmm.h"
#include "state.h"

static const char *phase_name(const struct guest *g)
{
	if (g->is_stuck)
		return "stuck";
	switch (g->phase) {
	case PHASE_IDLE:
		return "idle";
	case PHASE_SURVEY:
	case PHASE_LOOK:
	case PHASE_COUNT:
	case PHASE_SIGNS:
		return "looking";
	case PHASE_ACT:
	case PHASE_NUDGE:
		return "acting";
	case PHASE_WAIT:
		return "waiting";
	}
	return "idle";
}

static struct json_object *report_last_action(const struct last_action *a)
{
	struct json_object *o;

	if (!a->is_set)
		return NULL;
	o = json_object_new_object();
	json_add_text(o, "kind", action_name(&a->action));
	json_add_u64(o, "actions", a->actions);
	json_add_u64(o, "bytes", a->bytes);
	json_object_object_add(o, "huge_bytes_delta", json_object_new_int64(a->huge_bytes_delta));
	json_add_u64(o, "placed_bytes", a->placed_bytes);
	json_add_u64(o, "worst_call_ns", a->worst_call_ns);
	json_add_u64(o, "cycle_ns", a->cycle_ns);
	json_add_text(o, "effect", effect_name(a->effect));
	json_add_text(o, "reason", reason_slug(a->reason));
	json_add_u64(o, "errno", (uint64_t)a->err);
	json_add_u64(o, "ended_realtime_us", a->ended_realtime_us);
	return o;
}

/* Basis points of resident memory that is huge; 0 of nothing. Rounded down, so that 10000 means all
 * of it. */
static uint64_t coverage_bp(const struct totals *t)
{
	return t->resident_bytes == 0
		       ? 0
		       : (uint64_t)((unsigned __int128)t->huge_bytes * 10000 / t->resident_bytes);
}

struct json_object *report_guest(const struct manager *m, const struct guest *g)
{
	const struct vm *vm = &g->snapshot.vm;
	struct json_object *o = json_object_new_object();

	json_add_text(o, "name", vm->name);
	json_add_u64(o, "pid", (uint64_t)vm->pid);
	json_add_text(o, "uuid", vm->uuid);
	json_add_text(o, "backing", guest_backing(g));
	json_add_text(o, "mode", mode_name(g->snapshot.policy.mode));
	json_add_bool(o, "truncated", g->snapshot.is_truncated);
	json_add_bool(o, "paused", g->snapshot.policy.is_paused);
	json_add_text(o, "phase", phase_name(g));
	json_add_u64(o, "cycles", g->cycles);
	json_add_u64(o, "coverage_bp", coverage_bp(&g->diagnosis.totals));
	(void)totals_add_to_json(o, &g->diagnosis.totals);
	json_object_object_add(o, "last_action", report_last_action(&g->last_action));
	json_object_object_add(o, "kvm", report_kvm(g));
	json_object_object_add(o, "numa", report_numa(m, g));
	report_vmm(o, vm);
	json_object_object_add(o, "hint", report_hint(g));
	json_add_text(o, "policy_file", g->rule ? g->rule->file : "");
	return o;
}

static const struct {
	enum feature feature;
	const char *name;
} features[] = {
	{FEATURE_COLLAPSE, "collapse"},
	{FEATURE_COLLAPSE_SHMEM, "collapse-shmem"},
	{FEATURE_PAGEMAP_SCAN, "pagemap-scan"},
	{FEATURE_PFN, "pfn"},
	{FEATURE_KPAGEFLAGS, "kpageflags"},
	{FEATURE_ELIGIBILITY_PROBE, "eligibility-probe"},
	{FEATURE_UFFD_SAFE, "uffd-safe"},
	{FEATURE_OTHER_PROCESSES, "other-processes"},
	{FEATURE_NODES, "nodes"},
};

static struct json_object *report_counters(const struct counters *c)
{
	struct json_object *o = json_object_new_object();

#define COUNTER(id, name, sentence) json_add_u64(o, name, c->id);
#include "counters.def"
#undef COUNTER
	return o;
}

static struct json_object *report_host(const struct manager *m)
{
	struct json_object *o = json_object_new_object(), *have = json_object_new_array(),
			   *lost = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (m->host.features & (uint32_t)features[i].feature)
			json_object_array_add(have, json_object_new_string(features[i].name));
		else
			json_object_array_add(
				lost, json_object_new_string(
					      host_lack(&m->host, features[i].feature).text));
	json_add_text(o, "version", THPD_VERSION);
	json_add_text(o, "kernel", m->host.kernel_release);
	json_add_u64(o, "block_bytes", block_bytes(&m->geometry));
	json_object_object_add(o, "features", have);
	json_object_object_add(o, "lost", lost);
	json_add_u64(o, "free_block_bytes", host_free_block_bytes(&m->host));
	json_object_object_add(o, "nodes", report_nodes(&m->host));
	json_add_bool(o, "numa_balancing", m->host.is_numa_balancing);
	json_add_bool(o, "dry_run", m->options.is_dry_run);
	json_add_u64(o, "config_problems", m->config.n_problems);
	json_object_object_add(o, "counters", report_counters(&m->counters));
	return o;
}

struct json_object *report_status(struct manager *m)
{
	struct json_object *o = json_object_new_object(), *vms = json_object_new_array();

	for (const struct guest *g = m->guests; g; g = g->next)
		if (!g->is_doomed)
			json_object_array_add(vms, report_guest(m, g));
	json_object_object_add(o, "vms", vms);
	json_object_object_add(o, "host", report_host(m));
	return o;
}

static struct json_object *report_policy(const struct manager *m, const struct guest *g)
{
	const char *const *origin = g->rule ? g->rule->origin : m->config.origin;
	struct json_object *list = json_object_new_array();

	for (unsigned key = 0; key < POLICY_KEY_MAX; key++) {
		struct json_object *o = json_object_new_object();
		char value[CONFIG_VALUE_TEXT_MAX];

		config_format_policy_value(&g->snapshot.policy, (enum policy_key)key, value,
					   sizeof(value));
		json_add_text(o, "key", config_policy_key_name((enum policy_key)key));
		json_add_text(o, "value", value);
		json_add_text(o, "origin", origin[key] ? origin[key] : "default");
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *report_region(const struct region *r,
					 const struct mmu_geometry *geometry)
{
	struct json_object *o = json_object_new_object();
	char path[256];

	vm_sanitize(path, sizeof(path), r->path ? r->path : "");
	json_add_address(o, "start", r->start);
	json_add_address(o, "end", r->end);
	json_add_u64(o, "bytes", r->end - r->start);
	json_add_text(o, "backing", backing_name(r->backing));
	json_add_bool(o, "shared", r->is_shared);
	json_add_text(o, "path", path);
	json_add_u64(o, "file_offset", r->file_offset);
	json_add_bool(o, "congruent", region_is_congruent(r, geometry));
	json_add_u64(o, "misaligned_bytes", region_misalignment(r, geometry));
	json_add_bool(o, "flags_known", r->are_flags_known);
	json_add_u64(o, "flags", r->flags);
	return o;
}

struct json_object *report_show(const struct manager *m, const struct guest *g)
{
	struct json_object *o = json_object_new_object(), *vm = report_guest(m, g),
			   *regions = json_object_new_array();

	json_add_text(vm, "comm", g->snapshot.vm.comm);
	json_add_text(vm, "exe", g->snapshot.vm.exe);
	json_add_text(vm, "cgroup", g->snapshot.vm.cgroup);
	json_add_u64(vm, "uid", g->snapshot.vm.uid);
	json_add_u64(vm, "starttime", g->snapshot.vm.starttime);
	json_add_bool(vm, "has_kvm", g->snapshot.vm.has_kvm);
	json_add_bool(vm, "has_userfaultfd", g->snapshot.vm.has_uffd);
	json_add_bool(vm, "has_vfio", g->snapshot.vm.has_vfio);
	json_add_bool(vm, "has_sev", g->snapshot.vm.has_sev);
	json_add_text(vm, "library", g->library ? vmm_peer_library(g->library) : "");
	json_add_u64(vm, "holds", g->ledger.n_holds);
	for (size_t i = 0; i < g->snapshot.n_regions; i++)
		json_object_array_add(regions,
				      report_region(&g->snapshot.regions[i], &m->geometry));
	json_object_object_add(o, "vm", vm);
	json_object_object_add(o, "policy", report_policy(m, g));
	json_object_object_add(o, "regions", regions);
	return o;
}

struct json_object *report_explain(const struct guest *g, hva_t only, bool has_only)
{
	struct json_object *o = json_object_new_object(), *runs = json_object_new_array();

	for (size_t i = 0; i < g->diagnosis.n_runs; i++) {
		const struct run *run = &g->diagnosis.runs[i];

		if (!has_only || (only >= run->start && only - run->start < run->bytes))
			json_object_array_add(runs, run_to_json(run));
	}
	json_add_text(o, "name", g->snapshot.vm.name);
	json_add_u64(o, "pid", (uint64_t)g->snapshot.vm.pid);
	json_object_object_add(o, "runs", runs);
	json_object_object_add(o, "totals", totals_to_json(&g->diagnosis.totals));
	json_object_object_add(o, "kvm", report_kvm(g));
	json_object_object_add(o, "hint", report_hint(g));
	return o;
}

struct json_object *report_plan(const struct manager *m, const struct guest *g)
{
	/* What the budget spreads over time is planned all the same; what it forbids is not. */
	bool may_copy = g->snapshot.copies_held == REASON_NONE;
	struct plan_limits limits = {.copy_allowance_bytes = may_copy ? UINT64_MAX : 0,
				     .first_id = m->next_action_id};
	struct json_object *o = json_object_new_object(), *actions = json_object_new_array();
	struct plan plan = PLAN_INIT;

	placing_foresee(m, g, &limits);
	if (plan_make(&g->snapshot, &g->diagnosis, &limits, &plan) < 0) {
		json_object_put(actions);
		json_object_put(o);
		return NULL;
	}
	for (size_t i = 0; i < plan.n_actions; i++)
		json_object_array_add(actions, action_to_json(&plan.actions[i]));
	json_add_text(o, "name", g->snapshot.vm.name);
	json_add_text(o, "mode", mode_name(g->snapshot.policy.mode));
	json_add_bool(o, "paused", g->snapshot.policy.is_paused);
	json_object_object_add(o, "actions", actions);
	json_add_u64(o, "remap_bytes", plan.remap_bytes);
	json_add_u64(o, "place_bytes", plan.place_bytes);
	json_add_u64(o, "populate_bytes", plan.populate_bytes);
	json_add_u64(o, "copy_bytes", plan.copy_bytes);
	json_add_u64(o, "deferred_copy_bytes", plan.deferred_copy_bytes);
	json_add_text(o, "copies_held", reason_slug(g->snapshot.copies_held));
	(void)json_add_held(o, "nudge_held", nudging_foresee(m, g));
	plan_clear(&plan);
	return o;
}
