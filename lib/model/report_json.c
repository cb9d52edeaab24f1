/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "json_add.h"

static int add_words(struct json_object *object, enum reason reason)
{
	int r = json_add_text(object, "sentence", reason_sentence(reason));

	return r < 0 ? r : json_add_text(object, "cure", reason_cure(reason));
}

int reason_add_to_json(struct json_object *object, enum reason reason)
{
	int r = json_add_text(object, "reason", reason_slug(reason));

	return r < 0 ? r : add_words(object, reason);
}

static int fill_run(struct json_object *object, const struct run *run)
{
	int r = json_add_address(object, "start", run->start);

	if (r == 0)
		r = json_add_u64(object, "bytes", run->bytes);
	if (r == 0)
		r = json_add_text(object, "state", block_state_name(run->state));
	if (r == 0)
		r = reason_add_to_json(object, run->reason);
	if (r == 0 && run->resident_bytes != UINT64_MAX)
		r = json_add_u64(object, "resident_bytes", run->resident_bytes);
	if (r == 0 && run->misaligned_bytes > 0)
		r = json_add_u64(object, "misaligned_bytes", run->misaligned_bytes);
	return r;
}

struct json_object *run_to_json(const struct run *run)
{
	struct json_object *object = json_object_new_object();

	return object ? json_filled(object, fill_run(object, run)) : NULL;
}

struct json_object *runs_to_json(const struct run *runs, size_t n)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = json_append(array, run_to_json(&runs[i]));
	return json_filled(array, r);
}

static int fill_reasons(struct json_object *object, const struct totals *totals)
{
	int r = 0;

	for (unsigned int i = REASON_NONE + 1; r == 0 && i < REASON_MAX; i++) {
		uint64_t bytes = totals->by_reason[i] + totals->uncounted_by_reason[i];

		if (bytes > 0)
			r = json_add_u64(object, reason_slug((enum reason)i), bytes);
	}
	return r;
}

static int add_reasons(struct json_object *object, const struct totals *totals)
{
	struct json_object *reasons = json_object_new_object();

	if (!reasons)
		return -ENOMEM;
	return json_add(object, "reasons", json_filled(reasons, fill_reasons(reasons, totals)));
}

int totals_add_to_json(struct json_object *object, const struct totals *totals)
{
	const struct {
		const char *key;
		uint64_t bytes;
	} fields[] = {
		{"ram_bytes", totals->ram_bytes},
		{"resident_bytes", totals->resident_bytes},
		{"huge_bytes", totals->huge_bytes},
		{"remappable_bytes", totals->by_state[BLOCK_REMAPPABLE]},
		{"copyable_bytes", totals->by_state[BLOCK_COPYABLE]},
		{"held_back_bytes", totals->by_state[BLOCK_SPARSE]},
		{"barred_bytes", totals->by_state[BLOCK_BARRED] + totals->uncounted_barred_bytes},
		{"unknown_bytes", totals->by_state[BLOCK_UNKNOWN] + totals->uncounted_bytes -
					  totals->uncounted_barred_bytes},
		{"swapped_bytes", totals->by_state[BLOCK_SWAPPED]},
		{"empty_bytes", totals->by_state[BLOCK_EMPTY]},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = json_add_u64(object, fields[i].key, fields[i].bytes);
	return r < 0 ? r : add_reasons(object, totals);
}

struct json_object *totals_to_json(const struct totals *totals)
{
	struct json_object *object = json_object_new_object();

	return object ? json_filled(object, totals_add_to_json(object, totals)) : NULL;
}

static int fill_action(struct json_object *object, const struct action *action)
{
	int r = json_add_u64(object, "id", action->id);

	if (r == 0)
		r = json_add_text(object, "kind", action_name(action));
	if (r == 0)
		r = json_add_address(object, "start", action->target.start);
	if (r == 0)
		r = json_add_u64(object, "bytes", action->target.bytes);
	if (r == 0)
		r = json_add_u64(object, "gain_bytes", action->gain_bytes);
	return r;
}

struct json_object *action_to_json(const struct action *action)
{
	struct json_object *object = json_object_new_object();

	return object ? json_filled(object, fill_action(object, action)) : NULL;
}

struct json_object *actions_to_json(const struct action *actions, size_t n)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = json_append(array, action_to_json(&actions[i]));
	return json_filled(array, r);
}

static int fill_finding(struct json_object *object, const struct kvm_finding *finding)
{
	int r = json_add_u64(object, "bytes", finding->bytes);

	if (r == 0)
		r = json_add_bool(object, "inferred", finding->is_inferred);
	return r < 0 ? r : reason_add_to_json(object, finding->reason);
}

static struct json_object *finding_to_json(const struct kvm_finding *finding)
{
	struct json_object *object = json_object_new_object();

	return object ? json_filled(object, fill_finding(object, finding)) : NULL;
}

static struct json_object *findings_to_json(const struct kvm_view *view)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < view->n_findings; i++)
		r = json_append(array, finding_to_json(&view->findings[i]));
	return json_filled(array, r);
}

int kvm_add_to_json(struct json_object *object, const struct kvm_counts *counts,
		    const struct kvm_view *view)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"mapped_bytes", view->mapped_bytes}, {"huge_bytes", view->huge_bytes},
		{"pages_4k", counts->pages_4k},	      {"pages_2m", counts->pages_2m},
		{"pages_1g", counts->pages_1g},	      {"nx_splits", counts->nx_splits},
	};
	int r = json_add_text(object, "source", kvm_source_name(counts->source));

	if (r == 0 && view->mapped_bytes > 0)
		r = json_add_u64(object, "coverage_bp", view->coverage_bp);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = json_add_u64(object, fields[i].key, fields[i].value);
	if (r == 0)
		r = json_add_bool(object, "lacks_sample", view->lacks_sample);
	return r < 0 ? r : json_add(object, "findings", findings_to_json(view));
}

static struct json_object *held_to_json(enum reason held)
{
	struct json_object *object = json_object_new_object();

	return json_filled(object, object ? reason_add_to_json(object, held) : -ENOMEM);
}

int json_add_held(struct json_object *object, const char *key, enum reason held)
{
	if (held == REASON_NONE)
		return json_object_object_add(object, key, NULL) < 0 ? -ENOMEM : 0;
	return json_add(object, key, held_to_json(held));
}

static struct json_object *reason_to_json(enum reason reason)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_text(object, "slug", reason_slug(reason)) : -ENOMEM;

	return json_filled(object, r < 0 ? r : add_words(object, reason));
}

struct json_object *reasons_to_json(void)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (unsigned int i = REASON_NONE + 1; r == 0 && i < REASON_MAX; i++)
		r = json_append(array, reason_to_json((enum reason)i));
	return json_filled(array, r);
}
