/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Fields of the daemon's JSON. What is missing or of another kind is unknown, never zero. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true and *ret set if the field is a number that fits. */
bool field_u64(struct json_object *o, const char *key, uint64_t *ret);

/* 0 if unknown: for sums only. */
uint64_t field_u64_or_0(struct json_object *o, const char *key);

/* An address: a number or "0x..." text. */
bool field_address(struct json_object *o, const char *key, uint64_t *ret);

bool field_is_true(struct json_object *o, const char *key);

/* "" if unknown. Owned by o; not fit for a terminal as it is. */
const char *field_text(struct json_object *o, const char *key);

/* The same as cells of a table: "-" if unknown. */
void field_cell(struct json_object *o, const char *key, char *cell, size_t size);
void field_cell_bytes(struct json_object *o, const char *key, bool is_raw, char *cell, size_t size);
void field_cell_address(struct json_object *o, const char *key, char *cell, size_t size);

/* The member if it is an object or an array, else NULL. */
struct json_object *field_object(struct json_object *o, const char *key);
struct json_object *field_array(struct json_object *o, const char *key);
size_t field_array_length(struct json_object *array); /* 0 for NULL */

/* The first element of an array whose member is that text; NULL if there is none, or no array. */
struct json_object *field_find(struct json_object *array, const char *key, const char *text);
