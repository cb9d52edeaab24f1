/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Laws of the core on thousands of random snapshots. Fixed seeds: a failure names its seed. */

#include "plan.h"
#include "snapshot_builder.h"

#define LAW(seed, condition)                                                               \
	do {                                                                               \
		if (!(condition))                                                          \
			fail_msg("seed %llu: %s", (unsigned long long)(seed), #condition); \
	} while (0)

struct round {
	uint64_t seed;
	struct snapshot s;
	struct diagnosis d;
	struct plan p;
	struct plan_limits limits;
	struct interval_set refused; /* which limits may name */
};

/* What is thought of the snapshot, and done about it within the limits. */
static inline void round_decide(struct round *r)
{
	LAW(r->seed, diagnose(&r->s, r->s.taken_ns, &r->d) == 0);
	LAW(r->seed, plan_make(&r->s, &r->d, &r->limits, &r->p) == 0);
}

static inline void round_clear(struct round *r)
{
	interval_set_clear(&r->refused);
	snapshot_clear(&r->s);
	diagnosis_clear(&r->d);
	plan_clear(&r->p);
}

static inline void for_all_rounds(uint64_t n, void (*begin)(struct round *r, uint64_t seed),
				  void (*law)(const struct round *r))
{
	for (uint64_t seed = 1; seed <= n; seed++) {
		struct round r;

		begin(&r, seed);
		law(&r);
		round_clear(&r);
	}
}
