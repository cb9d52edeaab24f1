/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A text that grows. A failed allocation is remembered, so that a writer checks once, at the end.
 */

#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* owned; not terminated before text_take() */
	size_t length;
	int error; /* 0 or -ENOMEM; nothing is added after an error */
};

#define TEXT_INIT          \
	{                  \
		NULL, 0, 0 \
	}

void text_add_bytes(struct text *t, const char *bytes, size_t n_bytes);
void text_add(struct text *t, const char *string);
void text_add_u64(struct text *t, uint64_t value);
void text_add_i64(struct text *t, int64_t value);
void text_add_hex(struct text *t, uint64_t value); /* with 0x */

/* A JSON string with its quotes. Each byte is one code point (Latin-1), so that bytes which are no
 * UTF-8 (file names of a hostile process) still give valid JSON, and the same bytes when read
 * back. */
void text_add_json_string(struct text *t, const char *bytes, size_t n_bytes);

/* Hands on the text, terminated, to be freed by the caller; *t is empty again. 0 or -ENOMEM. */
int text_take(struct text *t, char **ret);

void text_clear(struct text *t);
