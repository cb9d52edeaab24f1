/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl numa: on which nodes the memory of each VM lies, where it belongs, and what is wrong. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

/* What the view is made of and --json prints: {"host":{"nodes","numa_balancing"},"vms":[{"name",
 * "pid","numa"}]}, null for what the daemon did not tell; only the VMs that a->words name, or all
 * if there are none. NULL if memory is short. */
struct json_object *view_numa_reduce(struct json_object *status, const struct args *a);

/* Prints it; reasons as thpd_reasons() gives them, or NULL. 0 or -ENOMEM. */
int view_numa_print(FILE *f, struct json_object *numa, struct json_object *reasons,
		    const struct args *a);
