/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared memory that is huge before anybody uses it. */

#include <stdint.h>

enum { PREALLOC_MAX_THREADS = 64 };

/* The number of threads unless told otherwise: as many as this process has CPUs, 8 at most. */
unsigned int prealloc_threads(void);

/* Fills what is empty in the whole 2 MiB blocks of [start, start + bytes) and maps them huge; no
 * byte changes. For a writable shared mapping of tmpfs memory whose addresses agree with its file
 * offsets modulo 2 MiB. threads: of this process, the caller's included; without more to be had it
 * works alone. Blocks signals and joins its threads before it returns; errno is what it was.
 *
 * 0: all of it is huge. Else what was not made huge is used as ever, and this is why:
 * -ENOMEM no huge page is free; -EBUSY the cgroup is full; -EINVAL the kernel does not do it;
 * -EAGAIN some pages are held by others; -EFAULT the file ends before, or its file system is full.
 */
int prealloc_huge(void *start, uint64_t bytes, unsigned int threads);
