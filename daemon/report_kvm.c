/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report_kvm.h"

#include "json_add.h"
#include "kvm_view.h"
#include "report_json.h"

static struct json_object *report_registry(const struct guest *g)
{
	struct json_object *o;

	if (!g->library)
		return NULL;
	o = json_object_new_object();
	json_add_text(o, "library", vmm_peer_library(g->library));
	json_add_u64(o, "slots", vmm_peer_slots(g->library));
	json_add_bool(o, "complete", g->snapshot.are_memslots_known);
	return o;
}

static struct json_object *report_verdict(const struct nudge_verdict *v)
{
	struct json_object *o;

	if (!v->is_known)
		return NULL;
	o = json_object_new_object();
	json_add_bool(o, "vain", v->is_vain);
	json_add_u64(o, "small_before_bytes", v->small_before_bytes);
	json_add_u64(o, "huge_before_bytes", v->huge_before_bytes);
	json_add_u64(o, "small_after_bytes", v->small_after_bytes);
	json_add_u64(o, "huge_after_bytes", v->huge_after_bytes);
	return o;
}

static void add_answer(struct json_object *o, const struct vmm_answer *a)
{
	const struct vmm_nudged *n = &a->nudged;

	json_add_text(o, "result", a->err < 0 ? "failed" : nudge_result_name(n->result));
	json_add_u64(o, "errno", (uint64_t) - (a->err < 0 ? a->err : n->err));
	json_add_u64(o, "slots", n->n_toggled);
	json_add_u64(o, "passed_over", n->n_passed_over);
	json_add_u64(o, "bytes", n->toggled_bytes);
	json_add_u64(o, "took_ns", n->took_ns);
	json_add_u64(o, "worst_call_ns", n->worst_call_ns);
}

/* How many slots that were, QEMU does not say. */
static void add_measuring(struct json_object *o, const struct last_nudge *l)
{
	json_add_text(o, "result", dirty_rate_step_name(l->step));
	json_add_u64(o, "errno", (uint64_t)-l->err);
	json_add_u64(o, "took_ns", l->took_ns);
	json_add_text(o, "refusal", l->refusal);
}

static struct json_object *report_last_nudge(const struct guest *g)
{
	const struct last_nudge *l = &g->last_nudge;
	struct json_object *o;

	if (!l->is_set)
		return NULL;
	o = json_object_new_object();
	json_add_text(o, "means", nudge_means_name(l->means));
	if (l->means == NUDGE_BY_LIBRARY)
		add_answer(o, &l->answer);
	else
		add_measuring(o, l);
	json_object_object_add(o, "verdict", report_verdict(&g->nudge.verdict));
	return o;
}

/* Nobody knows anything of it, and nobody did anything to it. */
static bool is_silent(const struct guest *g, const struct kvm_view *v)
{
	return !v->is_known && v->n_findings == 0 && !g->library && !g->last_nudge.is_set &&
	       g->nudge_refused == REASON_NONE;
}

struct json_object *report_kvm(const struct guest *g)
{
	struct kvm_view v = kvm_view_of(&g->snapshot, &g->diagnosis.totals);
	struct json_object *o;

	if (is_silent(g, &v))
		return NULL;
	o = json_object_new_object();
	(void)kvm_add_to_json(o, &g->snapshot.kvm, &v);
	json_object_object_add(o, "registry", report_registry(g));
	json_object_object_add(o, "nudge", report_last_nudge(g));
	(void)json_add_held(o, "nudge_refused", g->nudge_refused);
	return o;
}
