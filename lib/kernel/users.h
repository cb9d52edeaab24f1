/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which processes have a file open or mapped. For a message only: processes that may not be read,
 * or do not let themselves be read, are not in it, and what the kernel itself holds has no process.
 */

#include <stdbool.h>

#include "sys.h"

struct file_user {
	pid_t pid;
	bool has_open, has_mapped;
};

/* Finds the users of the file behind fd, this process apart. *ret is the caller's to free. 0 or a
 * negative errno. */
int users_find(struct sys *sys, int fd, struct file_user **ret, size_t *ret_n);
