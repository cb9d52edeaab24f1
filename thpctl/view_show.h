/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl show: a VM, its policy, its regions. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

int view_show_print(FILE *f, struct json_object *show, const struct args *a); /* 0 or -ENOMEM */
