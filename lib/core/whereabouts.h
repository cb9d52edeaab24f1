/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the memory of a VM lies, against where it should, and what is to be said about that. Pure.
 */

#include "home_piece.h"
#include "run.h"

enum whereabouts_verdict {
	WHEREABOUTS_UNKNOWN = 0, /* its home is not known */
	WHEREABOUTS_HOME,	 /* nothing worth a move lies outside of its home */
	WHEREABOUTS_WIDE,	 /* the same, and its home is several nodes (home.rule) */
	WHEREABOUTS_REMOTE,
	WHEREABOUTS_MAX,
};

const char *whereabouts_verdict_name(enum whereabouts_verdict verdict);

struct whereabouts_finding {
	enum reason reason;
	int16_t node; /* that it is about; -1: none */
	uint64_t bytes;
	unsigned int distance; /* of the node from where most of it belongs; 0: not known */
};

enum { WHEREABOUTS_FINDINGS_MAX = 8 };

struct whereabouts {
	struct home home;
	uint64_t by_node[NODE_SET_MAX]; /* resident bytes that were seen there */
	uint64_t unknown_bytes;		/* resident, on no known node */
	/* On the nodes that it belongs to (home_piece.h), and on others; where the home is known.
	 */
	uint64_t home_bytes, remote_bytes;
	uint64_t remote_by_node[NODE_SET_MAX];
	enum whereabouts_verdict verdict;
	/* The largest of a kind first; beyond the bound the smallest are left out. Of what is
	 * remote only if that is the verdict. */
	struct whereabouts_finding findings[WHEREABOUTS_FINDINGS_MAX];
	size_t n_findings;
};

/* free_reserve_bytes: what the budget leaves alone of each node's free blocks. What is not counted
 * (sights with an unknown fill, but for whole folios) is in no sum. */
struct whereabouts whereabouts_of(const struct snapshot *s, const struct diagnosis *d,
				  uint64_t free_reserve_bytes);
