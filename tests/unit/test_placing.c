/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves to another node, one by one: planned, confirmed, verified. When a VM's memory is moved at
 * all: test_mover.c. */
#include <errno.h>
#include <time.h>

#include "confirm.h"
#include "plan.h"
#include "sights.h"
#include "snapshot_builder.h"
#include "verify.h"

#define SECOND UINT64_C(1000000000)

enum { N0 = 1 << 0, N1 = 1 << 1, N2 = 1 << 2 };

struct bench {
	struct snapshot s, after; /* of the latter only the sights count */
	struct plan_limits limits;
	struct plan p;
	struct interval_set refused;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	build_begin(&b->after);
	build_region(&b->s, BASE, 64 * BLOCK, BACKING_SHMEM);
	b->limits = (struct plan_limits){
		.copy_allowance_bytes = UINT64_MAX,
		.home.nodes = N0,
		.place_allowance_bytes = UINT64_MAX,
		.refused = &b->refused,
	};
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	interval_set_clear(&b->refused);
	plan_clear(&b->p);
	snapshot_clear(&b->s);
	snapshot_clear(&b->after);
	free(b);
	return 0;
}

static void see(struct snapshot *s, uint32_t block, uint32_t blocks, enum seen seen, int16_t node)
{
	build_sight(s, BASE + block * BLOCK, blocks, seen, FILL_FULL)->node = node;
}

/* ---- plan ---- */

static void make(struct bench *b)
{
	struct diagnosis d = DIAGNOSIS_INIT;

	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	assert_int_equal(plan_make(&b->s, &d, &b->limits, &b->p), 0);
	diagnosis_clear(&d);
}

static void expect_action(const struct bench *b, size_t i, enum action_kind kind, uint64_t block,
			  uint64_t blocks)
{
	assert_true(i < b->p.n_actions);
	assert_string_equal(action_kind_name(b->p.actions[i].kind), action_kind_name(kind));
	assert_int_equal(b->p.actions[i].target.start, BASE + block * BLOCK);
	assert_int_equal(b->p.actions[i].target.bytes, blocks * BLOCK);
}

static void test_what_is_huge_goes_before_what_is_small(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_SMALL, 1);
	see(&b->s, 2, 1, SEEN_HUGE, 1);
	see(&b->s, 3, 1, SEEN_HUGE, 0); /* at home */
	see(&b->s, 4, 2, SEEN_FOLIO, 2);
	see(&b->s, 6, 3, SEEN_HUGE, 1);
	see(&b->s, 9, 1, SEEN_SMALL, 0);
	see(&b->s, 10, 1, SEEN_FOLIO, 0);
	see(&b->s, 11, 1, SEEN_FOLIO, -1); /* nobody knows where */
	make(b);
	assert_int_equal(b->p.n_actions, 6);
	expect_action(b, 0, ACTION_REMAP, 4, 2); /* moves when it is huge */
	expect_action(b, 1, ACTION_REMAP, 10, 2);
	expect_action(b, 2, ACTION_PLACE, 2, 1);
	expect_action(b, 3, ACTION_PLACE, 6, 3);
	expect_action(b, 4, ACTION_PLACE, 0, 2);
	expect_action(b, 5, ACTION_COPY, 9, 1);
	assert_int_equal(b->p.place_bytes, 6 * BLOCK);
	assert_int_equal(b->p.deferred_place_bytes, 0);
}

static void test_moves_are_complete(void **state)
{
	struct bench *b = *state;

	b->limits.first_id = 9;
	b->limits.home.nodes = N0 | N2;
	b->limits.place_node = 2;
	see(&b->s, 0, 1, SEEN_HUGE, 1);
	see(&b->s, 1, 1, SEEN_PAGES, 1); /* its folios cannot be told */
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct action *a = &b->p.actions[i];

		expect_action(b, i, ACTION_PLACE, i, 1);
		assert_int_equal(a->id, 9 + i);
		assert_int_equal(a->node, 2);
		assert_int_equal(a->target.pid, 4242);
		assert_int_equal(a->target.starttime, 77);
		assert_int_equal(a->gain_bytes, BLOCK);
		assert_int_equal(a->cost_ns, BLOCK / 1024 * 640);
		assert_string_equal(action_name(a), "place");
	}
}

static void test_moves_are_bounded_as_copies_are(void **state)
{
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = 3 * BLOCK;
	b->s.policy.remap_call_bytes = BLOCK;
	b->s.vm.memcg_headroom_bytes = 0; /* they charge nothing to it */
	see(&b->s, 0, 5, SEEN_HUGE, 1);
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 3);
	expect_action(b, 1, ACTION_PLACE, 3, 2);
	b->s.policy.copy_call_bytes = UINT64_MAX;
	b->s.sights[0].blocks = 40;
	b->s.sights[0].present_pages *= 8;
	make(b);
	expect_action(b, 0, ACTION_PLACE, 0, 32); /* 64 MiB */
	expect_action(b, 1, ACTION_PLACE, 32, 8);
}

static void test_moves_come_out_of_both_allowances(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 6, SEEN_HUGE, 1);
	see(&b->s, 6, 6, SEEN_SMALL, 0);
	b->limits.place_allowance_bytes = 4 * BLOCK + 1;
	b->limits.copy_allowance_bytes = 7 * BLOCK;
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 4);
	expect_action(b, 1, ACTION_COPY, 6, 3);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 3 * BLOCK);
	b->limits.copy_allowance_bytes = 2 * BLOCK;
	make(b);
	assert_int_equal(b->p.copy_bytes, 0);
	assert_int_equal(b->p.deferred_copy_bytes, 6 * BLOCK);
}

static void test_what_waits_for_its_move_is_not_copied_before(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_SMALL, 1);
	see(&b->s, 2, 2, SEEN_FOLIO, 1);
	b->limits.place_allowance_bytes = 0;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_REMAP, 2, 2);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 0);
}

static void test_what_was_refused_is_made_huge_where_it_is(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 8, SEEN_SMALL, 1);
	assert_int_equal(interval_set_add(&b->refused, BASE - BLOCK, BASE + BLOCK), 0);
	assert_int_equal(interval_set_add(&b->refused, BASE + 3 * BLOCK, BASE + 4 * BLOCK), 0);
	assert_int_equal(interval_set_add(&b->refused, BASE + 7 * BLOCK, BASE + 20 * BLOCK), 0);
	make(b);
	assert_int_equal(b->p.n_actions, 5);
	expect_action(b, 0, ACTION_PLACE, 1, 2);
	expect_action(b, 1, ACTION_PLACE, 4, 3);
	expect_action(b, 2, ACTION_COPY, 0, 1);
	expect_action(b, 3, ACTION_COPY, 3, 1);
	expect_action(b, 4, ACTION_COPY, 7, 1);
}

/* What is not remapped would be outside for ever, and the move without an end. */
static void test_what_may_not_be_remapped_moves_as_it_is(void **state)
{
	struct bench *b = *state;

	b->s.policy.may_remap = false;
	see(&b->s, 0, 2, SEEN_FOLIO, 1);
	see(&b->s, 2, 2, SEEN_FOLIO, 0);
	see(&b->s, 4, 1, SEEN_SMALL, 1);
	see(&b->s, 5, 2, SEEN_FOLIO, 1);
	assert_int_equal(interval_set_add(&b->refused, BASE + BLOCK, BASE + 2 * BLOCK), 0);
	make(b);
	assert_int_equal(b->p.n_actions, 3);
	expect_action(b, 0, ACTION_PLACE, 0, 1);
	expect_action(b, 1, ACTION_PLACE, 5, 2);
	expect_action(b, 2, ACTION_PLACE, 4, 1);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* A VMM chooses how many pieces of its memory stay: each second block of 128 GiB. A plan is made in
 * the event loop, so it may not cost much more than the diagnosis. */
static void test_many_refusals_are_cheap(void **state)
{
	enum { MANY = 65536 };
	struct bench *b = *state;
	struct diagnosis d = DIAGNOSIS_INIT;
	uint64_t began_ns, judged_ns, planned_ns;

	b->s.regions[0].end = BASE + MANY * BLOCK;
	for (uint32_t i = 0; i < MANY; i++) {
		see(&b->s, i, 1, SEEN_HUGE, i % 2);
		if (i % 2)
			assert_int_equal(interval_set_add(&b->refused, BASE + i * BLOCK,
							  BASE + (i + 1) * BLOCK),
					 0);
	}
	began_ns = cpu_ns();
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	judged_ns = cpu_ns();
	assert_int_equal(plan_make(&b->s, &d, &b->limits, &b->p), 0);
	planned_ns = cpu_ns();
	assert_int_equal(b->p.n_actions, 0);
	assert_true(planned_ns - judged_ns < 20 * (judged_ns - began_ns));
	diagnosis_clear(&d);
}

static void test_what_never_goes(void **state)
{
	static const enum backing backings[] = {BACKING_FSDAX, BACKING_DEVDAX, BACKING_HUGETLB,
						BACKING_FILE,  BACKING_SECRET, BACKING_SPECIAL};
	static const uint32_t flags[] = {VMA_FLAG_HT, VMA_FLAG_PF, VMA_FLAG_IO, VMA_FLAG_MM};
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_HUGE, 1);
	build_sight(&b->s, BASE + 2 * BLOCK, 2, SEEN_SMALL, 8)->node = 1;
	build_sight(&b->s, BASE + 4 * BLOCK, 2, SEEN_SWAPPED, 0)->node = 1;
	build_sight(&b->s, BASE + 6 * BLOCK, 2, SEEN_NOTHING, 0)->node = 1;
	build_sight(&b->s, BASE + 8 * BLOCK, 2, SEEN_SMALL, FILL_UNKNOWN)->node = 1;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_PLACE, 0, 2);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		b->s.regions[0].flags = flags[i];
		make(b);
		assert_int_equal(b->p.n_actions, 0);
	}
	b->s.regions[0].flags = 0;
	b->s.sights[0].node = NODE_SET_MAX; /* is no known node */
	make(b);
	assert_int_equal(b->p.n_actions, 0);
	b->s.sights[0].node = 1;
	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		b->s.regions[0].backing = backings[i];
		make(b);
		assert_int_equal(b->p.n_actions, 0);
		assert_int_equal(b->p.deferred_place_bytes, 0);
	}
}

static void test_nothing_moves_unless_full_and_not_paused(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_HUGE, 1);
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	b->s.policy.is_paused = true;
	make(b);
	assert_int_equal(b->p.n_actions, 0);
	b->s.policy.is_paused = false;
	for (int mode = MODE_REPORT; mode < MODE_MAX; mode++) {
		b->s.policy.mode = (enum mode)mode;
		make(b);
		assert_int_equal(b->p.n_actions, 0);
	}
}

static void test_moves_count_against_the_number_of_actions(void **state)
{
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = BLOCK;
	b->limits.max_actions = 3;
	see(&b->s, 0, 5, SEEN_HUGE, 1);
	see(&b->s, 5, 1, SEEN_SMALL, 0);
	make(b);
	assert_int_equal(b->p.n_actions, 3);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, BLOCK);
}

/* ---- sights ---- */

static void test_bytes_on_a_node(void **state)
{
	struct bench *b = *state;
	const struct sight *v;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->s, 4, 2, SEEN_SMALL, 0);
	see(&b->s, 8, 4, SEEN_SMALL, 1);
	v = b->s.sights;
	assert_int_equal(sights_bytes_on(v, 3, 1, BASE, BASE + 64 * BLOCK, &geometry_4k),
			 8 * BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 1, BASE + 3 * BLOCK, BASE + 9 * BLOCK, &geometry_4k),
			 2 * BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 0, BASE, BASE + 5 * BLOCK, &geometry_4k), BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 2, BASE, BASE + 64 * BLOCK, &geometry_4k), 0);
	assert_int_equal(
		sights_bytes_on(v, 3, 1, BASE + 12 * BLOCK, BASE + 64 * BLOCK, &geometry_4k), 0);
	assert_int_equal(sights_bytes_on(NULL, 0, 1, BASE, BASE + BLOCK, &geometry_4k), 0);
}

/* ---- confirm ---- */

static const struct action place_of_four = {
	.id = 5,
	.kind = ACTION_PLACE,
	.target = {.pid = 4242, .starttime = 77, .start = BASE, .bytes = 4 * BLOCK}};

static bool is_confirmed(const struct bench *b)
{
	return action_is_confirmed(&place_of_four, b->s.sights, b->s.n_sights, 10000, &geometry_4k);
}

static void test_a_move_is_confirmed_while_something_is_elsewhere(void **state)
{
	struct bench *b = *state;

	assert_false(is_confirmed(b)); /* nothing was seen */
	see(&b->s, 0, 3, SEEN_HUGE, 0);
	assert_false(is_confirmed(b));
	see(&b->s, 3, 1, SEEN_SMALL, -1);
	assert_false(is_confirmed(b));
	b->s.sights[1].node = 1;
	assert_true(is_confirmed(b));
	b->s.sights[1].fill = FILL_UNKNOWN; /* how much of it is there is all the same */
	b->s.sights[1].flags = SIGHT_SWAP;
	assert_true(is_confirmed(b));
}

/* ---- verify ---- */

static struct verdict verify(const struct bench *b, int err)
{
	const struct outcome o = {.action = 5, .err = err};

	return verify_action(&place_of_four, &o, b->s.sights, b->s.n_sights, b->after.sights,
			     b->after.n_sights, &geometry_4k);
}

static void expect(const struct bench *b, int err, enum effect effect, uint64_t placed,
		   enum reason reason)
{
	struct verdict v = verify(b, err);

	assert_int_equal(v.action, 5);
	assert_string_equal(effect_name(v.effect), effect_name(effect));
	assert_int_equal(v.placed_bytes, placed);
	assert_string_equal(reason_slug(v.reason), reason_slug(reason));
	assert_int_equal(v.refilled_bytes, 0);
}

static void test_what_counts_is_where_the_blocks_are(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 4, SEEN_HUGE, 0);
	expect(b, 0, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
	expect(b, EBUSY, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
	assert_int_equal(verify(b, 0).huge_bytes_delta, 0);
	b->after.sights[0].node = 2; /* a node, but not this one */
	expect(b, 0, EFFECT_NONE, 0, REASON_PINNED_SUSPECTED);
	b->after.sights[0].node = 0;
	b->after.sights[0].blocks = 3;
	see(&b->after, 3, 1, SEEN_HUGE, 1);
	expect(b, EBUSY, EFFECT_PARTIAL, 3 * BLOCK, REASON_PINNED_SUSPECTED);
	b->s.sights[0].node = 0; /* it was there, and went */
	expect(b, 0, EFFECT_WORSE, 0, REASON_PINNED_SUSPECTED);
}

static void test_why_memory_stays(void **state)
{
	static const struct {
		int err;
		enum reason reason;
	} rows[] = {
		{0, REASON_PINNED_SUSPECTED},	   {EBUSY, REASON_PINNED_SUSPECTED},
		{EAGAIN, REASON_PINNED_SUSPECTED}, {ENOMEM, REASON_NODE_FULL},
		{ESRCH, REASON_VANISHED},	   {EPERM, REASON_NO_PERMISSION},
		{EACCES, REASON_NO_PERMISSION},	   {EINVAL, REASON_KERNEL_REFUSED},
	};
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 4, SEEN_HUGE, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(b, rows[i].err, EFFECT_NONE, 0, rows[i].reason);
	b->after.n_sights = 0; /* the second look failed */
	expect(b, 0, EFFECT_NONE, 0, REASON_NOT_LOOKED_YET);
	expect(b, ENOMEM, EFFECT_NONE, 0, REASON_NODE_FULL);
	assert_int_equal(verify(b, 0).huge_bytes_delta, 0);
	b->s.sights[0].node = 0;
	expect(b, 0, EFFECT_NONE, 0, REASON_NOT_LOOKED_YET);
}

static void test_a_move_that_breaks_huge_pages_is_worse(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 3, SEEN_HUGE, 0);
	see(&b->after, 3, 1, SEEN_SMALL, 0);
	expect(b, 0, EFFECT_WORSE, 4 * BLOCK, REASON_NODE_FULL);
	v = verify(b, 0);
	assert_int_equal(v.huge_bytes_delta, -(int64_t)BLOCK);
	b->after.sights[1].node = 1;
	expect(b, EBUSY, EFFECT_WORSE, 3 * BLOCK, REASON_PINNED_SUSPECTED);
}

/* What the guest gave back on the way was not refused, and is not worse. */
static void test_what_was_given_back_meanwhile_is_not_missed(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 3, SEEN_HUGE, 0);
	build_sight(&b->after, BASE + 3 * BLOCK, 1, SEEN_NOTHING, 0)->node = -1;
	expect(b, 0, EFFECT_DONE, 3 * BLOCK, REASON_NONE);
	assert_int_equal(verify(b, 0).huge_bytes_delta, -(int64_t)BLOCK);
}

static void test_only_the_target_is_verified(void **state)
{
	struct bench *b = *state;

	build_sight(&b->s, BASE - 2 * BLOCK, 8, SEEN_HUGE, FILL_FULL)->node = 1;
	build_sight(&b->after, BASE - 2 * BLOCK, 8, SEEN_HUGE, FILL_FULL)->node = 0;
	expect(b, 0, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_huge_goes_before_what_is_small),
		TEST(test_moves_are_complete),
		TEST(test_moves_are_bounded_as_copies_are),
		TEST(test_moves_come_out_of_both_allowances),
		TEST(test_what_waits_for_its_move_is_not_copied_before),
		TEST(test_what_was_refused_is_made_huge_where_it_is),
		TEST(test_what_may_not_be_remapped_moves_as_it_is),
		TEST(test_many_refusals_are_cheap),
		TEST(test_what_never_goes),
		TEST(test_nothing_moves_unless_full_and_not_paused),
		TEST(test_moves_count_against_the_number_of_actions),
		TEST(test_bytes_on_a_node),
		TEST(test_a_move_is_confirmed_while_something_is_elsewhere),
		TEST(test_what_counts_is_where_the_blocks_are),
		TEST(test_why_memory_stays),
		TEST(test_a_move_that_breaks_huge_pages_is_worse),
		TEST(test_what_was_given_back_meanwhile_is_not_missed),
		TEST(test_only_the_target_is_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
