/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* On which NUMA nodes pages are, and moving them, by the bare call: what it says is what the kernel
 * said. pid 0 is the caller. */

#include <stdint.h>
#include <sys/types.h>

/* What the status of a page holds where the kernel did not write it. */
enum { MEMNODE_UNWRITTEN = -9999 };

/* Where the page at addr is: a node, the negative errno in its status, or that of the call. */
int64_t memnode_of(pid_t pid, const void *addr);

/* Moves n pages, `step` bytes from one to the next, to one node. flags: MPOL_MF_MOVE (2),
 * MPOL_MF_MOVE_ALL (4). ret_status: one for each page. 0, how many did not move, or -errno. */
int64_t memnode_move(pid_t pid, const void *addr, uint64_t n, uint64_t step, int node, int flags,
		     int *ret_status);

enum { MEMNODE_MOVE = 2, MEMNODE_MOVE_ALL = 4 };

/* A node with memory other than `node`; -ENOENT. */
int memnode_other_than(int node);
