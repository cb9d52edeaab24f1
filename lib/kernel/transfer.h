/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Copies and compares ranges of files, several megabytes in flight (io_uring, registered buffers),
 * past the page cache where the files allow it. Offsets and sizes are multiples of 4096. */

#include <stdint.h>

struct transfer;

/* 0 or a negative errno (-EPERM: io_uring is forbidden here, see io_uring_disabled). */
int transfer_open(struct transfer **ret);
struct transfer *transfer_close(struct transfer *t);

/* From now on past the page cache, if the file can. */
void transfer_use_direct(int fd);

/* 0 or a negative errno; -ENODATA if a file ends before. */
int transfer_copy(struct transfer *t, int from_fd, uint64_t from_offset, int to_fd,
		  uint64_t to_offset, uint64_t bytes);

/* Copies the last bytes of a file, fewer than 4096, to the same place of another, through the page
 * cache, and brings them to the medium. 0 or a negative errno. */
int transfer_copy_rest(int from_fd, int to_fd, uint64_t offset, uint64_t bytes);

/* As transfer_compare(), of such bytes. */
int transfer_compare_rest(int a_fd, int b_fd, uint64_t offset, uint64_t bytes);

/* 0 equal, 1 not, or a negative errno. */
int transfer_compare(struct transfer *t, int a_fd, uint64_t a_offset, int b_fd, uint64_t b_offset,
		     uint64_t bytes);

/* A number that differs if the data do, but for chance. 0 or a negative errno. */
int transfer_digest(struct transfer *t, int fd, uint64_t offset, uint64_t bytes, uint64_t *ret);
