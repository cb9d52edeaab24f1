/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the functions of thpd.h answer with: JSON text, or a sentence why not. */

#include <json-c/json.h>
#include <stdbool.h>

#include "check.h"

#define ANSWER_NO_MEMORY "Out of memory."

static inline void answer_putp(struct json_object **object)
{
	json_object_put(*object);
}

/* Sets *ret_why, where it is wanted; returns err. */
int answer_fail(const char **ret_why, int err, const char *why);

/* Hands out the text and frees the object. 0 or -ENOMEM. */
int answer_take_text(struct json_object *object, char **ret);

/* [{"id","result","text","cure"}]; NULL if memory is short. */
struct json_object *answer_checks(const struct check_list *list);
bool answer_has_failed(const struct check_list *list);
