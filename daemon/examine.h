/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One file of a guest: checked, given space, and told about. For preparing.c. */

#include <stdbool.h>
#include <stdint.h>

struct tally {
	uint64_t right, off, given_space; /* files */
};

/* path leads to the file, shown is what it is called in the log. may_give_space: its holes get
 * aligned space if nobody has it open. 0, -EBUSY (somebody has; not logged, since it is tried
 * again), or another negative errno; logged. */
int examine(const char *path, const char *shown, bool may_give_space, struct tally *t);
