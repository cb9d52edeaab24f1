/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What QEMU's human monitor prints. It is made for people, differs from version to version, and is
 * the VMM's own word. Pure functions on text, so that they can be fuzzed. */

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "parse.h"

/* The next line without its end, CR LF; false at the end of the text. */
bool hmp_next_line(struct scanner *s, struct scanner *ret);

/* A range of guest memory, of a line of `info mtree -f`. */
struct mtree_range {
	gpa_t gpa;
	uint64_t bytes, offset; /* > 0; where it begins in the memory region of that name */
	struct scanner name;	/* not empty, printable ASCII */
	bool is_ram;		/* that the guest may write, and no device's */
	bool is_readonly;	/* ROM, or a device that is read as ROM */
	bool is_slot;		/* KVM has a memslot of just this range */
};

/* The ranges of the guest's memory: of the view that is the address space "memory". The others are
 * of devices, or of a CPU in system management mode. */
struct mtree {
	struct scanner rest;
	bool is_memory, was_memory; /* the view at this line is it; there was one */
	bool has_odd_slot;	    /* a line that ends like that of a slot cannot be read */
};

struct mtree mtree_of(const char *text);
/* The next one; lines that are none are passed over. false: there is none left. */
bool mtree_next(struct mtree *m, struct mtree_range *ret);

/* The answer to `gpa2hva`: the memory region, and where the VMM has the address. false: it is no
 * answer, or to another address. */
bool hmp_read_gpa2hva(const char *text, gpa_t gpa, struct scanner *ret_region, hva_t *ret);
