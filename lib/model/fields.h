/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Structs as JSON by tables: a row says where a member is, what it is and what it is called;
 * writing and reading walk the same rows, so they cannot disagree. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum field_type {
	FIELD_UINT = 0, /* uint8_t .. uint64_t, by size: a number */
	FIELD_INT,	/* int8_t .. int64_t, by size: a number */
	FIELD_ADDRESS,	/* uint64_t: a string "0x..." */
	FIELD_BOOL,
	FIELD_WORD,   /* an enum, or a uint8_t that holds one: a string */
	FIELD_TEXT,   /* char[size], terminated: a string */
	FIELD_STRING, /* char *, owned: a string, or null */
	FIELD_STRUCT, /* a struct of `shape`: an object */
	FIELD_ARRAY,  /* struct[max] in place, with a count: an array */
	FIELD_LIST,   /* struct *, owned, grown by array.h, with a count: an array */
};

struct shape;

struct field {
	const char *key;
	const char *why; /* what is said when it is wrong, or required and missing */
	enum field_type type;
	bool is_required;
	size_t offset, size;
	const char *(*word)(unsigned int value); /* FIELD_WORD */
	unsigned int n_words;			 /* FIELD_WORD */
	const struct shape *shape; /* FIELD_STRUCT, of an element for _ARRAY and _LIST */
	size_t count_offset, count_size, max_elements; /* FIELD_ARRAY, FIELD_LIST */
};

struct shape {
	size_t size;
	const void *initial;  /* an element before it is read: what is missing stays like this */
	unsigned int version; /* member "version", written first and required; 0 = none */
	const struct field *fields;
	size_t n_fields;
};

/* Appends *object as a JSON object. Pretty: a line for each member, and for each element. */
void fields_write(struct text *t, const struct shape *shape, const void *object, bool pretty);

/* Reads the object `json` (struct json_object of json-c) into *object, which the caller has set to
 * what missing members shall be; unknown keys are skipped. On failure *object is in part read and
 * can be cleared by its owner. 0, -EINVAL (with *why) or -ENOMEM. */
struct json_object;
int fields_read(struct json_object *json, const struct shape *shape, void *object,
		const char **why);
