/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Memory of a VM that is at home on several nodes, on the model kernel: which part goes where. */

#include "placement_world.h"

/* On nodes 0 and 1, a guest node on each. */
static void runs_wide(struct world *w)
{
	runs_on(w, 0);
	w->vm.vcpus[1].node = 1;
	w->vm.vcpus[1].guest_node = 1;
}

static uint64_t part_on(struct world *w, uint64_t from, uint64_t to, int node)
{
	return model_bytes_on(w->m, PID, RAM + from * BLOCK, (to - from) * BLOCK, node) / BLOCK;
}

static void interleave(struct world *w, uint64_t blocks)
{
	runs_wide(w);
	w->vm.policy.wide = WIDE_INTERLEAVE;
	w->vm.policy.wide_stripe_bytes = blocks * BLOCK;
}

static void go(struct world *w)
{
	cycle(w);
	wait(w, STABLE);
	cycles(w, 4);
}

static void assert_striped(struct world *w, uint64_t blocks)
{
	for (uint64_t i = 0; i < BLOCKS; i += blocks)
		assert_int_equal(part_on(w, i, i + blocks, (int)(i / blocks % 2)), blocks);
}

static void test_a_wide_vm_is_interleaved(void **state)
{
	struct world *w = *state;

	interleave(w, 4);
	huge_ram(w, MODEL_MEMFD, 1);
	cycle(w);
	assert_int_equal(w->vm.whereabouts.verdict, WHEREABOUTS_REMOTE);
	assert_int_equal(w->vm.whereabouts.remote_bytes, BYTES / 2);
	go(w);
	assert_striped(w, 4);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(w->vm.whereabouts.verdict, WHEREABOUTS_WIDE);
	assert_int_equal(w->vm.mover.moved_bytes, BYTES / 2);
	wait(w, 2 * INTERVAL);
	cycles(w, 3);
	assert_int_equal(w->vm.mover.moved_bytes, BYTES / 2);
}

static void test_anonymous_memory_is_interleaved_from_elsewhere(void **state)
{
	struct world *w = *state;

	interleave(w, 2);
	huge_ram(w, MODEL_ANON, 3);
	go(w);
	assert_striped(w, 2); /* RAM is a multiple of both stripes */
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(w->vm.mover.moved_bytes, BYTES);
}

/* What belongs to the full node becomes huge where it is. */
static void test_where_a_node_is_full_the_others_go(void **state)
{
	struct world *w = *state;

	interleave(w, 4);
	ram(w, MODEL_MEMFD, 2);
	model_set_node_free_blocks(w->m, 0, 0);
	go(w);
	for (uint64_t i = 0; i < BLOCKS; i += 4)
		assert_int_equal(part_on(w, i, i + 4, i / 4 % 2 ? 1 : 2), 4);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(find(w, REASON_NODE_FULL)->node, 0);
	assert_int_equal(find(w, REASON_NODE_FULL)->bytes, BYTES / 2);
	assert_int_not_equal(w->vm.mover.target, 0);
	model_set_node_free_blocks(w->m, 0, 2 * BLOCKS);
	cycles(w, 3);
	assert_striped(w, 4);
	assert_int_equal(huge_blocks(w), BLOCKS);
}

static void tell_guest(struct world *w, uint64_t split)
{
	struct guest_span spans[] = {{RAM, split * BLOCK, 1},
				     {RAM + split * BLOCK, (BLOCKS - split) * BLOCK, 0}};
	struct guest_map map = {.spans = spans, .n_spans = ARRAY_SIZE(spans)};

	assert_int_equal(snapshot_take_guest_map(&w->vm.snapshot, &map), 0);
}

static void test_a_wide_vm_is_split_by_its_guest_nodes(void **state)
{
	struct world *w = *state;

	runs_wide(w);
	tell_guest(w, 5);
	huge_ram(w, MODEL_MEMFD, 0);
	go(w);
	assert_int_equal(part_on(w, 0, 5, 1), 5);
	assert_int_equal(part_on(w, 5, BLOCKS, 0), BLOCKS - 5);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(w->vm.mover.moved_bytes, 5 * BLOCK);
}

/* The VM is at home where it was all the time; only who is where changes. */
static void test_guest_nodes_that_change_places_move_nothing(void **state)
{
	struct world *w = *state;

	runs_wide(w);
	tell_guest(w, 8);
	huge_ram(w, MODEL_MEMFD, 0);
	for (int i = 0; i < 50; i++) {
		w->vm.vcpus[0].node = (int16_t)(i % 2);
		w->vm.vcpus[1].node = (int16_t)(1 - i % 2);
		cycle(w);
		wait(w, STABLE - MODEL_SECOND);
	}
	assert_int_equal(model_stats(w->m).move_calls, 0);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_wide_vm_is_interleaved),
		TEST(test_anonymous_memory_is_interleaved_from_elsewhere),
		TEST(test_where_a_node_is_full_the_others_go),
		TEST(test_a_wide_vm_is_split_by_its_guest_nodes),
		TEST(test_guest_nodes_that_change_places_move_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
