/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "field.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

static struct json_object *get(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!o || !json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

bool field_u64(struct json_object *o, const char *key, uint64_t *ret)
{
	struct json_object *value = get(o, key, json_type_int);

	/* json-c makes 0 of negative numbers here, so the sign is asked first. */
	if (!value || json_object_get_int64(value) < 0)
		return false;
	*ret = json_object_get_uint64(value);
	return true;
}

uint64_t field_u64_or_0(struct json_object *o, const char *key)
{
	uint64_t value;

	return field_u64(o, key, &value) ? value : 0;
}

bool field_address(struct json_object *o, const char *key, uint64_t *ret)
{
	const char *text = field_text(o, key);
	unsigned long long value;
	char *end;

	if (field_u64(o, key, ret))
		return true;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 16);
	if (errno != 0 || *end != '\0')
		return false;
	*ret = value;
	return true;
}

bool field_is_true(struct json_object *o, const char *key)
{
	struct json_object *value = get(o, key, json_type_boolean);

	return value && json_object_get_boolean(value);
}

const char *field_text(struct json_object *o, const char *key)
{
	struct json_object *value = get(o, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

void field_cell(struct json_object *o, const char *key, char *cell, size_t size)
{
	const char *text = field_text(o, key);
	uint64_t number;

	if (field_u64(o, key, &number))
		(void)snprintf(cell, size, "%" PRIu64, number);
	else
		(void)format_printable(*text ? text : "-", cell, size);
}

void field_cell_bytes(struct json_object *o, const char *key, bool is_raw, char *cell, size_t size)
{
	char buffer[FORMAT_MAX];
	uint64_t bytes;

	(void)snprintf(cell, size, "%s",
		       field_u64(o, key, &bytes) ? format_bytes(bytes, is_raw, buffer) : "-");
}

void field_cell_address(struct json_object *o, const char *key, char *cell, size_t size)
{
	uint64_t address;

	if (field_address(o, key, &address))
		(void)snprintf(cell, size, "0x%" PRIx64, address);
	else
		(void)snprintf(cell, size, "-");
}

struct json_object *field_object(struct json_object *o, const char *key)
{
	return get(o, key, json_type_object);
}

struct json_object *field_array(struct json_object *o, const char *key)
{
	return get(o, key, json_type_array);
}

size_t field_array_length(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

struct json_object *field_find(struct json_object *array, const char *key, const char *text)
{
	bool is_array = array && json_object_is_type(array, json_type_array);

	for (size_t i = 0, n = is_array ? json_object_array_length(array) : 0; i < n; i++) {
		struct json_object *element = json_object_array_get_idx(array, i);

		if (get(element, key, json_type_string) &&
		    strcmp(field_text(element, key), text) == 0)
			return element;
	}
	return NULL;
}
