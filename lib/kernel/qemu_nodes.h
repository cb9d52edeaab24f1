/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "node_set.h"

/* To which nodes a QEMU command line (NUL-separated) binds the guest's memory: host-nodes= of its
 * memory backends with policy=bind or interleave, in either form of -object, all together. Empty if
 * there is none, or if some backend is not bound: then it is free to move. What a hostile process
 * writes there decides about its own memory alone. */
node_set_t qemu_bound_nodes(const char *text, size_t size);
