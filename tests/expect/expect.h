/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Kernel assumptions as programs: TAP on stdout, a forked "VMM" that does as it is told, collapse
 * from outside, and the few things needed to put memory into special states.
 *
 * Setup that fails is not an assumption that fails: it ends the program with "Bail out!", exit 1.
 * What the kernel or the machine cannot do is a SKIP that names what is missing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "memstate.h"

/* TAP */
typedef struct expect {
	unsigned int planned, done, failed;
	int lock_fd; /* shared lock: nobody has a THP knob pushed while we run */
} expect;

/* Prints the plan and waits until no other test has a sysfs knob pushed. Where nothing can be asked
 * at all (not root, no THP, kernel < 6.1) it skips the whole plan and exits. */
expect expect_begin(unsigned int planned);
void expect_ok(expect *t, bool is_ok, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* got and want are numbers or negative errno; errno names appear in the reason of a failure. */
void expect_is(expect *t, int64_t got, int64_t want, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void expect_skip(expect *t, const char *missing, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Skips all that is left of the plan and returns the exit status. */
int expect_skip_rest(expect *t, const char *missing);
int expect_end(expect *t);
void expect_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Setup step: ends the program if r is negative, returns it otherwise. */
int64_t expect_setup(int64_t r, const char *what);
/* "EINVAL" for -EINVAL, else the number; the buffer is the caller's. */
const char *expect_errno_name(int64_t r, char buffer[24]);

/* uname -r below major.minor. For facts that no feature check can tell. */
bool expect_kernel_before(int major, int minor);
/* PAGEMAP_SCAN exists (6.7+); without it single blocks of a VMA cannot be told apart. */
bool expect_has_scan(void);

/* Forked process that stands for a VMM. It dies with the test. Functions run in it by address: it
 * is a fork, so they are there. A function returns a number or negative errno. */
typedef int64_t expect_fn(const uint64_t arg[4]);

typedef struct expect_target {
	pid_t pid;
	int pidfd, sock;
	int fd;	       /* the test's own fd of the memfd behind addr; -EBADF: anonymous */
	uint8_t *addr; /* in the target */
	uint64_t bytes;
} expect_target;

enum expect_kind { EXPECT_MEMFD, EXPECT_ANON };

expect_target expect_target_start(void);
/* A target that has mapped blocks of memory; nothing is touched yet. */
expect_target expect_target_holding(enum expect_kind kind, uint64_t blocks, uint64_t skew_bytes);
/* Maps fd with mmap() flags in a target; addr, bytes and fd of the target are of this mapping then.
 * The fd must have been open before the target was started. */
void expect_target_map_fd(expect_target *target, int fd, uint64_t bytes, uint64_t skew_bytes,
			  int flags);
/* The target becomes `sleep`: same pid, another mm. Only pid and pidfd are of use afterwards. */
void expect_target_exec(expect_target *target);
int64_t expect_target_run(expect_target *target, expect_fn *fn, const uint64_t arg[4]);
void expect_target_stop(expect_target *target);

#define EXPECT_RUN(target, fn, ...) \
	expect_target_run((target), (fn), (const uint64_t[4]){__VA_ARGS__})

/* Things to run in a target. Arguments: address, bytes, and one more where named. */
expect_fn expect_fill;	/* seed */
expect_fn expect_check; /* seed */
expect_fn expect_make_huge, expect_make_pte_mapped;
expect_fn expect_read;	   /* touches each page for reading */
expect_fn expect_madvise;  /* advice */
expect_fn expect_pin;	   /* long-term pin by an io_uring registered buffer; returns the ring fd */
expect_fn expect_unpin;	   /* ring fd as first argument */
expect_fn expect_prctl;	   /* option, arg2, arg3 */
expect_fn expect_arm_uffd; /* UFFDIO_REGISTER mode; returns the uffd, which stays open */

/* Blocks of the target's memory by number. run_blocks passes address, bytes and extra to fn. */
uint8_t *expect_block(const expect_target *target, uint64_t index);
int64_t expect_run_blocks(expect_target *target, expect_fn *fn, uint64_t index, uint64_t count,
			  uint64_t extra);
/* 1 or 0: the block is PMD-mapped in the target */
int64_t expect_is_huge(expect_target *target, uint64_t index);
int64_t expect_count_huge(expect_target *target);
/* PFN of the block's first page; ends the program where PFNs are hidden */
int64_t expect_pfn(const expect_target *target, uint64_t index);
int64_t expect_count_present(const expect_target *target, uint64_t index, uint64_t count);

/* fill with small pages, and fail the setup if any is huge */
void expect_target_fill(expect_target *target);

/* process_madvise(MADV_COLLAPSE): bytes the kernel says it processed, or negative errno. EAGAIN is
 * given only if it stays for 20 ms. */
int64_t expect_collapse(const expect_target *target, const void *addr, uint64_t bytes);
int64_t expect_collapse_blocks(const expect_target *target, uint64_t index, uint64_t count);
/* Tries until it returns want or ten seconds are over: for states that end asynchronously. */
int64_t expect_collapse_until(const expect_target *target, uint64_t index, uint64_t count,
			      int64_t want);
int64_t expect_collapse_iov(int pidfd, const struct iovec *iov, uint64_t count, int advice);

/* Undoing, come what may: a guardian process waits until it is told or the test is gone, however it
 * ended (SIGKILL too), and then runs undo(path, value), which returns 0 or negative errno. */
typedef struct expect_guard {
	pid_t pid;
	int pipe_fd;
} expect_guard;

typedef int expect_undo_fn(const char *path, const char *value);

expect_guard expect_guard_start(expect_undo_fn *undo, const char *path, const char *value);
void expect_guard_release(expect_guard *guard); /* runs undo now; no-op if never started */

/* Sets a sysfs knob until popped; a guard puts the old value back, an exclusive lock keeps other
 * tests away meanwhile. -ENOENT: no such knob. */
int expect_knob_push(expect *t, expect_guard *ret_guard, const char *path, const char *value);
void expect_knob_pop(expect *t, expect_guard *guard);
