/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The guest: flat 32-bit code without paging, so that a guest-physical address is a pointer, below
 * 4 GiB. It steps once through a range and hands back to the host through an I/O port.
 *
 * What it has to do and what it saw stand in one page that host and guest share, all of it in the
 * guest's byte order, which is the host's. The word that belongs at an address is address ^
 * generation; a write that is lost leaves a word of an earlier generation.
 */

#include <stdint.h>

/* Home: where the guest's own two pages are. The code is in a page of its own, since writes beside
 * code make an emulator translate it anew each time. */
enum {
	GUEST_CODE = 0x1000,
	GUEST_PAGE = 0x2000,
	GUEST_HOME_BYTES = 0x2000,
	GUEST_HOME_PAGES = 2, /* KVM maps them by two of 4 KiB */
	GUEST_PORT = 0x10,
};

enum guest_op {
	GUEST_STORE,  /* writes the word, and reads nothing before */
	GUEST_UPDATE, /* reads, compares, writes the next generation's; on fresh memory every step
		       * is a mismatch */
	GUEST_CHECK,  /* reads and compares */
	GUEST_CALL,   /* executes in each page, at GUEST_CALLED, and leaves its word alone */
	GUEST_NEST,   /* runs a guest of its own, once: what it needs is at first (nest.h) */
};

enum { GUEST_CALLED = 8, GUEST_TIMES = 32 };

/* The code knows these offsets. */
struct guest_page {
	uint32_t first, end, stride; /* guest-physical, bytes */
	uint32_t generation;	     /* one more after each pass of updates */
	uint32_t op;		     /* enum guest_op */
	uint32_t steps, mismatches, passes;
	uint64_t slowest; /* of all steps, in ticks of the time-stamp counter */
	/* How many steps took 2^i ticks, and less than 2^(i+1). */
	uint32_t took[GUEST_TIMES];
};

/* The code's first and last byte. */
extern const uint8_t guest_code[], guest_code_end[];
