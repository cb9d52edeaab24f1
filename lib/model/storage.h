/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a file lies on: file system, device, and what of them decides where its extents go. */

#include <stdbool.h>
#include <stdint.h>

enum filesystem {
	FILESYSTEM_OTHER = 0,
	FILESYSTEM_XFS,
	FILESYSTEM_EXT4, /* and what else its driver mounts */
};

/* A fact that may not be known. */
enum answer { ANSWER_UNKNOWN = 0, ANSWER_NO, ANSWER_YES, ANSWER_MAX };

const char *answer_name(enum answer answer); /* "unknown", "no", "yes" */

struct storage {
	enum filesystem filesystem;
	char filesystem_name[16]; /* as mountinfo calls it; "" if not known */
	char device[64];	  /* as sysfs calls it: "pmem0p1"; "" if not known */
	uint64_t block_bytes;	  /* of the file system */
	uint64_t stripe_bytes;	  /* stripe unit the allocator goes by; 0: none */
	enum answer is_dax;	  /* this inode is mapped directly now (STATX_ATTR_DAX) */
	enum answer can_dax;	  /* the device can */
	/* Where byte 0 of the file system is: in memory for persistent memory, else in the disk. */
	bool is_base_known;
	uint64_t base_bytes;
	uint64_t partition_start_bytes; /* part of base_bytes */
	uint64_t namespace_align_bytes; /* of persistent memory; 0: not known, or none */
};
