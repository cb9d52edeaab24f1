/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What others do to a VMM's memory and a collapse meets: pins and userfaultfds.
 *
 * Each function acts on the calling process's own memory and returns a descriptor (>= 0) or
 * negative errno; closing the descriptor, and every copy of it, undoes it. Ranges are whole pages.
 */

#include <stdint.h>
#include <sys/types.h>

/* Long-term pin of every page, as device assignment makes it: an io_uring registered buffer. The
 * kernel takes up to 1 GiB in one. */
int memgrip_pin(void *addr, uint64_t bytes);

/* Registers the range with a new userfaultfd; mode is one of UFFDIO_REGISTER_MODE_*. Nothing is
 * write-protected or taken away, so present pages cause no fault. */
int memgrip_arm(void *addr, uint64_t bytes, uint64_t mode);

/* Hands a userfaultfd to a process of its own, as post-copy does, and closes it here. In the child
 * every other descriptor is closed and forget() unmaps what it must not hold; it ends when it is
 * killed or its parent ends. Returns its pid, to be reaped with memgrip_end_pager(). */
typedef void memgrip_forget(void *userdata);
pid_t memgrip_start_pager(int uffd, memgrip_forget *forget, void *userdata);
void memgrip_end_pager(pid_t pager);
