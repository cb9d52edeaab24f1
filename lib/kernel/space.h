/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Space of a file: taken from the file system and given back. */

#include "cut.h"

/* A file in the directory of `path` that has no name and vanishes with its fd, for root alone. An
 * fd or a negative errno. */
int space_open_unnamed(const char *path);

/* Gives it the name; never replaces one. 0 or a negative errno (-EEXIST). */
int space_name(int fd, const char *path);

/* What others may still take, without the reserve of the file system. 0 or a negative errno. */
int space_free_bytes(int fd, uint64_t *ret);

/* Adds `bytes` to the end of the file, at most `step` of them in one call, all unwritten. 0, also
 * if there was room for a part only, or a negative errno (-ENOSPC: for nothing). */
int space_extend(int fd, uint64_t bytes, uint64_t step);

/* Gives the holes of the range space, wherever it is; the size of the file stays. 0 or a negative
 * errno. */
int space_fill(int fd, uint64_t offset, uint64_t bytes);

/* Opens a hole of that size at `offset`: what was there and behind moves up in the file, and
 * nothing in the device. At the end the file grows. 0 or a negative errno. */
int space_open_hole(int fd, uint64_t offset, uint64_t bytes);

int space_set_size(int fd, uint64_t bytes); /* 0 or a negative errno */

/* Cuts the ranges out and lets the rest move up; a cut at the end shortens the file. 0 or a
 * negative errno: some are cut then. */
int space_cut(int fd, const struct shape *s);

/* Gives a directory an extent size hint that new files inherit; one that is a multiple of it stays.
 * 0, -EOPNOTSUPP (only XFS has them) or another negative errno. */
int space_hint(int fd, uint64_t bytes);

/* All of the file is on the medium. 0 or a negative errno. */
int space_sync(int fd);
