/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole cycles in which the kernel refuses, or has no room: when thpd tries again. */
#include "cycle_world.h"

/* When the next call comes, in whole minutes from the last; 0 within the first. */
static uint64_t minutes_to_next_call(struct world *w)
{
	(void)calls(w);
	for (uint64_t minute = 0; minute < 100; minute++) {
		assert_int_equal(cycle(w), 0);
		if (calls(w) > 0)
			return minute;
		model_advance(w->m, MODEL_MINUTE);
	}
	fail_msg("no call within 100 minutes");
	return 0;
}

static void test_eagain_backs_off_and_is_suspected_pinned(void **state)
{
	static const uint64_t minutes[] = {1, 4, 16, 64, 64};
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	model_pin(w->m, PID, RAM, PAGE, true);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 1); /* the call went on behind it */
	assert_int_equal(w->vm.acts[0].outcome.err, EAGAIN);
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_PARTIAL);
	for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
		assert_reason(w, 0, i < 3 ? REASON_BUSY_RETRY : REASON_PINNED_SUSPECTED);
		assert_in_range(minutes_to_next_call(w), minutes[i], minutes[i] + 1);
	}
	model_pin(w->m, PID, RAM, PAGE, false);
	assert_in_range(minutes_to_next_call(w), 64, 65);
	assert_int_equal(huge_blocks(w), 2);
	assert_reason(w, 0, REASON_NONE);
}

static void test_eagain_once_is_forgotten_after_success(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 1);
	touch(w, 0, BLOCK);
	fault(w, MODEL_FAULT_EAGAIN, 1);
	assert_int_equal(cycle(w), 0);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_int_equal(huge_blocks(w), 1);
	model_split(w->m, PID, RAM, BLOCK);
	fault(w, MODEL_FAULT_EAGAIN, 1);
	assert_int_equal(minutes_to_next_call(w), 0);	/* no hold left */
	assert_in_range(minutes_to_next_call(w), 1, 2); /* the first strike again */
}

static void test_half_done_then_einval(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 8);
	touch(w, 0, 8 * BLOCK);
	fault(w, MODEL_FAULT_HALF_EINVAL, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	assert_int_equal(w->vm.acts[0].outcome.err, EINVAL);
	assert_int_equal(w->vm.acts[0].verdict.huge_bytes_delta, 4 * BLOCK);
	assert_reason(w, 4 * BLOCK, REASON_KERNEL_REFUSED);
	assert_int_equal(cycle(w), 0); /* the culprit alone is held */
	assert_int_equal(huge_blocks(w), 7);
	assert_in_range(minutes_to_next_call(w), 59, 61);
	assert_int_equal(huge_blocks(w), 8);
}

static void test_memcg_full(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	fault(w, MODEL_FAULT_EBUSY, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 1); /* the rest of the plan is not tried */
	assert_reason(w, 0, REASON_MEMCG_LIMIT);
	fault(w, MODEL_FAULT_EBUSY, 1);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_in_range(minutes_to_next_call(w), 4, 5);
	assert_int_equal(huge_blocks(w), 40);
}

static void test_memcg_without_headroom_is_not_tried(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT,
		     &(struct model_vm){.pid = PID,
					.memcg_max_bytes = 4 * BLOCK + (64 << 20),
					.cgroup = "/machine.slice/vm.scope"});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_MEMCG_LIMIT);
	model_set_memcg_max(w->m, PID, 8 * BLOCK + (64 << 20));
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

static void test_enomem_backs_off(void **state)
{
	struct world *w = *state;
	uint64_t began;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	began = model_now(w->m);
	model_add_fault(w->m, &(struct model_fault){.kind = MODEL_FAULT_ENOMEM,
						    .until_ns = began + 10 * MODEL_SECOND});
	while (huge_blocks(w) < 40 && model_now(w->m) < began + MODEL_MINUTE) {
		assert_int_equal(cycle(w), 0);
		model_advance(w->m, MODEL_SECOND / 10);
	}
	assert_int_equal(huge_blocks(w), 40);
	/* After 0, 1, 3, 7 s, then at 15: five bad or good first calls, and two more for the rest.
	 */
	assert_in_range(calls(w), 4, 8);
	assert_true(model_now(w->m) - began > 10 * MODEL_SECOND);
}

static void test_no_free_blocks_is_not_tried(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	model_set_free_blocks(w->m, 0);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	model_set_free_blocks(w->m, 2);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_budget(void **state)
{
	const struct budget budget = {.copy_bytes_per_s = 4 * BLOCK, .block_bytes = BLOCK};
	struct world *w = *state;
	uint64_t began = model_now(w->m);

	governor_init(&w->d.governor, &budget, began);
	laws_clear(&w->laws);
	laws_init(&w->laws, &w->d);
	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	while (huge_blocks(w) < 40) {
		model_advance(w->m, MODEL_SECOND / 2);
		assert_int_equal(cycle(w), 0);
	}
	assert_in_range((model_now(w->m) - began) / MODEL_SECOND, 8, 11);
}

static void test_signal_and_missing_right_in_a_call(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	fault(w, MODEL_FAULT_EPERM, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.acts[0].verdict.reason, REASON_NO_PERMISSION);
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_NONE);
	fault(w, MODEL_FAULT_EINTR, 1);
	assert_int_equal(cycle(w), 0);
	assert_reason(w, 0, REASON_BUSY_RETRY);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_int_equal(huge_blocks(w), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_eagain_backs_off_and_is_suspected_pinned),
		T(test_eagain_once_is_forgotten_after_success),
		T(test_half_done_then_einval),
		T(test_memcg_full),
		T(test_memcg_without_headroom_is_not_tried),
		T(test_enomem_backs_off),
		T(test_no_free_blocks_is_not_tried),
		T(test_budget),
		T(test_signal_and_missing_right_in_a_call),
	};

	return cmocka_run_group_tests_name("cycles", tests, NULL, NULL);
}
