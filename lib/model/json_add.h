/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Building JSON without losing a value when memory is short. */

#include <json-c/json.h>
#include <stdint.h>

/* Each takes value over, on failure too; a NULL value is memory that was short. 0 or -ENOMEM. */
int json_add(struct json_object *object, const char *key, struct json_object *value);
int json_append(struct json_object *array, struct json_object *value);

int json_add_text(struct json_object *object, const char *key, const char *text);
int json_add_u64(struct json_object *object, const char *key, uint64_t value);
int json_add_address(struct json_object *object, const char *key, uint64_t address); /* "0x..." */
int json_add_bool(struct json_object *object, const char *key, int value);

/* Hands on the object if it was filled (r == 0), else frees it. */
struct json_object *json_filled(struct json_object *object, int r);
