/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "action.h"

#include <assert.h>

#include "names.h"

static const char *const kind_names[] = {
	[ACTION_REMAP] = "remap",
	[ACTION_COPY] = "copy",
	[ACTION_PLACE] = "place",
	[ACTION_POPULATE] = "populate",
};

static const char *const effect_names[] = {
	[EFFECT_NONE] = "none",
	[EFFECT_PARTIAL] = "partial",
	[EFFECT_DONE] = "done",
	[EFFECT_WORSE] = "worse",
};

static_assert(ARRAY_SIZE(kind_names) == ACTION_KIND_MAX, "every action kind has a name");
static_assert(ARRAY_SIZE(effect_names) == EFFECT_MAX, "every effect has a name");

const char *action_kind_name(enum action_kind kind)
{
	return name_of(kind_names, ARRAY_SIZE(kind_names), kind);
}

const char *action_name(const struct action *a)
{
	return a->is_folio_unknown ? "collapse" : action_kind_name(a->kind);
}

const char *effect_name(enum effect effect)
{
	return name_of(effect_names, ARRAY_SIZE(effect_names), effect);
}
