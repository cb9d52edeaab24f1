/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* What mmap() was asked for. */
struct place_request {
	void *addr;
	size_t bytes;
	int prot, flags, fd;
	off_t offset;
};

/* Maps it at a start where huge pages are possible. NULL: it is not one of those mappings, or there
 * is no such place; nothing has changed then, errno included. */
void *place_aligned(const struct place_request *q);
