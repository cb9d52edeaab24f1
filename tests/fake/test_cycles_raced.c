/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole cycles in which things change between look and act: the guest gives memory back, the
 * process becomes another one. */
#include "cycle_world.h"

/* ---- The guest gives memory back ---- */

static void test_lost_pages_are_remembered(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	model_discard(w->m, PID, RAM + BLOCK, PAGE);
	touch(w, BLOCK + PAGE, BLOCK - PAGE);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
	/* Even when it is full again. */
	touch(w, BLOCK, BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
	model_advance(w->m, 61 * MODEL_MINUTE);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

static void test_whole_block_given_back(void **state)
{
	struct world *w = *state;

	map(w, MODEL_ANON, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	model_discard(w->m, PID, RAM + BLOCK, BLOCK);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
}

static void punch(struct driver *d, struct driver_vm *vm, enum driver_step step,
		  const struct action *a, void *userdata)
{
	enum driver_step *when = userdata;

	(void)a;
	if (step == *when)
		model_discard(d->model, vm->pid, RAM + BLOCK, 8 * PAGE);
}

static void test_hole_punched_before_the_confirming_look(void **state)
{
	enum driver_step when = DRIVER_LOOKED;
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = punch;
	w->d.userdata = &when;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_int_equal(w->d.confirm_canceled, 1);
	assert_int_equal(model_stats(w->m).raced_refilled_pages, 0);
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 1);
	assert_reason(w, BLOCK, REASON_SPARSE);
}

/* The window that no look can close: counted, and held back for an hour once it is given back
 * again. */
static void test_hole_punched_after_the_confirming_look(void **state)
{
	enum driver_step when = DRIVER_CONFIRMED;
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = punch;
	w->d.userdata = &when;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(model_stats(w->m).raced_refilled_pages, 8);
	assert_int_equal(model_stats(w->m).refilled_pages, 0);
	w->d.hook = NULL;
	model_discard(w->m, PID, RAM + BLOCK, 8 * PAGE);
	touch(w, BLOCK + 8 * PAGE, PAGE);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
}

static void swap(struct driver *d, struct driver_vm *vm, enum driver_step step,
		 const struct action *a, void *userdata)
{
	(void)a;
	(void)userdata;
	if (step == DRIVER_LOOKED)
		model_swap_out(d->model, vm->pid, RAM, 2 * BLOCK);
}

static void test_swap_comes_between_look_and_act(void **state)
{
	struct world *w = *state;

	map(w, MODEL_ANON, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = swap;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_int_equal(model_stats(w->m).swapped_in_pages, 0);
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_reason(w, 0, REASON_SWAPPED);
}

/* ---- The process changes under the cycle ---- */

static void test_vanishes_in_the_middle_of_a_call(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	fault(w, MODEL_FAULT_VANISH, 1);
	assert_int_equal(cycle(w), -ESRCH);
	assert_int_equal(calls(w), 1);
	assert_false(w->vm.is_open);
	assert_int_equal(cycle(w), -ESRCH);
	/* The same pid again is another VM: nothing of the old one is used. */
	(void)model_spawn(w->m, &(struct model_vm){.pid = PID});
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void replace(struct driver *d, struct driver_vm *vm, enum driver_step step,
		    const struct action *a, void *userdata)
{
	const bool *is_recycled = userdata;

	if (step != DRIVER_CONFIRMED || a->target.start != RAM)
		return;
	if (*is_recycled) {
		model_exit(d->model, vm->pid);
		(void)model_spawn(d->model, &(struct model_vm){.pid = vm->pid});
		model_mmap(d->model, vm->pid,
			   &(struct model_map){
				   .start = RAM, .bytes = 2 * BLOCK, .backing = MODEL_MEMFD});
		model_touch(d->model, vm->pid, RAM, 2 * BLOCK);
	} else {
		model_exec(d->model, vm->pid);
	}
}

static void test_pid_is_recycled_between_look_and_act(void **state)
{
	struct world *w = *state;
	bool is_recycled = true;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = replace;
	w->d.userdata = &is_recycled;
	assert_int_equal(driver_cycle(&w->d, &w->vm), -ESRCH);
	assert_int_equal(huge_blocks(w), 0);
	assert_int_equal(model_stats(w->m).wrong_process_calls, 0);
	assert_in_range(model_stats(w->m).dead_process_calls, 0, 1); /* ESRCH, by the pidfd */
	w->d.hook = NULL;
	assert_int_equal(driver_cycle(&w->d, &w->vm), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_exec_between_look_and_act(void **state)
{
	struct world *w = *state;
	bool is_recycled = false;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = replace;
	w->d.userdata = &is_recycled;
	assert_true(cycle(w) < 0); /* the second look meets an mm that is gone */
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.snapshot.n_regions, 0);
	map(w, MODEL_ANON, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_mapping_goes_between_look_and_act(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	fault(w, MODEL_FAULT_UNMAP, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.acts[0].outcome.err, ENOMEM);
	assert_int_equal(w->vm.acts[0].verdict.reason, REASON_VANISHED);
	assert_int_equal(w->vm.acts[0].verdict.huge_bytes_delta, 0);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.snapshot.n_regions, 0);
}

static void test_a_look_that_fails_does_nothing(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	for (uint32_t skip = 0; skip < 3; skip++) {
		model_fail_scans(w->m, skip, 1, -EIO);
		if (driver_cycle(&w->d, &w->vm) < 0)
			assert_int_equal(calls(w), 0);
		else
			break;
	}
	model_fail_scans(w->m, 0, 0, 0);
	model_advance(w->m, 2 * MODEL_MINUTE);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lost_pages_are_remembered),
		T(test_whole_block_given_back),
		T(test_hole_punched_before_the_confirming_look),
		T(test_hole_punched_after_the_confirming_look),
		T(test_swap_comes_between_look_and_act),
		T(test_vanishes_in_the_middle_of_a_call),
		T(test_pid_is_recycled_between_look_and_act),
		T(test_exec_between_look_and_act),
		T(test_mapping_goes_between_look_and_act),
		T(test_a_look_that_fails_does_nothing),
	};

	return cmocka_run_group_tests_name("cycles", tests, NULL, NULL);
}
