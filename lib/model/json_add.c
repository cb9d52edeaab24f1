/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_add.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_append(struct json_object *array, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_array_add(array, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_add_text(struct json_object *object, const char *key, const char *text)
{
	return json_add(object, key, json_object_new_string(text));
}

int json_add_u64(struct json_object *object, const char *key, uint64_t value)
{
	return json_add(object, key, json_object_new_uint64(value));
}

int json_add_address(struct json_object *object, const char *key, uint64_t address)
{
	char text[2 + 16 + 1];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return json_add_text(object, key, text);
}

int json_add_bool(struct json_object *object, const char *key, int value)
{
	return json_add(object, key, json_object_new_boolean(value));
}

struct json_object *json_filled(struct json_object *object, int r)
{
	if (r == 0)
		return object;
	json_object_put(object);
	return NULL;
}
