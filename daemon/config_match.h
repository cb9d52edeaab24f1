/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which VMs a file of vm.d is for. */

#include "config.h"

bool match_is_empty(const struct match *m);
bool match_fits(const struct match *m, const struct vm *vm); /* an empty match fits nothing */
void match_clear(struct match *m);
void rule_clear(struct rule *r);
