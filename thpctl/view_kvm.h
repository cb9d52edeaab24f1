/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What KVM maps of a VM, and what is wrong with it: for explain and plan. `kvm` is as in status;
 * NULL, where nothing is known, prints nothing. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/* Beside the host's share: what the guest has of it. */
void view_kvm_print(FILE *f, struct json_object *kvm, bool is_raw);

/* A paragraph for each finding. */
void view_kvm_print_findings(FILE *f, struct json_object *kvm, bool is_raw);

/* What the last nudge did, and by which means; nothing where there was none. */
void view_kvm_print_last_nudge(FILE *f, struct json_object *kvm);

/* Of a plan: whether a nudge is due, or why not; nothing where it does not say. */
void view_kvm_print_nudge(FILE *f, struct json_object *plan);
