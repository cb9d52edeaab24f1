/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout_json.h"

#include <errno.h>

#include "json_add.h"

/* "aligned_bytes" ...: interface. */
static const char *const state_keys[PIECE_STATE_MAX] = {
	[PIECE_ALIGNED] = "aligned_bytes", [PIECE_MISALIGNED] = "misaligned_bytes",
	[PIECE_SPLIT] = "split_bytes",	   [PIECE_HOLE] = "hole_bytes",
	[PIECE_TAIL] = "tail_bytes",	   [PIECE_UNPLACED] = "unplaced_bytes",
};

struct json_object *alignment_to_json(const struct alignment *a)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_u64(object, "unit_bytes", a->unit) : -ENOMEM;

	for (unsigned int i = 0; r == 0 && i < PIECE_STATE_MAX; i++)
		r = json_add_u64(object, state_keys[i], a->by_state[i]);
	if (r == 0)
		r = json_add_u64(object, "unwritten_bytes", a->unwritten_bytes);
	if (r == 0)
		r = json_add_u64(object, "shared_bytes", a->shared_bytes);
	return json_filled(object, r);
}

static struct json_object *piece_to_json(const struct piece *piece)
{
	enum reason reason = piece_state_reason(piece->state);
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_u64(object, "offset", piece->offset) : -ENOMEM;

	if (r == 0)
		r = json_add_u64(object, "bytes", piece->bytes);
	if (r == 0)
		r = json_add_text(object, "state", piece_state_name(piece->state));
	if (r == 0 && piece->off_by > 0)
		r = json_add_u64(object, "off_by_bytes", piece->off_by);
	if (r == 0 && reason != REASON_NONE)
		r = json_add_text(object, "reason", reason_slug(reason));
	if (r == 0)
		r = json_add_bool(object, "unwritten", piece->is_unwritten);
	if (r == 0)
		r = json_add_bool(object, "shared", piece->is_shared);
	return json_filled(object, r);
}

struct json_object *pieces_to_json(const struct alignment *a)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < a->n_pieces; i++)
		r = json_append(array, piece_to_json(&a->pieces[i]));
	return json_filled(array, r);
}

static struct json_object *mapping_to_json(const struct mapping *m, uint64_t unit)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_u64(object, "pid", (uint64_t)m->pid) : -ENOMEM;

	if (r == 0)
		r = json_add_address(object, "start", m->start);
	if (r == 0)
		r = json_add_u64(object, "bytes", m->end - m->start);
	if (r == 0)
		r = json_add_u64(object, "offset", m->offset);
	if (r == 0)
		r = json_add_bool(object, "shared", m->is_shared);
	if (r == 0)
		r = json_add_u64(object, "off_by_bytes", mapping_off_by(m, unit));
	if (r == 0 && m->huge_bytes != MAPPING_HUGE_UNKNOWN)
		r = json_add_u64(object, "huge_bytes", m->huge_bytes);
	return json_filled(object, r);
}

struct json_object *mappings_to_json(const struct mapping *mappings, size_t n, uint64_t unit)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = json_append(array, mapping_to_json(&mappings[i], unit));
	return json_filled(array, r);
}

/* What is not known has no field. */
static int add_answer(struct json_object *object, const char *key, enum answer answer)
{
	return answer == ANSWER_UNKNOWN ? 0 : json_add_bool(object, key, answer == ANSWER_YES);
}

struct json_object *storage_to_json(const struct storage *s)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_text(object, "filesystem", s->filesystem_name) : -ENOMEM;

	if (r == 0)
		r = json_add_text(object, "device", s->device);
	if (r == 0)
		r = json_add_u64(object, "block_bytes", s->block_bytes);
	if (r == 0)
		r = json_add_u64(object, "stripe_bytes", s->stripe_bytes);
	if (r == 0)
		r = add_answer(object, "dax", s->is_dax);
	if (r == 0)
		r = add_answer(object, "dax_possible", s->can_dax);
	if (r == 0 && s->is_base_known)
		r = json_add_u64(object, "base_bytes", s->base_bytes);
	return json_filled(object, r);
}
