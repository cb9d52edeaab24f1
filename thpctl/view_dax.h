/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What `dax check` says of a file. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

int view_dax_print(FILE *f, struct json_object *report, const struct args *a); /* 0 or -errno */
