/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answer.h"

#include <errno.h>
#include <string.h>

#include "json_add.h"

int answer_fail(const char **ret_why, int err, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return err;
}

int answer_take_text(struct json_object *object, char **ret)
{
	int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = object ? json_object_to_json_string_ext(object, flags) : NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(object);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static struct json_object *check_to_json(const struct check *check)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_text(object, "id", check->id) : -ENOMEM;

	if (r == 0)
		r = json_add_text(object, "result", check_result_name(check->result));
	if (r == 0)
		r = json_add_text(object, "text", check->text);
	if (r == 0)
		r = json_add_text(object, "cure", check->cure);
	return json_filled(object, r);
}

struct json_object *answer_checks(const struct check_list *list)
{
	struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < list->n_items; i++)
		r = json_append(array, check_to_json(&list->items[i]));
	return json_filled(array, r);
}

bool answer_has_failed(const struct check_list *list)
{
	for (size_t i = 0; i < list->n_items; i++)
		if (list->items[i].result == CHECK_FAIL)
			return true;
	return false;
}
