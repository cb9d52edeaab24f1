/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Lays the text of one file over a configuration. */

#include "config.h"

/* What every key is when no file says otherwise. 0 or -ENOMEM. */
int config_set_defaults(struct config *c);

/* thpd.conf or a file of thpd.conf.d: sets values in c. file is kept as the origin of values and
 * must live as long as c. text (size bytes) is changed. 0 or -ENOMEM. */
int config_apply_main(struct config *c, const char *file, char *text, size_t size);

/* A file of vm.d: appends a rule whose policy starts as c's. Call it after all main files. 0 or
 * -ENOMEM. */
int config_apply_rule(struct config *c, const char *file, char *text, size_t size);
