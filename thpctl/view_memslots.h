/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl memslots: where guest memory is in the guest and in the VMM, and what KVM can map huge. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "args.h"

/* Somebody told thpd the memslots. */
bool view_memslots_are_known(struct json_object *table);

int view_memslots_print(FILE *f, struct json_object *table,
			const struct args *a); /* 0 or -ENOMEM */

/* Why there is no table, and what to do. */
void view_memslots_print_unknown(FILE *f, struct json_object *table);
