/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The seam between thpd and the kernel. Files are read below rootfd (openat), so that a recorded
 * host is a test; what is not a file goes through ops, so that a model kernel can answer. Both are
 * used from several threads at once. */

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "region.h"

/* PAGEMAP_SCAN (Linux 6.7), include/uapi/linux/fs.h; repeated here because Debian 12's headers are
 * older. */
enum {
	PAGE_WPALLOWED = 1 << 0,
	PAGE_WRITTEN = 1 << 1,
	PAGE_FILE = 1 << 2,
	PAGE_PRESENT = 1 << 3,
	PAGE_SWAPPED = 1 << 4,
	PAGE_PFNZERO = 1 << 5,
	PAGE_HUGE = 1 << 6,
	PAGE_SOFT_DIRTY = 1 << 7,
	PAGE_GUARD = 1 << 8,
};

struct page_region { /* ABI */
	uint64_t start, end, categories;
};

struct pm_scan_arg { /* ABI */
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct hole;
struct sys;

/* Each returns a negative errno on failure. `pid` tells a model whose memory it is; the real kernel
 * goes by the fd, and answers -EACCES where the fd is negative (it could not be opened). */
struct sys_ops {
	int (*pidfd_open)(struct sys *sys, pid_t pid);
	int (*pidfd_is_alive)(struct sys *sys, int pidfd); /* 1 alive, 0 gone */
	/* process_madvise(MADV_COLLAPSE) of one range; bytes advised, or -errno. */
	ssize_t (*collapse)(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes);
	/* Gives the file that the process held by dirfd maps there one small page at the block's
	 * start, if the whole block is a hole in it (hole.h). 0 or -errno. */
	int (*seed_hole)(struct sys *sys, int dirfd, pid_t pid, const struct hole *hole);
	/* PAGEMAP_SCAN; number of regions filled. */
	int (*pagemap_scan)(struct sys *sys, int pagemap_fd, pid_t pid, struct pm_scan_arg *arg);
	/* pread of n 8-byte pagemap entries from page index first_page; entries read. 0 entries:
	 * the mm behind the fd is gone. */
	ssize_t (*pagemap_read)(struct sys *sys, int pagemap_fd, pid_t pid, uint64_t first_page,
				uint64_t *entries, size_t n);
	/* pread of n entries of /proc/kpageflags. */
	ssize_t (*kpageflags_read)(struct sys *sys, pfn_t first, uint64_t *flags, size_t n);
	/* move_pages(2): nodes NULL asks where the n pages are. status: a node or -errno for each.
	 * 0, the number of pages that did not move, or -errno. Goes by the pid: who calls makes
	 * sure that the process is still there afterwards. */
	long (*move_pages)(struct sys *sys, pid_t pid, size_t n, const hva_t *pages,
			   const int *nodes, int *status, int flags);
	uint64_t (*now_ns)(struct sys *sys);			    /* CLOCK_MONOTONIC */
	uint64_t (*page_bytes)(struct sys *sys);		    /* sysconf(_SC_PAGESIZE) */
	int (*release)(struct sys *sys, char *buffer, size_t size); /* uname -r */
};

struct sys {
	int rootfd;	   /* "/" or the top of a recorded tree; owned */
	int kpageflags_fd; /* owned; -EBADF without the right */
	const struct sys_ops *ops;
	void *userdata;
};

#define SYS_INIT                                          \
	{                                                 \
		.rootfd = -EBADF, .kpageflags_fd = -EBADF \
	}

extern const struct sys_ops sys_real_ops;

int sys_open_host(struct sys *ret); /* the running host: rootfd "/", real ops. 0 or -errno */
void sys_close(struct sys *sys);

/* Reads a whole small file below dirfd (sys->rootfd or a held /proc/PID) into buffer,
 * NUL-terminated. Returns the length, -EFBIG if it does not fit, or another -errno. O_NOFOLLOW on
 * the last component. */
ssize_t sys_read_at(int dirfd, const char *path, char *buffer, size_t size);

/* Reads a file of unknown size (maps, smaps), up to max bytes, into malloc'ed NUL-terminated
 * memory. 0, -EFBIG (longer than max), or -errno. */
int sys_read_all_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size);
int sys_read_all(int fd, size_t max, char **ret, size_t *ret_size); /* the same of an open file */

/* Opens what an O_PATH fd holds (flags: how), now that it is known what it is; never waits for the
 * other end of a FIFO. An fd or -errno. */
int sys_reopen(int held_fd, int flags);

/* A file that holds one number, in decimal or, with 0x, in hexadecimal, as sysfs has them. 0,
 * -EINVAL or another -errno. */
int sys_read_number_at(int dirfd, const char *path, uint64_t *ret);

/* Link target, NUL-terminated, truncated to size. Length or -errno. */
ssize_t sys_readlink_at(int dirfd, const char *path, char *buffer, size_t size);

/* A directory below dirfd, as an fd, without allocating anything; -errno. */
int sys_open_directory_at(int dirfd, const char *path);
/* The same, for readdir(). 0 or -errno. */
int sys_opendir_at(int dirfd, const char *path, DIR **ret);
