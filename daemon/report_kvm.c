/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report_kvm.h"

#include "json_add.h"
#include "kvm_view.h"
#include "vmm_peer.h"

static struct json_object *report_findings(const struct kvm_view *v)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < v->n_findings; i++) {
		const struct kvm_finding *f = &v->findings[i];
		struct json_object *o = json_object_new_object();

		json_add_text(o, "reason", reason_slug(f->reason));
		json_add_u64(o, "bytes", f->bytes);
		json_add_text(o, "sentence", reason_sentence(f->reason));
		json_add_text(o, "cure", reason_cure(f->reason));
		json_object_array_add(array, o);
	}
	return array;
}

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

struct json_object *report_kvm(const struct guest *g)
{
	const struct kvm_counts *c = &g->snapshot.kvm;
	struct kvm_view v = kvm_view_of(&g->snapshot, &g->diagnosis.totals);
	struct json_object *o;

	if (!v.is_known && v.n_findings == 0 && !g->library)
		return NULL;
	o = json_object_new_object();
	json_add_text(o, "source", kvm_source_name(c->source));
	if (v.mapped_bytes > 0)
		json_add_u64(o, "coverage_bp", v.coverage_bp);
	json_add_u64(o, "mapped_bytes", v.mapped_bytes);
	json_add_u64(o, "huge_bytes", v.huge_bytes);
	json_add_u64(o, "pages_4k", c->pages_4k);
	json_add_u64(o, "pages_2m", c->pages_2m);
	json_add_u64(o, "pages_1g", c->pages_1g);
	json_add_u64(o, "nx_splits", c->nx_splits);
	json_object_object_add(o, "findings", report_findings(&v));
	json_object_object_add(o, "registry", report_registry(g));
	return o;
}
