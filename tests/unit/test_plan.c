/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan.h"
#include "snapshot_builder.h"

#include <errno.h>

struct bench {
	struct snapshot s;
	struct plan p;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	plan_clear(&b->p);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static void make_within(struct bench *b, const struct plan_limits *limits)
{
	struct diagnosis d = DIAGNOSIS_INIT;

	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	assert_int_equal(plan_make(&b->s, &d, limits, &b->p), 0);
	diagnosis_clear(&d);
}

static void make(struct bench *b)
{
	const struct plan_limits limits = {.copy_allowance_bytes = UINT64_MAX, .first_id = 7};

	make_within(b, &limits);
}

static void expect_action(const struct bench *b, size_t i, enum action_kind kind, uint64_t block,
			  uint64_t blocks)
{
	assert_true(i < b->p.n_actions);
	assert_string_equal(action_kind_name(b->p.actions[i].kind), action_kind_name(kind));
	assert_int_equal(b->p.actions[i].target.start, BASE + block * BLOCK);
	assert_int_equal(b->p.actions[i].target.bytes, blocks * BLOCK);
}

static void test_remaps_first_and_larger_first(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 16 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 4, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + 4 * BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN);
	build_sight(&b->s, BASE + 5 * BLOCK, 1, SEEN_HUGE, FILL_FULL);
	build_sight(&b->s, BASE + 6 * BLOCK, 3, SEEN_FOLIO, FILL_UNKNOWN);
	build_sight(&b->s, BASE + 9 * BLOCK, 1, SEEN_NOTHING, 0);
	build_sight(&b->s, BASE + 10 * BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN);
	build_sight(&b->s, BASE + 11 * BLOCK, 2, SEEN_SMALL, FILL_FULL);
	make(b);
	assert_int_equal(b->p.n_actions, 5);
	expect_action(b, 0, ACTION_REMAP, 6, 3);
	expect_action(b, 1, ACTION_REMAP, 4, 1);
	expect_action(b, 2, ACTION_REMAP, 10, 1);
	expect_action(b, 3, ACTION_COPY, 0, 4);
	expect_action(b, 4, ACTION_COPY, 11, 2);
	assert_int_equal(b->p.remap_bytes, 5 * BLOCK);
	assert_int_equal(b->p.copy_bytes, 6 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 0);
}

static void test_actions_are_complete(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 1, SEEN_SMALL, FILL_FULL)->node = 1;
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN)->node = 1;
	make(b);
	assert_int_equal(b->p.actions[0].id, 7);
	assert_int_equal(b->p.actions[1].id, 8);
	assert_int_equal(b->p.actions[0].target.pid, 4242);
	assert_int_equal(b->p.actions[0].target.starttime, 77);
	assert_int_equal(b->p.actions[0].node, 1);
	assert_int_equal(b->p.actions[0].gain_bytes, BLOCK);
	assert_true(b->p.actions[0].cost_ns > 0);
	assert_true(b->p.actions[1].cost_ns > 20 * b->p.actions[0].cost_ns);
}

static void test_calls_are_bounded(void **state)
{
	struct bench *b = *state;

	b->s.policy.remap_call_bytes = 3 * BLOCK + 1;
	b->s.policy.copy_call_bytes = 2 * BLOCK;
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 3, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + 3 * BLOCK, 5, SEEN_FOLIO, FILL_UNKNOWN);
	make(b);
	assert_int_equal(b->p.n_actions, 4);
	expect_action(b, 0, ACTION_REMAP, 3, 3);
	expect_action(b, 1, ACTION_REMAP, 6, 2);
	expect_action(b, 2, ACTION_COPY, 0, 2);
	expect_action(b, 3, ACTION_COPY, 2, 1);
}

static void test_policy_cannot_lift_the_bounds_of_a_call(void **state)
{
	struct bench *b = *state;

	b->s.policy.remap_call_bytes = b->s.policy.copy_call_bytes = UINT64_MAX;
	build_region(&b->s, BASE, 1024 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 1024, SEEN_FOLIO, FILL_UNKNOWN);
	build_region(&b->s, BASE + 2048 * BLOCK, 64 * BLOCK, BACKING_ANON);
	build_sight(&b->s, BASE + 2048 * BLOCK, 64, SEEN_SMALL, FILL_FULL);
	make(b);
	assert_int_equal(b->p.n_actions, 4);
	assert_int_equal(b->p.actions[0].target.bytes, 1024 * MIB);
	assert_int_equal(b->p.actions[3].target.bytes, 64 * MIB);
}

static void test_a_block_larger_than_the_bound_is_one_call(void **state)
{
	struct bench *b = *state;
	uint64_t block = UINT64_C(512) << 20;

	b->s.geometry = geometry_64k;
	build_region(&b->s, BASE, 4 * block, BACKING_SHMEM);
	build_sight(&b->s, BASE, 2, SEEN_FOLIO, FILL_UNKNOWN);
	build_sight(&b->s, BASE + 2 * block, 2, SEEN_SMALL, FILL_FULL);
	make(b);
	assert_int_equal(b->p.n_actions, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(b->p.actions[i].target.bytes, block);
}

static void test_copies_stay_within_the_allowance(void **state)
{
	const struct plan_limits limits = {.copy_allowance_bytes = 5 * BLOCK + BLOCK / 2};
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = 2 * BLOCK;
	build_region(&b->s, BASE, 10 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + 8 * BLOCK, 2, SEEN_FOLIO, FILL_UNKNOWN);
	make_within(b, &limits);
	assert_int_equal(b->p.n_actions, 4);
	expect_action(b, 0, ACTION_REMAP, 8, 2);
	expect_action(b, 3, ACTION_COPY, 4, 1);
	assert_int_equal(b->p.copy_bytes, 5 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 3 * BLOCK);
}

static void test_copies_stay_within_the_memory_cgroup(void **state)
{
	struct bench *b = *state;

	b->s.vm.memcg_headroom_bytes = 64 * MIB + 3 * BLOCK + 1;
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_SMALL, FILL_FULL);
	make(b);
	assert_int_equal(b->p.n_actions, 3);
	expect_action(b, 0, ACTION_COPY, 0, 3);
	expect_action(b, 2, ACTION_COPY, 6, 2);
}

static void test_number_of_actions_is_bounded(void **state)
{
	const struct plan_limits limits = {.copy_allowance_bytes = UINT64_MAX, .max_actions = 2};
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = BLOCK;
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_SMALL, FILL_FULL);
	make_within(b, &limits);
	assert_int_equal(b->p.n_actions, 2);
	assert_int_equal(b->p.deferred_copy_bytes, 6 * BLOCK);
}

static void test_nodes_do_not_cut_calls(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 4 * BLOCK, BACKING_SHMEM);
	for (uint32_t i = 0; i < 4; i++)
		build_sight(&b->s, BASE + i * BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN)->node =
			(int16_t)(i % 2);
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	assert_int_equal(b->p.actions[0].node, -1);
}

static void test_regions_cut_calls(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 2 * BLOCK, BACKING_SHMEM);
	build_region(&b->s, BASE + 2 * BLOCK, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 2, SEEN_FOLIO, FILL_UNKNOWN);
	build_sight(&b->s, BASE + 2 * BLOCK, 2, SEEN_FOLIO, FILL_UNKNOWN);
	make(b);
	assert_int_equal(b->p.n_actions, 2);
}

static void both_kinds(struct bench *b)
{
	build_region(&b->s, BASE, 2 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 1, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + BLOCK, 1, SEEN_FOLIO, FILL_UNKNOWN);
}

static void test_policy_is_obeyed(void **state)
{
	struct bench *b = *state;

	both_kinds(b);
	b->s.policy.may_copy = false;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_REMAP, 1, 1);
	b->s.policy.may_copy = true;
	b->s.policy.may_remap = false;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_COPY, 0, 1);
}

/* Neither a remap nor a copy until it is done: it is not told as one. */
static void test_unknown_folios_are_collapsed_apart(void **state)
{
	struct bench *b = *state;

	build_region(&b->s, BASE, 3 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 2, SEEN_SMALL, FILL_FULL);
	build_sight(&b->s, BASE + 2 * BLOCK, 1, SEEN_PAGES, FILL_FULL);
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_COPY, 0, 2);
	expect_action(b, 1, ACTION_COPY, 2, 1);
	assert_string_equal(action_name(&b->p.actions[0]), "copy");
	assert_string_equal(action_name(&b->p.actions[1]), "collapse");
}

static void test_no_actions_unless_full(void **state)
{
	static const enum mode modes[] = {MODE_REPORT, MODE_OFF};
	struct bench *b = *state;

	both_kinds(b);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		b->s.policy.mode = modes[i];
		make(b);
		assert_int_equal(b->p.n_actions, 0);
	}
}

static void test_no_actions_while_paused(void **state)
{
	struct bench *b = *state;

	both_kinds(b);
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	b->s.policy.is_paused = true;
	make(b);
	assert_int_equal(b->p.n_actions, 0);
}

static void test_without_room_nothing_more_is_copied(void **state)
{
	static const struct {
		enum action_kind kind;
		int err;
		enum plan_stop stop;
	} cases[] = {
		{ACTION_COPY, ENOMEM, PLAN_STOP_ALL},	{ACTION_COPY, EBUSY, PLAN_STOP_ALL},
		{ACTION_COPY, EINVAL, PLAN_STOP_NONE},	{ACTION_COPY, EAGAIN, PLAN_STOP_NONE},
		{ACTION_PLACE, ENOMEM, PLAN_STOP_ALL},	{ACTION_PLACE, EBUSY, PLAN_STOP_NONE},
		{ACTION_REMAP, ENOMEM, PLAN_STOP_NONE}, {ACTION_REMAP, EBUSY, PLAN_STOP_NONE},
		{ACTION_REMAP, EINVAL, PLAN_STOP_NONE}, {ACTION_COPY, 0, PLAN_STOP_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(plan_stop_after(cases[i].kind, cases[i].err), cases[i].stop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_remaps_first_and_larger_first),
		TEST(test_actions_are_complete),
		TEST(test_calls_are_bounded),
		TEST(test_policy_cannot_lift_the_bounds_of_a_call),
		TEST(test_a_block_larger_than_the_bound_is_one_call),
		TEST(test_copies_stay_within_the_allowance),
		TEST(test_copies_stay_within_the_memory_cgroup),
		TEST(test_number_of_actions_is_bounded),
		TEST(test_nodes_do_not_cut_calls),
		TEST(test_regions_cut_calls),
		TEST(test_policy_is_obeyed),
		TEST(test_unknown_folios_are_collapsed_apart),
		TEST(test_no_actions_unless_full),
		TEST(test_no_actions_while_paused),
		TEST(test_without_room_nothing_more_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
