/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report_vmm.h"

#include "bits.h"
#include "json_add.h"
#include "report_json.h"
#include "vmm.h"
#include "vmm_hint.h"

void report_vmm(struct json_object *o, const struct vm *vm)
{
	json_add_text(o, "vmm", vmm_kind_name(vmm_kind_of(vm)));
	json_add_bool(o, "libvirt", vm->is_of_libvirt);
	json_add_text(o, "static_vmm", answer_name(vm->is_static));
	json_add_text(o, "logged_for_life", answer_name(vm->is_logged_for_life));
}

static struct json_object *report_lacks(const struct vmm_hint *h)
{
	const struct {
		bool is_lacking;
		const char *name;
	} lacks[] = {
		{h->lacks_counts, "kvm-counts"},
		{h->lacks_nodes, "guest-nodes"},
		{h->lacks_nudge, "nudge"},
	};
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(lacks); i++)
		if (lacks[i].is_lacking)
			json_object_array_add(array, json_object_new_string(lacks[i].name));
	return array;
}

struct json_object *report_hint(const struct guest *g)
{
	struct kvm_view view = {.is_known = false};
	struct json_object *o;
	struct vmm_hint h;

	/* Where memslots are told it says nothing of the VMM, and costs a sort of them. */
	if (!g->snapshot.are_memslots_known)
		view = kvm_view_of(&g->snapshot, &g->diagnosis.totals);
	h = vmm_hint_of(&g->snapshot, &view, guest_is_uncounted(g));
	if (h.reason == REASON_NONE)
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "lacks", report_lacks(&h));
	(void)reason_add_to_json(o, h.reason);
	return o;
}
