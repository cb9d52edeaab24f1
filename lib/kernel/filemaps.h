/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mappings of a file in all processes that can be read. */

#include "mapping.h"
#include "sys.h"

/* *ret is the caller's to free. How much is huge is known from Linux 6.7 on, with the right to read
 * the process's pagemap. Waits for a process that does not let itself be read only if it answered a
 * moment ago. 0 or a negative errno. */
int filemaps_read(struct sys *sys, int fd, struct mapping **ret, size_t *ret_n);
