/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is wrong with the configuration, as sentences for the operator. */

#include "config.h"

/* Appends one sentence. What is not printable in it becomes '?', since files may hold anything.
 * From CONFIG_PROBLEMS_MAX on further ones are only hinted at, so that hostile files cannot eat
 * memory. 0 or -ENOMEM. */
int config_problem_add(struct config *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
