/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where configuration files are and how they are read. */

#include "config.h"

enum { CONFIG_MASKED = 1 };

/* Reads a whole regular file of at most CONFIG_FILE_MAX_BYTES into malloc'ed memory (terminated).
 * Returns 0; CONFIG_MASKED for a link to /dev/null; a negative errno, with *ret_why (static) saying
 * what is wrong with the file where an errno cannot. Never blocks on a FIFO. */
int config_file_read(const char *path, char **ret, size_t *ret_size, const char **ret_why);

/* Directories to search, highest first. */
struct config_roots {
	const char *const *dirs;
	size_t n_dirs;
};

/* The first root/name that exists in any form, malloc'ed; *ret NULL if there is none. 0, -ENOMEM.
 */
int config_file_find(const struct config_roots *roots, const char *name, char **ret);

/* Paths of subdir/ *.conf below the roots, sorted by file name; of equal names the highest root's.
 * Unreadable directories are named in c->problems. *ret and its strings are malloc'ed. 0, -ENOMEM.
 */
int config_file_list(struct config *c, const struct config_roots *roots, const char *subdir,
		     char ***ret, size_t *ret_n);
void config_file_list_free(char **paths, size_t n);
