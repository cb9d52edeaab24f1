/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names in a directory, without allocating anything: readdir() would, which a scout must not.
 */

#include <stdbool.h>

/* False: no more of them are wanted. */
typedef bool entries_visitor(void *userdata, int dir, const char *name);

/* Calls for every name but hidden ones, "." and "..". 0 or a negative errno. */
int entries_visit(int dir, entries_visitor *visit, void *userdata);
