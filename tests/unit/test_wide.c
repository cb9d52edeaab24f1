/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM whose home is several nodes, of which each has its part: what is told, planned and learned.
 */
#include <errno.h>

#include "mover.h"
#include "plan.h"
#include "snapshot_builder.h"

enum { N0 = 1 << 0, N1 = 1 << 1, N2 = 1 << 2 };

#define SECOND UINT64_C(1000000000)
#define STABLE (60 * SECOND)

struct bench {
	struct snapshot s;
	struct diagnosis d;
	struct mover m;
	struct plan p;
};

/* Three nodes; at home on 0 and 1, in stripes of four blocks. */
static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	build_region(&b->s, BASE, 64 * BLOCK, BACKING_SHMEM);
	b->s.host.n_nodes = 3;
	for (int16_t i = 0; i < 3; i++)
		b->s.host.nodes[i] = (struct host_node){
			.id = i, .free_block_bytes = 100 * BLOCK, .has_cpus = true};
	strcpy(b->s.host.nodes[0].distances, "10 20 30");
	strcpy(b->s.host.nodes[1].distances, "21 10 31");
	b->s.policy.placement = PLACEMENT_BIND;
	b->s.policy.nodes = N0 | N1;
	b->s.policy.wide = WIDE_INTERLEAVE;
	b->s.policy.wide_stripe_bytes = 4 * BLOCK;
	b->s.policy.min_gain_bytes = BLOCK;
	b->m = (struct mover)MOVER_INIT;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	mover_clear(&b->m);
	plan_clear(&b->p);
	diagnosis_clear(&b->d);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static void see(struct bench *b, uint32_t block, uint32_t blocks, enum seen seen, int16_t node)
{
	build_sight(&b->s, BASE + block * BLOCK, blocks, seen, FILL_FULL)->node = node;
}

static struct whereabouts judge(struct bench *b)
{
	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &b->d), 0);
	return whereabouts_of(&b->s, &b->d, 0);
}

static void move(struct bench *b)
{
	struct whereabouts w = judge(b);

	assert_int_equal(mover_step(&b->m, &b->s, &b->d, &w, SECOND), 0);
	assert_int_equal(mover_step(&b->m, &b->s, &b->d, &w, SECOND + STABLE), N0 | N1);
}

static struct mover_choice choose(struct bench *b, uint64_t reserve_bytes)
{
	return mover_choose(&b->m, &b->s, &b->d, &b->s.host, reserve_bytes);
}

static void expect_finding(const struct whereabouts *w, size_t i, enum reason reason, int node,
			   uint64_t blocks, unsigned int distance)
{
	assert_true(i < w->n_findings);
	assert_string_equal(reason_slug(w->findings[i].reason), reason_slug(reason));
	assert_int_equal(w->findings[i].node, node);
	assert_int_equal(w->findings[i].bytes, blocks * BLOCK);
	assert_int_equal(w->findings[i].distance, distance);
}

/* ---- What is told ---- */

static void test_remote_is_what_lies_on_another_one_of_its_nodes(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	see(b, 0, 10, SEEN_HUGE, 0);  /* 4 to 7 belong on node 1 */
	see(b, 10, 3, SEEN_HUGE, 2);  /* 10, 11 on 0; 12 on 1 */
	see(b, 13, 4, SEEN_SMALL, 1); /* 16 on 0 */
	w = judge(b);
	assert_int_equal(w.by_node[0], 10 * BLOCK);
	assert_int_equal(w.home_bytes, 9 * BLOCK);
	assert_int_equal(w.remote_bytes, 8 * BLOCK);
	assert_string_equal(whereabouts_verdict_name(w.verdict), "remote");
	assert_int_equal(w.n_findings, 4);
	expect_finding(&w, 0, REASON_COLLAPSE_WOULD_CEMENT, -1, 1, 0);
	expect_finding(&w, 1, REASON_REMOTE_MEMORY, 0, 4, 21); /* from node 1, where it belongs */
	expect_finding(&w, 2, REASON_REMOTE_MEMORY, 2, 3, 30);
	expect_finding(&w, 3, REASON_REMOTE_MEMORY, 1, 1, 20);
}

static void test_each_part_where_it_belongs_is_wide(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	see(b, 0, 4, SEEN_HUGE, 0);
	see(b, 4, 4, SEEN_HUGE, 1);
	w = judge(b);
	assert_int_equal(w.remote_bytes, 0);
	assert_string_equal(whereabouts_verdict_name(w.verdict), "wide");
}

static void test_each_full_node_is_told_with_what_it_keeps_out(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	see(b, 0, 7, SEEN_HUGE, 2);
	b->s.host.nodes[1].free_block_bytes = 0;
	w = judge(b);
	expect_finding(&w, 0, REASON_NODE_FULL, 1, 3, 0);
	expect_finding(&w, 1, REASON_REMOTE_MEMORY, 2, 7, 30);
	b->s.host.nodes[0].free_block_bytes = 0;
	w = judge(b);
	expect_finding(&w, 0, REASON_NODE_FULL, 0, 4, 0);
	expect_finding(&w, 1, REASON_NODE_FULL, 1, 3, 0);
}

/* ---- Where it goes next ---- */

static void test_the_node_with_most_to_come_is_next(void **state)
{
	struct bench *b = *state;
	struct mover_choice c;

	see(b, 0, 7, SEEN_HUGE, 2);
	move(b);
	c = choose(b, 0);
	assert_true(c.node == 0 && c.full == 0);
	assert_int_equal(interval_set_add(&b->m.refused, BASE + 2 * BLOCK, BASE + 4 * BLOCK), 0);
	c = choose(b, 0);
	assert_true(c.node == 0 && c.full == 0); /* a part may go */
	assert_int_equal(interval_set_add(&b->m.refused, BASE, BASE + 4 * BLOCK), 0);
	c = choose(b, 0);
	assert_true(c.node == 1 && c.full == 0);
}

static void test_it_is_not_the_first_that_is_next(void **state)
{
	struct bench *b = *state;

	see(b, 2, 6, SEEN_HUGE, 2); /* 2, 3 to node 0; 4 to 7 to node 1 */
	move(b);
	assert_int_equal(choose(b, 0).node, 1);
}

static void test_full_nodes_are_passed_over(void **state)
{
	struct bench *b = *state;
	struct mover_choice c;

	see(b, 0, 7, SEEN_HUGE, 2);
	move(b);
	b->s.host.nodes[0].free_block_bytes = 9 * BLOCK;
	c = choose(b, 8 * BLOCK + PAGE); /* less than a block is left */
	assert_true(c.node == 1 && c.full == N0);
	c = choose(b, 8 * BLOCK);
	assert_true(c.node == 0 && c.full == 0);
	c = choose(b, 1000 * BLOCK);
	assert_true(c.node == 0 && c.full == (N0 | N1));
	assert_int_equal(interval_set_add(&b->m.refused, BASE, BASE + 7 * BLOCK), 0);
	c = choose(b, 0);
	assert_true(c.node == -1 && c.full == 0);
}

static struct whereabouts learn(struct bench *b, int16_t node, int err)
{
	const struct action a = {
		.kind = ACTION_PLACE, .node = node, .target = {.start = BASE, .bytes = BLOCK}};
	const struct outcome o = {.err = err};

	assert_int_equal(mover_learn(&b->m, &a, &o, b->s.sights, 1, b->s.sights, 1, &geometry_4k,
				     2 * STABLE),
			 0);
	return judge(b);
}

static void test_a_node_that_runs_out_is_done_with(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	see(b, 0, 7, SEEN_HUGE, 2);
	move(b);
	w = learn(b, 0, ENOMEM);
	assert_int_equal(mover_step(&b->m, &b->s, &b->d, &w, 2 * STABLE), N1);
	assert_int_equal(choose(b, 0).node, 1);
	assert_int_equal(interval_set_bytes(&b->m.refused), 0);
	w = learn(b, 1, ENOMEM);
	assert_int_equal(b->m.target, 0);
	assert_true(b->m.has_ended && b->m.ended_ns == 2 * STABLE);
}

static void test_with_nothing_left_for_the_others_it_ends(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	see(b, 0, 4, SEEN_HUGE, 2);
	move(b);
	w = learn(b, 0, ENOMEM);
	assert_int_equal(b->m.target, N1);
	assert_int_equal(mover_step(&b->m, &b->s, &b->d, &w, 2 * STABLE), 0);
}

/* ---- What is planned ---- */

static void plan(struct bench *b, int16_t node, node_set_t full)
{
	const struct plan_limits limits = {
		.copy_allowance_bytes = UINT64_MAX,
		.home = home_of(&b->s),
		.place_node = node,
		.place_full = full,
		.place_allowance_bytes = UINT64_MAX,
	};

	(void)judge(b);
	assert_int_equal(plan_make(&b->s, &b->d, &limits, &b->p), 0);
}

static void expect_action(const struct bench *b, size_t i, enum action_kind kind, int node,
			  uint64_t block, uint64_t blocks)
{
	const struct action *a = &b->p.actions[i];

	assert_true(i < b->p.n_actions);
	assert_string_equal(action_kind_name(a->kind), action_kind_name(kind));
	assert_int_equal(a->target.start, BASE + block * BLOCK);
	assert_int_equal(a->target.bytes, blocks * BLOCK);
	if (kind == ACTION_PLACE)
		assert_int_equal(a->node, node);
}

static void test_a_plan_brings_what_belongs_to_its_node(void **state)
{
	struct bench *b = *state;

	see(b, 0, 18, SEEN_HUGE, 2);
	plan(b, 1, 0);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 1, 4, 4);
	expect_action(b, 1, ACTION_PLACE, 1, 12, 4);
	assert_int_equal(b->p.deferred_place_bytes, 10 * BLOCK);
}

static void test_what_is_foreseen_goes_where_it_belongs(void **state)
{
	struct bench *b = *state;

	see(b, 0, 6, SEEN_HUGE, 2);
	plan(b, -1, 0);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 0, 4);
	expect_action(b, 1, ACTION_PLACE, 1, 4, 2);
	assert_int_equal(b->p.deferred_place_bytes, 0);
}

/* Small pages wait for their node, but not for one that is full. */
static void test_what_a_full_node_keeps_out_is_copied_where_it_is(void **state)
{
	struct bench *b = *state;

	see(b, 0, 12, SEEN_SMALL, 2);
	plan(b, 0, 0);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 0, 4);
	expect_action(b, 1, ACTION_PLACE, 0, 8, 4);
	assert_int_equal(b->p.copy_bytes, 0);
	plan(b, 0, N1);
	assert_int_equal(b->p.n_actions, 3);
	expect_action(b, 2, ACTION_COPY, 0, 4, 4);
}

/* What may lie on several is at home on the full one, too. */
static void test_what_is_at_home_on_a_full_node_stays(void **state)
{
	struct bench *b = *state;

	b->s.policy.wide = WIDE_LEAVE;
	see(b, 0, 4, SEEN_HUGE, 0);
	see(b, 4, 4, SEEN_HUGE, 2);
	plan(b, 1, N0);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_PLACE, 1, 4, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_remote_is_what_lies_on_another_one_of_its_nodes),
		TEST(test_each_part_where_it_belongs_is_wide),
		TEST(test_each_full_node_is_told_with_what_it_keeps_out),
		TEST(test_the_node_with_most_to_come_is_next),
		TEST(test_it_is_not_the_first_that_is_next),
		TEST(test_full_nodes_are_passed_over),
		TEST(test_a_node_that_runs_out_is_done_with),
		TEST(test_with_nothing_left_for_the_others_it_ends),
		TEST(test_a_plan_brings_what_belongs_to_its_node),
		TEST(test_what_is_foreseen_goes_where_it_belongs),
		TEST(test_what_a_full_node_keeps_out_is_copied_where_it_is),
		TEST(test_what_is_at_home_on_a_full_node_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
