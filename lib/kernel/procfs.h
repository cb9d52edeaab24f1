/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strict parsers of /proc text. Pure functions on memory, so that they can be fuzzed. A line that
 * does not parse is skipped and counted, never guessed. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "parse.h"
#include "region.h"

struct maps_line {
	hva_t start, end;
	bool is_readable, is_writable, is_executable, is_shared;
	uint64_t offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	const char *path; /* into the text; not terminated */
	size_t path_size;
};

/* One line of maps (or a header line of smaps). false if it is not of that form. */
bool maps_parse_line(struct scanner line, struct maps_line *ret);

/* "VmFlags: rd wr sh ..." of smaps: enum vma_flag mask. false if the line is something else. */
bool smaps_parse_flags(struct scanner line, uint32_t *ret);

/* "Rss:   1234 kB": the key without colon, and bytes. false if the line is something else. */
bool smaps_parse_size(struct scanner line, struct scanner *ret_key, uint64_t *ret_bytes);

struct proc_stat {
	uint64_t minor_faults, starttime, start_code, start_stack, flags;
	uint64_t processor; /* that it ran on last; UINT64_MAX: not told */
};

/* /proc/PID/stat; comm may hold blanks and parentheses. 0 or -EINVAL. */
int stat_parse(const char *text, size_t size, struct proc_stat *ret);
/* /proc/PID/statm. 0 or -EINVAL. */
int statm_parse(const char *text, size_t size, uint64_t *ret_size_pages,
		uint64_t *ret_resident_pages);

/* The next argument of a command line: each ends with a NUL, the last one may lack it. */
bool cmdline_next(struct scanner *s, struct scanner *ret);
/* It is that option of QEMU, which takes one dash or two. */
bool cmdline_is_option(struct scanner argument, const char *name);

/* The next "key=value" or "value" of a QEMU option list; a doubled comma is a comma (and left
 * doubled). */
bool cmdline_next_option(struct scanner *s, struct scanner *ret);

/* Machine name and -uuid out of a QEMU command line (NUL-separated). name: value of -name up to the
 * first comma, or its guest= part. Empty strings where absent. */
void cmdline_parse_qemu(const char *text, size_t size, char *name, size_t name_size, char *uuid,
			size_t uuid_size);

/* Machine name out of a cgroup path: machine.slice/machine-qemu\x2d1\x2dvm1.scope -> "vm1" (systemd
 * escapes undone, the libvirt prefix "qemu-<id>-" taken off). false if the path has no machine
 * scope. */
bool cgroup_parse_machine(const char *path, char *name, size_t name_size);
