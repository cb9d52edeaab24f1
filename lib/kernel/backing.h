/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a mapping is made of, and whether it can be guest RAM. Pure. */

#include "mounts.h"
#include "procfs.h"

/* Guest RAM is read-write data of some size; false for code, stacks, read-only files, holes. */
bool mapping_may_be_ram(const struct maps_line *l, uint64_t min_bytes);

/* From the line of maps alone. hugetlb memory of a memfd looks like shmem here; only smaps tells.
 */
enum backing mapping_backing(const struct maps_line *l, const struct mounts *m);

/* A device-dax mapping by its path: the file name ("dax0.0"), not terminated. */
bool mapping_is_devdax(const struct maps_line *l, struct scanner *ret_name);

/* Code of a library or a loader, by its name ("libc.so.6", "ld-musl-x86_64.so.1"): there is ".so"
 * in the last part of its path. */
bool mapping_is_shared_object(const struct maps_line *l);

/* shmem that obeys the per-size knob (KERNEL 1.3): memfd, SysV, shared anonymous, unlinked files.
 */
bool mapping_is_unlinked_or_memfd(const struct maps_line *l);
