/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line is the process's own memory: reading /proc/PID/cmdline faults there, and a
 * hostile process can let that fault wait for as long as it likes (a FUSE file mapped over its
 * arguments). So a child reads it, with nothing open but what it needs, and nobody waits for the
 * child longer than a tenth of a second. */

#include "process.h"

/* 0 with malloc'ed text (NUL-terminated behind size bytes, NULs inside); -ETIMEDOUT; -EFBIG above
 * max; -errno. */
int cmdline_read(const struct process *p, size_t max, char **ret, size_t *ret_size);
