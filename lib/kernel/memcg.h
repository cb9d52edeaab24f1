/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much a memory cgroup has left. */

#include "mounts.h"

/* Reads /proc/PID/cgroup. The path in a hierarchy with memory limits ("" if none), and whether that
 * is the unified one. *ret_machine is the path that names a machine best (may be another
 * hierarchy's). Buffers of `size` bytes. 0 or -errno. */
int memcg_read_paths(const struct process *p, char *ret_path, char *ret_machine, size_t size,
		     bool *ret_is_unified);

/* Pure half of the above. */
void memcg_parse_paths(const char *text, char *ret_path, char *ret_machine, size_t size,
		       bool *ret_is_unified);

/* The smallest (limit - use) over the process's memory cgroup and its parents; UINT64_MAX: no
 * limit, or not known. */
uint64_t memcg_read_headroom(struct sys *sys, const struct process *p, const struct mounts *m);
