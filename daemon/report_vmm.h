/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is told of the program that runs a VM, and which way there is to what it is not asked. */

#include <json-c/json.h>

#include "guest.h"

/* Adds vmm, libvirt, static_vmm and logged_for_life to the object of a VM. */
void report_vmm(struct json_object *o, const struct vm *vm);

struct json_object *report_hint(const struct guest *g); /* NULL: nothing lacks */
