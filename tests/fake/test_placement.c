/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Memory on the wrong node, on the model kernel: what is moved, how, and when not; and ten thousand
 * random schedules of vCPUs that go back and forth, after which memory has not. */

#include "placement_world.h"

enum { OTHER = 101, SCHEDULES = 10000 };

/* ---- What is moved ---- */

static void test_huge_memory_moves_whole(void **state)
{
	struct world *w = *state;

	huge_ram(w, MODEL_MEMFD, 1);
	cycle(w);
	assert_int_equal(w->vm.whereabouts.verdict, WHEREABOUTS_REMOTE);
	assert_int_equal(find(w, REASON_REMOTE_MEMORY)->bytes, BYTES);
	assert_int_equal(find(w, REASON_REMOTE_MEMORY)->node, 1);
	assert_int_equal(find(w, REASON_REMOTE_MEMORY)->distance, 20);
	wait(w, STABLE - MODEL_SECOND);
	cycle(w);
	assert_int_equal(blocks_on(w, 1), BLOCKS);
	wait(w, MODEL_SECOND);
	cycle(w);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(w->vm.whereabouts.verdict, WHEREABOUTS_HOME);
	assert_int_equal(w->vm.mover.moved_bytes, BYTES);
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_DONE);
	assert_int_equal(w->vm.acts[0].verdict.placed_bytes, BYTES);
}

static void test_anonymous_memory_moves_whole(void **state)
{
	struct world *w = *state;

	huge_ram(w, MODEL_ANON, 3);
	cycle(w);
	wait(w, STABLE);
	cycle(w);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
	assert_int_equal(huge_blocks(w), BLOCKS);
}

static void test_page_mapped_folios_move_and_are_remapped(void **state)
{
	struct world *w = *state;

	huge_ram(w, MODEL_MEMFD, 1);
	w->vm.policy.may_remap = false;
	cycle(w);
	wait(w, STABLE);
	model_split(w->m, PID, RAM, BYTES);
	w->vm.policy.may_remap = true;
	cycles(w, 2);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(model_stats(w->m).copied_bytes, 0);
}

/* First to the node, then huge: a collapse would have left them where they were. */
static void test_small_pages_move_before_they_are_copied(void **state)
{
	struct world *w = *state;

	w->vm.policy.may_copy = false;
	ram(w, MODEL_MEMFD, 1);
	cycle(w);
	wait(w, STABLE);
	w->vm.policy.may_copy = true;
	cycle(w);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
	cycle(w);
	assert_int_equal(huge_blocks(w), BLOCKS);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
}

static void test_what_others_map_moves_too(void **state)
{
	struct world *w = *state;

	huge_ram(w, MODEL_MEMFD, 1);
	(void)model_spawn(w->m, &(struct model_vm){.pid = OTHER});
	model_mmap(w->m, OTHER,
		   &(struct model_map){.start = RAM,
				       .bytes = BYTES,
				       .backing = MODEL_MEMFD,
				       .share_pid = PID,
				       .share_start = RAM});
	cycle(w);
	wait(w, STABLE);
	cycle(w);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
}

static void test_bound_memory_goes_where_it_is_bound_to(void **state)
{
	struct world *w = *state;

	w->vm.policy.placement = PLACEMENT_BIND;
	w->vm.policy.nodes = node_set_of(2);
	huge_ram(w, MODEL_MEMFD, 0);
	cycle(w);
	wait(w, STABLE);
	cycle(w);
	assert_int_equal(blocks_on(w, 2), BLOCKS);
	wait(w, 2 * INTERVAL);
	cycles(w, 3);
	assert_int_equal(blocks_on(w, 2), BLOCKS);
	assert_int_equal(w->vm.mover.moved_bytes, BYTES);
}

/* ---- What is not ---- */

static void assert_stays(struct world *w, int node)
{
	cycle(w);
	wait(w, 2 * STABLE);
	cycles(w, 3);
	assert_int_equal(blocks_on(w, node), BLOCKS);
	assert_int_equal(model_stats(w->m).move_calls, 0);
}

static void test_report_moves_nothing(void **state)
{
	struct world *w = *state;

	w->vm.policy.placement = PLACEMENT_REPORT;
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
	assert_non_null(find(w, REASON_REMOTE_MEMORY));
}

static void test_a_device_holds_its_memory(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_vm){.pid = PID, .has_vfio = true}, UINT64_MAX);
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
}

static void test_kvm_holds_memory_of_sev(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_vm){.pid = PID, .has_sev = true}, UINT64_MAX);
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
}

static void test_a_pager_holds_its_memory(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_vm){.pid = PID, .has_uffd = true}, UINT64_MAX);
	huge_ram(w, MODEL_MEMFD, 1);
	model_change_flags(w->m, PID, RAM, VMA_FLAG_UM, 0);
	assert_stays(w, 1);
}

static void test_a_wide_vm_stays_as_it_is(void **state)
{
	struct world *w = *state;

	runs_on(w, 0);
	w->vm.vcpus[1].node = 1;
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
	assert_int_equal(w->vm.whereabouts.verdict, WHEREABOUTS_WIDE);
}

static void test_a_paused_vm_stays_as_it_is(void **state)
{
	struct world *w = *state;

	w->vm.policy.is_paused = true;
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
}

static void test_hugetlb_and_dax_are_never_moved(void **state)
{
	static const enum model_backing backings[] = {MODEL_HUGETLB, MODEL_FSDAX, MODEL_SECRETMEM,
						      MODEL_DEVICE};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		ram(w, backings[i], 1);
		cycle(w);
		wait(w, STABLE);
		cycles(w, 2);
		assert_int_equal(model_stats(w->m).move_calls, 0);
		model_munmap(w->m, PID, RAM);
	}
}

/* A node without free blocks would take huge folios in pieces. */
static void test_a_full_node_is_left_alone(void **state)
{
	struct world *w = *state;

	model_set_node_free_blocks(w->m, 0, 0);
	huge_ram(w, MODEL_MEMFD, 1);
	assert_stays(w, 1);
	assert_non_null(find(w, REASON_NODE_FULL));
	model_set_node_free_blocks(w->m, 0, 4);
	cycle(w);
	assert_int_equal(blocks_on(w, 0), 4);
	cycles(w, 2);
	assert_int_equal(blocks_on(w, 0), 4);
	assert_int_equal(huge_blocks(w), BLOCKS);
	model_set_node_free_blocks(w->m, 0, 100);
	cycle(w);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
}

/* What cannot move is tried once in a move, and again with the next. */
static void test_pinned_memory_is_not_tried_again_and_again(void **state)
{
	struct world *w = *state;
	uint64_t calls;

	w->vm.policy.copy_call_bytes = BLOCK;
	huge_ram(w, MODEL_MEMFD, 1);
	model_pin(w->m, PID, RAM + BLOCK, 2 * BLOCK, true);
	cycle(w);
	wait(w, STABLE);
	cycles(w, 3);
	assert_int_equal(blocks_on(w, 0), BLOCKS - 2);
	assert_int_equal(huge_blocks(w), BLOCKS);
	calls = model_stats(w->m).move_calls;
	assert_in_range(calls, BLOCKS, BLOCKS + 2);
	wait(w, INTERVAL / 2);
	cycles(w, 3);
	assert_int_equal(model_stats(w->m).move_calls, calls);
	model_pin(w->m, PID, RAM + BLOCK, 2 * BLOCK, false);
	wait(w, INTERVAL);
	cycles(w, 2);
	assert_int_equal(blocks_on(w, 0), BLOCKS);
}

static void test_a_move_keeps_to_its_budget(void **state)
{
	struct world *w = *state;
	uint64_t began_ns, moved = 0;

	world_change(w, &(struct model_vm){.pid = PID}, 2 * BLOCK);
	huge_ram(w, MODEL_MEMFD, 1);
	cycle(w);
	wait(w, STABLE);
	began_ns = model_now(w->m);
	for (int i = 0; i < 12; i++) {
		uint64_t elapsed;

		cycle(w);
		moved = w->vm.mover.moved_bytes;
		elapsed = model_now(w->m) - began_ns;
		assert_true(moved <= 2 * BLOCK + 2 * BLOCK * elapsed / MODEL_SECOND);
		wait(w, MODEL_SECOND);
	}
	assert_int_equal(moved, BYTES);
}

/* ---- Schedules ---- */

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

/* What holds at any time, of one VM from the beginning of a schedule on. */
struct watch {
	uint64_t began_ns, moved_at_first;
	int node; /* where the vCPUs run */
	uint64_t since_ns;
};

static void check(struct world *w, const struct watch *watch, uint64_t moved_before, uint64_t seed)
{
	uint64_t now_ns = model_now(w->m), moved = w->vm.mover.moved_bytes;
	uint64_t moves = 1 + (now_ns - watch->began_ns) / w->vm.policy.move_interval_ns;

	if (moved - watch->moved_at_first > moves * BYTES)
		fail_msg("schedule %llu: more was moved than once an interval",
			 (unsigned long long)seed);
	if (moved > moved_before && now_ns < watch->since_ns + w->vm.policy.stable_ns)
		fail_msg("schedule %llu: moved before the home was stable",
			 (unsigned long long)seed);
	if (model_stats(w->m).moved_bytes != moved)
		fail_msg("schedule %llu: what was moved is not what is said",
			 (unsigned long long)seed);
}

static void step(struct world *w, struct watch *watch, uint64_t seed, uint64_t ns)
{
	uint64_t moved = w->vm.mover.moved_bytes;

	wait(w, ns);
	if (driver_sample(&w->d, &w->vm))
		cycle(w);
	check(w, watch, moved, seed);
}

static void go(struct world *w, struct watch *watch, int node)
{
	if (node == watch->node)
		return;
	watch->node = node;
	watch->since_ns = model_now(w->m);
	runs_on(w, node);
}

/* vCPUs that stay for about as long as StableFor=, in the worst case a little longer each time. */
static void run_schedule(struct world *w, uint64_t seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15u + 1, moved;
	struct watch watch;

	w->vm.policy.stable_ns = (1 + draw(&random, 90)) * MODEL_SECOND;
	w->vm.policy.move_interval_ns = (1 + draw(&random, 600)) * MODEL_SECOND;
	w->vm.snapshot.policy = w->vm.policy; /* as after a reload */
	watch = (struct watch){.began_ns = model_now(w->m),
			       .moved_at_first = w->vm.mover.moved_bytes,
			       .node = w->vm.vcpus[0].node,
			       .since_ns = w->vm.mover.since_ns};
	for (int i = 0; i < 12; i++) {
		uint64_t stay = w->vm.policy.stable_ns;

		if (draw(&random, 3) > 0)
			go(w, &watch, (int)draw(&random, NODES));
		step(w, &watch, seed, 0);
		stay = draw(&random, 2) ? stay + MODEL_SECOND : draw(&random, stay + 1);
		step(w, &watch, seed, stay);
	}
	/* At rest it comes home, and stays there. */
	step(w, &watch, seed, w->vm.policy.move_interval_ns + w->vm.policy.stable_ns);
	step(w, &watch, seed, MODEL_SECOND);
	if (blocks_on(w, watch.node) != BLOCKS || huge_blocks(w) != BLOCKS)
		fail_msg("schedule %llu: it did not come home", (unsigned long long)seed);
	moved = w->vm.mover.moved_bytes;
	step(w, &watch, seed, 10 * w->vm.policy.move_interval_ns);
	assert_int_equal(w->vm.mover.moved_bytes, moved);
}

static void test_memory_does_not_follow_to_and_fro(void **state)
{
	struct world *w = *state;

	huge_ram(w, MODEL_MEMFD, 0);
	cycle(w);
	for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
		run_schedule(w, seed);
	assert_true(w->vm.mover.moved_bytes > SCHEDULES * BYTES / 4); /* or it proved nothing */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_huge_memory_moves_whole),
		TEST(test_anonymous_memory_moves_whole),
		TEST(test_page_mapped_folios_move_and_are_remapped),
		TEST(test_small_pages_move_before_they_are_copied),
		TEST(test_what_others_map_moves_too),
		TEST(test_bound_memory_goes_where_it_is_bound_to),
		TEST(test_report_moves_nothing),
		TEST(test_a_device_holds_its_memory),
		TEST(test_kvm_holds_memory_of_sev),
		TEST(test_a_pager_holds_its_memory),
		TEST(test_a_wide_vm_stays_as_it_is),
		TEST(test_a_paused_vm_stays_as_it_is),
		TEST(test_hugetlb_and_dax_are_never_moved),
		TEST(test_a_full_node_is_left_alone),
		TEST(test_pinned_memory_is_not_tried_again_and_again),
		TEST(test_a_move_keeps_to_its_budget),
		TEST(test_memory_does_not_follow_to_and_fro),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
