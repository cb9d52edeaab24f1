/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A VM that just started, and what is thought of its holes. */

#include "confirm.h"
#include "governor.h"
#include "ledger.h"
#include "plan.h"
#include "populate.h"
#include "snapshot_builder.h"
#include "verify.h"

#include <errno.h>

#define S   UINT64_C(1000000000)
#define NOW (1000 * S)

struct bench {
	struct snapshot s;
	struct populate_history h;
	struct ledger l;
	struct diagnosis d;
	struct plan p;
};

/* A VM of eight blocks, two seconds old, of which nothing was touched. */
static inline int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	b->s.taken_ns = NOW;
	b->s.vm.age_ns = 2 * S;
	b->s.policy.populate = POPULATE_HUGE;
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_NOTHING, 0);
	*state = b;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	populate_clear(&b->h);
	ledger_clear(&b->l);
	diagnosis_clear(&b->d);
	plan_clear(&b->p);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static inline void look(struct bench *b)
{
	assert_int_equal(populate_observe(&b->h, &b->s, NOW), 0);
}

static inline void expect_held(struct bench *b, uint64_t now_ns, enum reason reason)
{
	assert_string_equal(reason_slug(populate_held(&b->h, &b->s, now_ns)), reason_slug(reason));
}

static inline void decide(struct bench *b, uint64_t allowance)
{
	const struct plan_limits limits = {.copy_allowance_bytes = allowance};

	b->s.populate_held = populate_held(&b->h, &b->s, NOW);
	assert_int_equal(diagnose(&b->s, NOW, &b->d), 0);
	assert_int_equal(plan_make(&b->s, &b->d, &limits, &b->p), 0);
}

static inline void expect_reason(struct bench *b, enum reason reason)
{
	decide(b, UINT64_MAX);
	assert_int_equal(b->d.n_runs, 1);
	assert_int_equal(b->d.runs[0].state, BLOCK_EMPTY);
	assert_string_equal(reason_slug(b->d.runs[0].reason), reason_slug(reason));
	assert_int_equal(b->p.n_actions, reason == REASON_TO_POPULATE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
