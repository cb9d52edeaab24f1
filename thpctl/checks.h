/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl doctor: the list of checks, the library's and those on the daemon's VMs. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/* Appends {"id","result","text","cure"} to the report's "checks" and clears its "ok" if the result
 * is "fail". 0 or -ENOMEM. */
int checks_add(struct json_object *report, const char *id, const char *result, const char *text,
	       const char *cure);

/* Adds what the daemon's status tells: guests that can never be huge (fail, with the cure from the
 * reasons table), rights that thpd lacks, problems of its configuration. */
int checks_add_status(struct json_object *report, struct json_object *status,
		      struct json_object *reasons);

bool checks_are_ok(struct json_object *report);
void checks_print(FILE *f, struct json_object *report, bool has_legend);
