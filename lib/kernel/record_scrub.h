/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Takes out of recorded texts what tells who the machines are, and leaves what decisions rest on:
 * backings, device numbers, addresses, flags. Pure: text in, text out. `n` numbers the VM. */

#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* maps and smaps: paths of mappings. */
void scrub_maps(struct text *out, const char *text, size_t size);
/* One path as maps or a link below fd shows it. */
void scrub_path(struct text *out, const char *path, size_t size, uint64_t inode);
/* status: only what thpd reads; user ids become 0 or 1000. */
void scrub_status(struct text *out, const char *text, size_t size, const char *comm);
/* stat: the name in parentheses. */
void scrub_stat(struct text *out, const char *text, size_t size, const char *comm);
/* cgroup: paths become machine scopes or plain directories of made-up names. */
void scrub_cgroup(struct text *out, const char *text, size_t size, unsigned n);
/* cmdline of QEMU: program, name and UUID only. */
void scrub_cmdline(struct text *out, const char *text, size_t size, const char *comm, unsigned n);
/* mountinfo: device numbers, types and dax options stay, and where kernel file systems are. */
void scrub_mountinfo(struct text *out, const char *text, size_t size);
/* Names of known VMMs stay, others become "vmm". Static text. */
const char *scrub_comm(const char *comm);
