/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fields.h"

#include <string.h>

static uint64_t load_uint(const void *at, size_t size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

/* Sign-extends what was loaded. */
static int64_t load_int(const void *at, size_t size)
{
	unsigned int spare_bits = (unsigned int)(64 - 8 * size);

	return (int64_t)(load_uint(at, size) << spare_bits) >> spare_bits;
}

struct writer {
	struct text *text;
	bool is_pretty; /* members and elements on lines of their own, but each element on one */
	unsigned int depth;
};

static void write_object(struct writer w, const struct shape *shape, const char *object);

static void write_newline(struct writer w)
{
	if (!w.is_pretty)
		return;
	text_add(w.text, "\n");
	for (unsigned int i = 0; i < w.depth; i++)
		text_add(w.text, "  ");
}

static void write_item_begin(struct writer w, bool is_first)
{
	if (!is_first)
		text_add(w.text, ",");
	write_newline(w);
}

static void write_string(struct writer w, const char *string)
{
	text_add_json_string(w.text, string, strlen(string));
}

static void write_elements(struct writer w, const struct field *f, const char *object)
{
	uint64_t n = load_uint(object + f->count_offset, f->count_size);
	const char *base = object + f->offset;
	struct writer inner = {w.text, w.is_pretty, w.depth + 1};

	if (f->type == FIELD_LIST)
		base = *(char *const *)base;
	text_add(w.text, "[");
	for (uint64_t i = 0; i < n; i++) {
		write_item_begin(inner, i == 0);
		write_object((struct writer){w.text, false, 0}, f->shape,
			     base + i * f->shape->size);
	}
	if (n > 0)
		write_newline(w);
	text_add(w.text, "]");
}

static void write_text(struct writer w, const struct field *f, const char *at)
{
	if (f->type == FIELD_WORD)
		write_string(w, f->word((unsigned int)load_uint(at, f->size)));
	else if (f->type == FIELD_TEXT)
		text_add_json_string(w.text, at, strnlen(at, f->size));
	else if (*(char *const *)at)
		write_string(w, *(char *const *)at);
	else
		text_add(w.text, "null");
}

static void write_value(struct writer w, const struct field *f, const char *object)
{
	const char *at = object + f->offset;

	switch (f->type) {
	case FIELD_UINT:
		text_add_u64(w.text, load_uint(at, f->size));
		break;
	case FIELD_INT:
		text_add_i64(w.text, load_int(at, f->size));
		break;
	case FIELD_ADDRESS:
		text_add(w.text, "\"");
		text_add_hex(w.text, load_uint(at, f->size));
		text_add(w.text, "\"");
		break;
	case FIELD_BOOL:
		text_add(w.text, *(const bool *)at ? "true" : "false");
		break;
	case FIELD_WORD:
	case FIELD_TEXT:
	case FIELD_STRING:
		write_text(w, f, at);
		break;
	case FIELD_STRUCT:
		write_object(w, f->shape, at);
		break;
	case FIELD_ARRAY:
	case FIELD_LIST:
		write_elements(w, f, object);
		break;
	}
}

static void write_key(struct writer w, const char *key, bool is_first)
{
	write_item_begin(w, is_first);
	write_string(w, key);
	text_add(w.text, w.is_pretty ? ": " : ":");
}

static void write_object(struct writer w, const struct shape *shape, const char *object)
{
	struct writer inner = {w.text, w.is_pretty, w.depth + 1};

	text_add(w.text, "{");
	if (shape->version > 0) {
		write_key(inner, "version", true);
		text_add_u64(w.text, shape->version);
	}
	for (size_t i = 0; i < shape->n_fields; i++) {
		write_key(inner, shape->fields[i].key, i == 0 && shape->version == 0);
		write_value(inner, &shape->fields[i], object);
	}
	write_newline(w);
	text_add(w.text, "}");
}

void fields_write(struct text *t, const struct shape *shape, const void *object, bool pretty)
{
	write_object((struct writer){t, pretty, 0}, shape, object);
}
