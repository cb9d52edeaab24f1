/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* thpctl status: one row a VM. */

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

#include "args.h"
#include "table.h"

enum { STATUS_COLUMNS = 12 };

extern const struct table_column view_status_columns[STATUS_COLUMNS];

/* The row of one element of "vms". */
void view_status_row(struct json_object *vm, const struct args *a, uint64_t now_us,
		     struct table_row *ret);

/* The reason that bars most of the VM's memory, or "" if none does. Owned by vm. */
const char *view_status_main_bar(struct json_object *vm);

/* Prints table and notes. 0 or -ENOMEM. */
int view_status_print(FILE *f, struct json_object *status, const struct args *a, uint64_t now_us);
