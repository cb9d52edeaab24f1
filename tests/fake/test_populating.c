/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole cycles on the model kernel: holes of a VM that just started are given huge pages, and what
 * stands in the way. The laws of laws.h hold in all of them. */

#include "cycle_world.h"

enum { BLOCKS = 40 };

static int populating_setup(void **state)
{
	int r = setup(state);
	struct world *w = *state;

	w->vm.policy.populate = POPULATE_HUGE;
	map(w, MODEL_MEMFD, BLOCKS);
	return r;
}

static void expect(struct world *w, uint64_t huge_blocks, enum reason reason)
{
	uint64_t bytes = w->vm.diagnosis.totals.by_reason[reason];

	assert_int_equal(model_huge_bytes(w->m, PID, RAM, BLOCKS * BLOCK), huge_blocks * BLOCK);
	if (reason != REASON_NONE)
		assert_int_equal(bytes, (BLOCKS - huge_blocks) * BLOCK);
}

static void all_is_huge_after_one_cycle(void **state)
{
	struct world *w = *state;

	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS, REASON_NONE);
	assert_int_equal(model_check_data(w->m), 0);
}

static void an_old_vm_is_left_alone(void **state)
{
	struct world *w = *state;

	w->vm.age_ns = MODEL_MINUTE;
	assert_int_equal(cycle(w), 0);
	expect(w, 0, REASON_NOT_FROM_START);
}

static void what_the_guest_gave_back_stays_its_own(void **state)
{
	struct world *w = *state;

	assert_int_equal(cycle(w), 0);
	model_discard(w->m, PID, RAM, 4 * BLOCK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cycle(w), 0);
		expect(w, BLOCKS - 4, REASON_LOST_PAGES);
	}
	model_advance(w->m, 61 * MODEL_MINUTE);
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS - 4, REASON_GAVE_BACK);
}

/* When the guest gives back its first four blocks: after the call for this address, and before the
 * look that follows. */
static void give_back(struct driver *d, struct driver_vm *vm, enum driver_step step,
		      const struct action *a, void *userdata)
{
	const hva_t *when = userdata;

	if (step == DRIVER_ACTED && a->target.start == *when)
		model_discard(d->model, vm->pid, RAM, 4 * BLOCK);
}

/* No whole look ever saw what thpd made there. */
static void expect_given_back_unseen(struct world *w, hva_t when, enum reason hold)
{
	w->d.hook = give_back;
	w->d.userdata = &when;
	assert_int_equal(cycle(w), 0);
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS - 4, hold);
	model_advance(w->m, 61 * MODEL_MINUTE);
	w->vm.populate.wish = POPULATE_WISH_ASKED;
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS - 4, REASON_GAVE_BACK);
	w->vm.populate.wish = POPULATE_WISH_FORCED;
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS, REASON_NONE);
}

static void what_is_given_back_before_the_next_look_stays_so(void **state)
{
	expect_given_back_unseen(*state, RAM + 16 * BLOCK, REASON_LOST_PAGES);
}

static void what_is_given_back_before_the_second_look_stays_so(void **state)
{
	expect_given_back_unseen(*state, RAM, REASON_POPULATE_REFUSED);
}

/* What could not be made is as empty after it, which nobody gave back. */
static void what_failed_is_tried_again(void **state)
{
	static const enum model_fault_kind kinds[] = {MODEL_FAULT_ENOMEM, MODEL_FAULT_EBUSY,
						      MODEL_FAULT_EAGAIN};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		model_add_fault(w->m, &(struct model_fault){.kind = kinds[i], .calls = 1000});
		assert_int_equal(cycle(w), 0);
		expect(w, 0, REASON_NONE);
		assert_true(w->vm.plan.n_actions > 0);
		model_clear_faults(w->m);
		model_advance(w->m, 65 * MODEL_MINUTE);
		w->vm.populate.until_ns = UINT64_MAX;
	}
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS, REASON_NONE);
}

/* Data that the VMM has not mapped: written by another process. */
static void data_in_the_file_stay(void **state)
{
	struct world *w = *state;

	model_touch(w->m, PID, RAM + 7 * BLOCK, BLOCK / 2);
	model_zap(w->m, PID, RAM + 7 * BLOCK, BLOCK);
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS - 1, REASON_FILE_HAS_DATA);
	assert_int_equal(model_check_data(w->m), 0);
}

static void a_refusal_is_said_and_not_repeated(void **state)
{
	static const struct {
		int error;
		enum reason reason;
	} cases[] = {
		{-ENOSPC, REASON_TMPFS_FULL},
		{-EPERM, REASON_SEALED_FILE},
		{-EACCES, REASON_FILE_NOT_WRITABLE},
		{-EINVAL, REASON_POPULATE_REFUSED},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		model_fail_seeds(w->m, cases[i].error);
		for (size_t tries = 0; tries <= 3; tries++) {
			assert_int_equal(cycle(w), 0);
			assert_int_equal(w->vm.plan.n_actions, 3 - tries);
		}
		expect(w, 0, cases[i].reason);
		model_advance(w->m, 61 * MODEL_MINUTE);
		w->vm.populate.until_ns = UINT64_MAX;
	}
	model_fail_seeds(w->m, 0);
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS, REASON_NONE);
}

/* Who pays for small pages that never become a huge one is the host. */
static void a_kernel_that_refuses_everything_costs_a_page(void **state)
{
	const struct model_fault refusal = {.kind = MODEL_FAULT_HALF_EINVAL, .calls = 1000};
	struct world *w = *state;

	w->vm.policy.copy_call_bytes = 4 * BLOCK;
	model_add_fault(w->m, &refusal);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(cycle(w), 0);
		assert_true(w->vm.plan.n_actions > 4);
		assert_int_equal(model_stats(w->m).seeded_pages, i);
		assert_int_equal(w->vm.acts[0].outcome.err, EINVAL);
		assert_int_equal(w->vm.acts[1].outcome.err, ECANCELED);
	}
	model_clear_faults(w->m);
	expect(w, 0, REASON_NONE);
	assert_int_equal(w->vm.diagnosis.totals.by_reason[REASON_POPULATE_REFUSED], 12 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(model_huge_bytes(w->m, PID, RAM, BLOCKS * BLOCK), 28 * BLOCK);
}

static void what_cannot_be_populated_keeps_no_copy_waiting(void **state)
{
	const hva_t more = RAM + (UINT64_C(1) << 36);
	const struct model_map map = {
		.start = more, .bytes = BLOCKS * BLOCK, .backing = MODEL_MEMFD};
	struct world *w = *state;

	model_mmap(w->m, PID, &map);
	model_touch(w->m, PID, more, BLOCKS * BLOCK);
	model_fail_seeds(w->m, -EPERM);
	assert_int_equal(cycle(w), 0);
	expect(w, 0, REASON_NONE);
	assert_int_equal(model_huge_bytes(w->m, PID, more, BLOCKS * BLOCK), BLOCKS * BLOCK);
}

static void what_is_not_reserved_is_left_alone(void **state)
{
	const hva_t more = RAM + (UINT64_C(1) << 36);
	const struct model_map map = {.start = more,
				      .bytes = BLOCKS * BLOCK,
				      .backing = MODEL_MEMFD,
				      .flags = VMA_FLAG_NR};
	struct world *w = *state;

	model_mmap(w->m, PID, &map);
	assert_int_equal(cycle(w), 0);
	expect(w, BLOCKS, REASON_NONE);
	assert_int_equal(model_huge_bytes(w->m, PID, more, BLOCKS * BLOCK), 0);
	assert_int_equal(w->vm.diagnosis.totals.by_reason[REASON_NOT_RESERVED], BLOCKS * BLOCK);
}

static void a_killed_vm_is_let_go(void **state)
{
	struct world *w = *state;

	model_add_fault(w->m, &(struct model_fault){.kind = MODEL_FAULT_VANISH});
	assert_int_equal(cycle(w), -ESRCH);
}

/* Two nodes; 10 blocks of each are to be left. Who fills runs on node 0. */
static void between_two_nodes(struct world *w, uint64_t free_on_0, uint64_t free_on_1)
{
	const struct budget budget = {.copy_bytes_per_s = UINT64_MAX,
				      .free_reserve_bytes = 10 * BLOCK,
				      .block_bytes = BLOCK};
	struct model_options o = MODEL_OPTIONS_INIT;

	o.nodes = 2;
	world_change(w, &o, &(struct model_vm){.pid = PID});
	w->vm.policy.populate = POPULATE_HUGE;
	governor_set_budget(&w->d.governor, &budget, 0);
	w->laws.budget = budget;
	map(w, MODEL_MEMFD, BLOCKS);
	model_set_node_free_blocks(w->m, 0, free_on_0);
	model_set_node_free_blocks(w->m, 1, free_on_1);
}

static void runs_on(struct world *w, int node)
{
	w->vm.n_vcpus = 1;
	w->vm.vcpus[0] = (struct vcpu){.tid = PID + 1, .node = (int16_t)node, .busy_bp = 5000};
}

static void expect_on(struct world *w, int node, uint64_t blocks)
{
	assert_int_equal(model_huge_bytes(w->m, PID, RAM, BLOCKS * BLOCK), blocks * BLOCK);
	assert_int_equal(model_bytes_on(w->m, PID, RAM, BLOCKS * BLOCK, node), blocks * BLOCK);
}

static void a_vm_is_populated_on_its_node(void **state)
{
	struct world *w = *state;

	between_two_nodes(w, 1000, 1000);
	runs_on(w, 1);
	assert_int_equal(cycle(w), 0);
	expect_on(w, 1, BLOCKS);
}

/* However much the other one has. */
static void the_reserve_of_its_node_is_left(void **state)
{
	struct world *w = *state;

	between_two_nodes(w, 1000, 16);
	runs_on(w, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(cycle(w), 0);
	expect_on(w, 1, 6);
	assert_int_equal(model_stats(w->m).least_node_free_blocks, 10);
	model_set_node_free_blocks(w->m, 1, 1000);
	assert_int_equal(cycle(w), 0);
	expect_on(w, 1, BLOCKS);
}

static void where_nobody_knows_the_node_it_is_that_with_room(void **state)
{
	struct world *w = *state;

	between_two_nodes(w, 16, 1000);
	assert_int_equal(cycle(w), 0);
	expect_on(w, 1, BLOCKS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, populating_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_huge_after_one_cycle),
		TEST(an_old_vm_is_left_alone),
		TEST(what_the_guest_gave_back_stays_its_own),
		TEST(what_is_given_back_before_the_next_look_stays_so),
		TEST(what_is_given_back_before_the_second_look_stays_so),
		TEST(what_failed_is_tried_again),
		TEST(data_in_the_file_stay),
		TEST(a_refusal_is_said_and_not_repeated),
		TEST(a_kernel_that_refuses_everything_costs_a_page),
		TEST(what_cannot_be_populated_keeps_no_copy_waiting),
		TEST(what_is_not_reserved_is_left_alone),
		TEST(a_vm_is_populated_on_its_node),
		TEST(the_reserve_of_its_node_is_left),
		TEST(where_nobody_knows_the_node_it_is_that_with_room),
		TEST(a_killed_vm_is_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
