/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which VM of a status a word names, for verbs that the daemon does not choose for. */

#include <json-c/json.h>
#include <stddef.h>

/* As the daemon finds VMs: a pid goes before names and UUIDs. 0 with *ret (owned by status),
 * -ENOENT, or -ENOTUNIQ. */
int choice_find(struct json_object *status, const char *who, struct json_object **ret);

/* What there is to say of an error of choice_find(); printable. */
void choice_problem(int r, struct json_object *status, const char *who, char *text, size_t size);
