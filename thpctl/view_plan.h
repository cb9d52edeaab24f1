/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl plan: the actions that would come next. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

int view_plan_print(FILE *f, struct json_object *plan, const struct args *a); /* 0 or -ENOMEM */
