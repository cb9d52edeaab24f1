/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "array.h"
#include "parse.h"

static void store_uint(void *at, size_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(uint64_t *)at = value;
	}
}

static unsigned int spare_bits(size_t size)
{
	return (unsigned int)(64 - 8 * size);
}

static const struct field version_row = {
	.key = "version",
	.type = FIELD_UINT,
	.size = sizeof(unsigned int),
};

/* -EINVAL without a reason: the caller says which member it was. */

static int read_uint(struct json_object *json, const struct field *f, void *at)
{
	uint64_t value;

	/* json-c makes 0 of a negative number that is asked for as unsigned. */
	if (!json_object_is_type(json, json_type_int) || json_object_get_int64(json) < 0)
		return -EINVAL;
	value = json_object_get_uint64(json);
	if (value > UINT64_MAX >> spare_bits(f->size))
		return -EINVAL;
	store_uint(at, f->size, value);
	return 0;
}

static int read_int(struct json_object *json, const struct field *f, void *at)
{
	int64_t value, limit = INT64_MAX >> spare_bits(f->size);

	if (!json_object_is_type(json, json_type_int))
		return -EINVAL;
	value = json_object_get_int64(json);
	/* Beyond INT64_MAX json-c saturates. */
	if (value > limit || value < -limit - 1 ||
	    (value > 0 && (uint64_t)value != json_object_get_uint64(json)))
		return -EINVAL;
	store_uint(at, f->size, (uint64_t)value);
	return 0;
}

static int read_bool(struct json_object *json, void *at)
{
	if (!json_object_is_type(json, json_type_boolean))
		return -EINVAL;
	*(bool *)at = json_object_get_boolean(json);
	return 0;
}

/* Undoes text_add_json_string(): UTF-8 to one byte a code point, at most 255, never 0. dst has room
 * for n bytes. The length, or -EINVAL. */
static int decode_string(const char *utf8, size_t n, char *dst)
{
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char byte = (unsigned char)utf8[i];

		if (byte >= 0x80) {
			if ((byte & 0xfe) != 0xc2 || i + 1 == n || (utf8[i + 1] & 0xc0) != 0x80)
				return -EINVAL;
			byte = (unsigned char)(byte << 6 | (utf8[++i] & 0x3f));
		}
		if (byte == 0)
			return -EINVAL;
		dst[length++] = (char)byte;
	}
	return (int)length;
}

static int read_string(struct json_object *json, char **ret)
{
	size_t n;
	int length;
	char *string;

	if (!json_object_is_type(json, json_type_string))
		return -EINVAL;
	n = (size_t)json_object_get_string_len(json);
	string = malloc(n + 1);
	if (!string)
		return -ENOMEM;
	length = decode_string(json_object_get_string(json), n, string);
	if (length < 0) {
		free(string);
		return length;
	}
	string[length] = '\0';
	*ret = string;
	return 0;
}

static int find_word(const struct field *f, const char *word, void *at)
{
	for (unsigned int i = 0; i < f->n_words; i++) {
		if (strcmp(f->word(i), word) != 0)
			continue;
		store_uint(at, f->size, i);
		return 0;
	}
	return -EINVAL;
}

static int find_address(const struct field *f, const char *text, void *at)
{
	uint64_t value;

	if (strncmp(text, "0x", 2) != 0 || parse_hex_u64(text, &value) < 0)
		return -EINVAL;
	store_uint(at, f->size, value);
	return 0;
}

static int copy_text(const struct field *f, const char *text, char *at)
{
	size_t length = strlen(text);

	if (length >= f->size)
		return -EINVAL;
	memcpy(at, text, length + 1);
	return 0;
}

static int read_text(struct json_object *json, const struct field *f, void *at)
{
	char *text = NULL;
	int r = read_string(json, &text);

	if (r < 0)
		return r;
	if (f->type == FIELD_WORD)
		r = find_word(f, text, at);
	else if (f->type == FIELD_ADDRESS)
		r = find_address(f, text, at);
	else
		r = copy_text(f, text, at);
	free(text);
	return r;
}

static int read_optional_string(struct json_object *json, char **at)
{
	char *string = NULL;
	int r = json ? read_string(json, &string) : 0;

	if (r < 0)
		return r;
	free(*at);
	*at = string;
	return 0;
}

/* The count grows with the elements read, so that a failure in the middle leaves something whole to
 * be cleared. */
static int read_elements(struct json_object *json, const struct field *f, char *object,
			 const char **why)
{
	size_t n, size = f->shape->size;
	char *base = object + f->offset;

	if (!json_object_is_type(json, json_type_array))
		return -EINVAL;
	n = json_object_array_length(json);
	if (n > f->max_elements)
		return -EINVAL;
	if (f->type == FIELD_LIST) {
		int r = array_reserve((void **)base, 0, n, size);

		if (r < 0)
			return r;
		base = *(char **)base;
	}
	for (size_t i = 0; i < n; i++) {
		int r;

		memcpy(base + i * size, f->shape->initial, size);
		store_uint(object + f->count_offset, f->count_size, i + 1);
		r = fields_read(json_object_array_get_idx(json, i), f->shape, base + i * size, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_value(struct json_object *json, const struct field *f, char *object,
		      const char **why)
{
	char *at = object + f->offset;

	switch (f->type) {
	case FIELD_UINT:
		return read_uint(json, f, at);
	case FIELD_INT:
		return read_int(json, f, at);
	case FIELD_BOOL:
		return read_bool(json, at);
	case FIELD_ADDRESS:
	case FIELD_WORD:
	case FIELD_TEXT:
		return read_text(json, f, at);
	case FIELD_STRING:
		return read_optional_string(json, (char **)at);
	case FIELD_STRUCT:
		return fields_read(json, f->shape, at, why);
	case FIELD_ARRAY:
	case FIELD_LIST:
		return read_elements(json, f, object, why);
	}
	return -EINVAL;
}

static bool is_version(struct json_object *json, unsigned int expected)
{
	struct json_object *value;
	unsigned int version;

	return json_object_object_get_ex(json, version_row.key, &value) &&
	       read_uint(value, &version_row, &version) == 0 && version == expected;
}

static int read_member(struct json_object *json, const struct field *f, char *object,
		       const char **why)
{
	struct json_object *value = NULL;
	const char *inner_why = f->why;
	int r = 0;

	if (json_object_object_get_ex(json, f->key, &value))
		r = read_value(value, f, object, &inner_why);
	else if (f->is_required)
		r = -EINVAL;
	if (r < 0)
		*why = inner_why;
	return r;
}

int fields_read(struct json_object *json, const struct shape *shape, void *object, const char **why)
{
	int r = 0;

	if (!json_object_is_type(json, json_type_object))
		return -EINVAL;
	if (shape->version > 0 && !is_version(json, shape->version)) {
		*why = "version: missing, or not one that this thpd reads";
		return -EINVAL;
	}
	for (size_t i = 0; r == 0 && i < shape->n_fields; i++)
		r = read_member(json, &shape->fields[i], object, why);
	return r;
}
