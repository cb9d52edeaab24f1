/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl explain: in plain words, then run by run, then each reason once with what helps. Also for
 * the answer of `plan --snapshot`. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

/* The first lines. name may be "". With is_part the runs are only those at one address. */
void view_explain_summary(FILE *f, struct json_object *explanation, const char *name, bool is_part,
			  bool is_raw);

/* All of it. 0 or -ENOMEM. */
int view_explain_print(FILE *f, struct json_object *explanation, const struct args *a,
		       bool is_part);
