/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a Firecracker was told at its start: whether KVM logs all that the guest writes. */

#include <stddef.h>

#include "process.h"
#include "storage.h"

/* A configuration has some kilobytes, with a CPU template some hundred. */
enum { FIRECRACKER_CONFIG_BYTES_MAX = 256 << 10 };

/* Reads the file that --config-file of the held process names, as that process would find it, if
 * it could read it as the user `uid` that it runs as. YES: the file says so. NO: it does not, and
 * nobody can have told the process otherwise (--no-api). UNKNOWN: everything else. May wait
 * (process.h), also for the file system that has the file. */
enum answer firecracker_is_logged_for_life(const struct process *p, uid_t uid);

/* The file's text, for tests. YES; NO: it does not say so; UNKNOWN: it is no such file. */
enum answer firecracker_read_config(const char *text, size_t size);
