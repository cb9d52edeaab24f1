/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The judgement on a run of equal neighbouring blocks, and the sums over a VM. */

#include <stddef.h>

#include "address.h"
#include "reason.h"

enum block_state {
	BLOCK_HUGE = 0,
	BLOCK_REMAPPABLE,
	BLOCK_COPYABLE,
	BLOCK_SPARSE, /* held back by policy */
	BLOCK_EMPTY,
	BLOCK_SWAPPED,
	BLOCK_BARRED,
	BLOCK_UNKNOWN,
	BLOCK_STATE_MAX,
};

const char *block_state_name(enum block_state state);

struct run {
	hva_t start;
	uint64_t bytes; /* whole blocks, except for the edges of a VMA (hva-too-short) */
	enum block_state state;
	enum reason reason;
	int16_t node;
	uint64_t resident_bytes;   /* UINT64_MAX: not counted */
	uint32_t region;	   /* index into the snapshot */
	uint64_t misaligned_bytes; /* misaligned-mapping: how far the mapping is off */
};

/* A range whose pages should be counted before a decision is made: diagnose() asks, the caller
 * looks. */
struct want {
	hva_t start, end;
	bool is_for_action; /* a copy depends on it; else only a report does */
};

struct totals {
	uint64_t ram_bytes;		    /* all regions */
	uint64_t resident_bytes;	    /* the sum of the resident parts below */
	uint64_t huge_bytes;		    /* PMD-mapped */
	uint64_t by_state[BLOCK_STATE_MAX]; /* resident bytes; BLOCK_EMPTY: mapped-range bytes;
					       BLOCK_SWAPPED: swapped bytes + residue */
	uint64_t by_reason[REASON_MAX];	    /* same bytes, by reason */
	/* Range bytes of what is barred and never looked at; part of uncounted_bytes. */
	uint64_t uncounted_barred_bytes, uncounted_by_reason[REASON_MAX];
	uint64_t uncounted_bytes; /* range bytes whose residency is not counted yet; not part of the
				     sums */
};

struct diagnosis {
	struct run *runs; /* owned; sorted by start */
	size_t n_runs;
	struct want *wants; /* owned; sorted by start */
	size_t n_wants;
	struct totals totals;
};

#define DIAGNOSIS_INIT \
	{              \
		0      \
	}

void diagnosis_clear(struct diagnosis *d);
