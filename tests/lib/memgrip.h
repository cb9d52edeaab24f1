/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What others do to a VMM's memory and a collapse meets: pins and userfaultfds.
 *
 * Functions act on the calling process's own memory and return negative errno on failure. Ranges
 * are whole pages.
 */

#include <stdint.h>
#include <sys/types.h>

/* Long-term pin of every page, as device assignment makes it: an io_uring registered buffer. The
 * kernel takes up to 1 GiB in one. Returns a descriptor; closing it ends the pin. */
int memgrip_pin(void *addr, uint64_t bytes);

/* Registers the range with a new userfaultfd; mode is one of UFFDIO_REGISTER_MODE_*. Nothing is
 * write-protected or taken away, so present pages cause no fault. Returns the userfaultfd. */
int memgrip_arm(void *addr, uint64_t bytes, uint64_t mode);

/* The same by a process of its own that keeps the userfaultfd, as during post-copy. It has no other
 * descriptor, forget() unmaps there what it must not hold, and it ends with its parent at the
 * latest. *pager is 0 as long as there is none: -EBUSY if there is one, and -ESRCH if there is none
 * to end. */
typedef void memgrip_forget(void *userdata);
int memgrip_start_pager(pid_t *pager, void *addr, uint64_t bytes, uint64_t mode,
			memgrip_forget *forget, void *userdata);
int memgrip_end_pager(pid_t *pager);
