/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

void text_add_bytes(struct text *t, const char *bytes, size_t n_bytes)
{
	void *data = t->data;

	if (t->error < 0 || n_bytes == 0)
		return;
	t->error = array_reserve(&data, t->length, n_bytes, 1);
	if (t->error < 0)
		return;
	t->data = data;
	memcpy(t->data + t->length, bytes, n_bytes);
	t->length += n_bytes;
}

void text_add(struct text *t, const char *string)
{
	text_add_bytes(t, string, strlen(string));
}

void text_add_u64(struct text *t, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
	text_add(t, digits);
}

void text_add_i64(struct text *t, int64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, value);
	text_add(t, digits);
}

void text_add_hex(struct text *t, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "0x%" PRIx64, value);
	text_add(t, digits);
}

static void add_json_byte(struct text *t, char c)
{
	char escape[8];

	if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
		text_add_bytes(t, &c, 1);
		return;
	}
	(void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned int)(unsigned char)c);
	text_add(t, escape);
}

void text_add_json_string(struct text *t, const char *bytes, size_t n_bytes)
{
	text_add(t, "\"");
	for (size_t i = 0; i < n_bytes; i++)
		add_json_byte(t, bytes[i]);
	text_add(t, "\"");
}

int text_take(struct text *t, char **ret)
{
	int r;

	text_add_bytes(t, "", 1);
	r = t->error;
	if (r == 0) {
		*ret = t->data;
		t->data = NULL;
	}
	text_clear(t);
	return r;
}

void text_clear(struct text *t)
{
	free(t->data);
	*t = (struct text)TEXT_INIT;
}
