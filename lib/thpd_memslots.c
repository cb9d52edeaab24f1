/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thpd.h"

#include <errno.h>

#include "answer.h"
#include "cleanup.h"
#include "json_add.h"
#include "report_json.h"
#include "slots_view.h"
#include "snapshot.h"
#include "vmm_hint.h"

static const struct {
	uint32_t flag;
	const char *word;
} flag_words[] = {
	{MEMSLOT_LOG_DIRTY, "log-dirty"},
	{MEMSLOT_READONLY, "readonly"},
	{MEMSLOT_GUEST_MEMFD, "guest-memfd"},
};

static struct json_object *flags_to_json(uint32_t flags)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(flag_words); i++)
		if (flags & flag_words[i].flag)
			r = json_append(array, json_object_new_string(flag_words[i].word));
	return json_filled(array, r);
}

static int fill_judgement(struct json_object *object, const struct memslot *m,
			  const struct mmu_geometry *g)
{
	enum reason reason = memslot_reason(m, g);
	int r = json_add_bool(object, "can_be_huge", reason == REASON_NONE);

	if (r == 0)
		r = json_add_text(object, "reason", reason_slug(reason));
	if (r == 0)
		r = json_add_u64(object, "misaligned_bytes",
				 memslot_misalignment(m, block_bytes(g)));
	return r;
}

static int fill_slot(struct json_object *object, const struct memslot *m, const struct snapshot *s)
{
	int r = s->are_memslots_known ? json_add_u64(object, "slot", m->slot) : 0;

	if (r == 0)
		r = json_add_u64(object, "address_space", m->address_space);
	if (r == 0)
		r = json_add_address(object, "gpa", m->gpa);
	if (r == 0)
		r = json_add_u64(object, "bytes", m->bytes);
	if (r == 0)
		r = json_add_address(object, "hva", m->hva);
	if (r == 0)
		r = json_add(object, "flags", flags_to_json(m->flags));
	return r < 0 ? r : fill_judgement(object, m, &s->geometry);
}

static struct json_object *slot_to_json(const struct memslot *m, const struct snapshot *s)
{
	struct json_object *object = json_object_new_object();

	return object ? json_filled(object, fill_slot(object, m, s)) : NULL;
}

static struct json_object *slots_to_json(const struct snapshot *s)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < s->n_memslots; i++)
		r = json_append(array, slot_to_json(&s->memslots[i], s));
	return json_filled(array, r);
}

/* Who told, and when if it is not told anew with each change; or why nobody did. */
static int fill_source(struct json_object *object, const struct snapshot *s)
{
	bool is_inferred = s->memslots_inferred_ns > 0;
	int r = json_add_bool(object, "known", snapshot_has_memslots(s));

	if (r == 0)
		r = json_add_bool(object, "inferred", is_inferred);
	if (r == 0 && is_inferred)
		r = json_add_u64(object, "age_ns",
				 sat_sub_u64(s->taken_ns, s->memslots_inferred_ns));
	if (r == 0 && !snapshot_has_memslots(s))
		r = reason_add_to_json(object, vmm_silence(&s->vm));
	return r;
}

static int table_to_json(const struct snapshot *s, char **ret_json)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	int r = object ? json_add_text(object, "name", s->vm.name) : -ENOMEM;

	if (r == 0)
		r = json_add_u64(object, "pid", s->vm.pid > 0 ? (uint64_t)s->vm.pid : 0);
	if (r == 0)
		r = fill_source(object, s);
	if (r == 0)
		r = json_add(object, "memslots", slots_to_json(s));
	return r < 0 ? r : answer_take_text(TAKE_PTR(object), ret_json);
}

int thpd_memslots(const char *text, size_t size, char **ret_json, const char **ret_why)
{
	_cleanup_(snapshot_clear) struct snapshot s = SNAPSHOT_INIT;
	int r = snapshot_from_json(text, size, &s, ret_why);

	if (r < 0)
		return r;
	r = table_to_json(&s, ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}
