/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A write lease, which ends with its fd: proof by the kernel that nobody else has the file open or
 * mapped, and whoever opens it waits (fcntl(2), F_SETLEASE; for at most
 * /proc/sys/fs/lease-break-time seconds, then the lease is gone). */

#include <stdbool.h>

/* 0; -EAGAIN: somebody else has it open or mapped; -EACCES: neither owner nor CAP_LEASE; or another
 * negative errno. */
int lease_take(int fd);

/* Nobody has come since it was taken. */
bool lease_is_undisturbed(int fd);

/* The same, and nobody came for some time: whoever had found the file before its name led elsewhere
 * has come by then. */
bool lease_stays_undisturbed(int fd);
