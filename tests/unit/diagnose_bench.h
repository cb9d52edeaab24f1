/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A snapshot, and what the diagnosis says of it. */

#include "judged_bench.h"

static inline void run(struct bench *b)
{
	const char *why = "";

	if (snapshot_validate(&b->s, &why) < 0)
		fail_msg("the test's snapshot is not lawful: %s", why);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &b->d), 0);
}

/* One region of 4 blocks at BASE, all blocks seen alike; the only run must say so. */
static inline void expect_one(struct bench *b, enum block_state state, enum reason reason,
			      uint64_t resident)
{
	run(b);
	assert_int_equal(b->d.n_runs, 1);
	assert_string_equal(reason_slug(b->d.runs[0].reason), reason_slug(reason));
	assert_string_equal(block_state_name(b->d.runs[0].state), block_state_name(state));
	assert_int_equal(b->d.runs[0].start, b->s.regions[0].start);
	assert_int_equal(b->d.runs[0].bytes, b->s.regions[0].end - b->s.regions[0].start);
	assert_int_equal(b->d.runs[0].resident_bytes, resident);
}

static inline struct region *four_blocks(struct bench *b, enum backing backing, enum seen seen,
					 uint8_t fill)
{
	struct region *r = build_region(&b->s, BASE, 4 * BLOCK, backing);

	build_sight(&b->s, BASE, 4, seen, fill);
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
