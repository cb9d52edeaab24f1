/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The daemon's own cycle on the model kernel, job by job: a move that takes long. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <json-c/json.h>

#include "cycle.h"
#include "hostfacts.h"
#include "model_kernel.h"
#include "report_numa.h"
#include "state.h"

enum { PID = 100, TID = 101, NODES = 2, BLOCKS = 64 };

#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)
#define BYTES (BLOCKS * BLOCK)

struct world {
	struct model *model;
	struct sys sys;
	struct manager m;
	struct guest *g;
};

static void write_file(const struct world *w, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", model_root(w->model), name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_directory(const struct world *w, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", model_root(w->model), name);
	(void)mkdir(path, 0700);
}

/* Its only vCPU, on CPU 0 or 1, which are on nodes 0 and 1. */
static void runs_on(struct world *w, int cpu)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "%d (CPU 0/KVM) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 "
		       "0 0 0 0 0 0 17 %d 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		       (int)TID, cpu);
	write_file(w, "proc/100/task/101/stat", text);
}

static void make_vcpu(struct world *w)
{
	make_directory(w, "proc/100/task");
	make_directory(w, "proc/100/task/101");
	write_file(w, "proc/100/task/101/comm", "CPU 0/KVM\n");
	write_file(w, "sys/devices/system/node/node0/cpulist", "0\n");
	write_file(w, "sys/devices/system/node/node1/cpulist", "1\n");
	runs_on(w, 0);
}

static void set_policy(struct world *w)
{
	struct policy *p = &w->m.config.policy;

	*p = (struct policy)POLICY_INIT;
	p->min_region_bytes = BLOCK;
	p->min_gain_bytes = BLOCK;
	p->copy_call_bytes = BLOCK;
	p->placement = PLACEMENT_FOLLOW;
	p->stable_ns = 0;
	w->g->snapshot.policy = *p;
}

static void make_guest(struct world *w)
{
	struct vm vm = {.pid = PID, .has_kvm = true, .memcg_headroom_bytes = UINT64_MAX};
	struct process process = PROCESS_INIT;

	(void)model_spawn(w->model, &(struct model_vm){.pid = PID, .has_kvm = true});
	make_vcpu(w);
	model_set_touch_node(w->model, 1);
	model_mmap(w->model, PID,
		   &(struct model_map){.start = RAM, .bytes = BYTES, .backing = MODEL_MEMFD});
	model_touch(w->model, PID, RAM, BYTES);
	model_make_huge(w->model, PID, RAM, BYTES);
	model_set_touch_node(w->model, 0);
	assert_int_equal(process_open(&w->sys, PID, &process), 0);
	vm.starttime = process.starttime;
	w->g = guest_new(1, &process, &vm);
	assert_non_null(w->g);
	w->m.guests = w->g;
}

static int set_up_on(void **state, bool has_scan)
{
	struct world *w = calloc(1, sizeof(*w));
	struct model_options o = MODEL_OPTIONS_INIT;
	struct manager *m;

	assert_non_null(w);
	m = &w->m;
	o.nodes = NODES;
	o.has_scan = has_scan;
	w->model = model_new(&o);
	assert_int_equal(model_open_sys(w->model, &w->sys), 0);
	m->sys = &w->sys;
	assert_int_equal(host_read_geometry(&w->sys, &m->geometry), 0);
	m->host.features = model_features(w->model) | FEATURE_NODES;
	assert_int_equal(host_read_knobs(&w->sys, &m->geometry, &m->host), 0);
	assert_int_equal(host_read_memory(&w->sys, &m->geometry, &m->host), 0);
	m->config.interval_ns = MODEL_SECOND;
	m->config.budget = (struct budget){.copy_bytes_per_s = BLOCK, .block_bytes = BLOCK};
	governor_init(&m->governor, &m->config.budget, model_now(w->model));
	assert_int_equal(executor_new(&w->sys, 1, &m->executor), 0);
	make_guest(w);
	set_policy(w);
	host_read_nodes(&w->sys, &m->host);
	*state = w;
	return 0;
}

static int set_up(void **state)
{
	return set_up_on(state, true);
}

static int set_up_before_6_7(void **state)
{
	return set_up_on(state, false);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	assert_true(executor_stop(w->m.executor, MODEL_SECOND));
	executor_free(w->m.executor);
	assert_int_equal(w->m.governor.in_flight_bytes, 0);
	guest_free(w->g);
	sys_close(&w->sys);
	model_free(w->model);
	free(w);
	return 0;
}

static void take_one(struct world *w)
{
	struct pollfd fd = {.fd = executor_fd(w->m.executor), .events = POLLIN};
	struct job *j;

	assert_int_equal(poll(&fd, 1, 10000), 1);
	j = executor_collect(w->m.executor);
	if (!j)
		return;
	assert_ptr_equal(manager_find_guest(&w->m, j->guest), w->g);
	cycle_take_result(&w->m, w->g, j);
	job_free(j);
}

/* Until the cycle has ended or waits for its budget. */
static void go_on(struct world *w)
{
	while (w->g->jobs_in_flight > 0)
		take_one(w);
}

/* Seconds as the daemon lives them. False: the cycle has ended. */
static bool live(struct world *w, int seconds)
{
	for (int i = 0; i < seconds && w->g->phase != PHASE_IDLE; i++) {
		model_advance(w->model, MODEL_SECOND);
		assert_int_equal(w->g->phase, PHASE_WAIT);
		if (model_now(w->model) >= w->g->retry_ns)
			cycle_resume(&w->m, w->g);
		go_on(w);
	}
	return w->g->phase != PHASE_IDLE;
}

static uint64_t blocks_at_home(const struct world *w)
{
	return model_bytes_on(w->model, PID, RAM, BYTES, 0) / BLOCK;
}

static void test_a_long_move_goes_on(void **state)
{
	struct world *w = *state;

	cycle_start(&w->m, w->g);
	go_on(w);
	assert_true(live(w, 30));
	assert_in_range(blocks_at_home(w), 28, 34);
	assert_false(live(w, 2 * BLOCKS));
	assert_int_equal(blocks_at_home(w), BLOCKS);
}

/* A cycle that waits for its budget again and again may take an hour. */
static void test_a_long_move_ends_when_the_vcpus_go(void **state)
{
	struct world *w = *state;
	uint64_t blocks;

	cycle_start(&w->m, w->g);
	go_on(w);
	assert_true(live(w, 5));
	blocks = blocks_at_home(w);
	assert_in_range(blocks, 3, 8);
	runs_on(w, 1);
	assert_false(live(w, 12));
	assert_true(blocks_at_home(w) <= blocks + 11);
	assert_int_equal(w->g->mover.target, 0);
	assert_int_equal(w->g->mover.home.nodes, 1 << 1);
}

static void spend_freely(struct world *w)
{
	w->m.config.budget.copy_bytes_per_s = UINT64_MAX;
	governor_set_budget(&w->m.governor, &w->m.config.budget, model_now(w->model));
}

/* An administrator forbids moves in the middle of one, of which many are granted already. */
static void test_a_reload_stops_what_has_not_begun(void **state)
{
	struct world *w = *state;

	spend_freely(w);
	cycle_start(&w->m, w->g);
	while (w->g->phase != PHASE_ACT || w->g->plan_next < 4)
		take_one(w);
	assert_int_equal(w->g->plan.n_actions, BLOCKS);
	w->m.config.policy.placement = PLACEMENT_REPORT;
	manager_apply_policies(&w->m);
	assert_int_equal(w->g->snapshot.policy.placement, PLACEMENT_REPORT);
	go_on(w);
	assert_int_equal(w->g->phase, PHASE_IDLE);
	assert_in_range(blocks_at_home(w), 1, 5);
	assert_int_equal(w->g->mover.target, 0);
}

/* What was huge before is not said to have become huge, also where a look has to be wide to tell.
 */
static void test_a_move_makes_nothing_huge(void **state)
{
	struct world *w = *state;

	spend_freely(w);
	w->m.config.policy.may_copy = false;
	guest_apply_policy(w->g, &w->m.config);
	model_discard(w->model, PID, RAM + BYTES / 2, BYTES / 2);
	model_set_touch_node(w->model, 1);
	model_touch(w->model, PID, RAM + BYTES / 2, BYTES / 2); /* small pages */
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_int_equal(blocks_at_home(w), BLOCKS);
	assert_int_equal(w->g->last_action.placed_bytes, BYTES);
	assert_int_equal(w->g->last_action.huge_bytes_delta, 0);
	assert_int_equal(w->g->last_action.effect, EFFECT_DONE);
	assert_int_equal(w->m.counters.placed_bytes, BYTES);
	assert_int_equal(model_huge_bytes(w->model, PID, RAM, BYTES), BYTES / 2);
}

/* Somebody took the free blocks of the node between the plan and the call. */
static void test_a_node_that_has_filled_up_meanwhile_is_seen(void **state)
{
	struct world *w = *state;
	struct job *j;

	cycle_start(&w->m, w->g);
	go_on(w);
	j = cycle_new_job(&w->m, w->g, JOB_ACT);
	assert_non_null(j);
	j->action = (struct action){
		.kind = ACTION_PLACE,
		.target = {PID, w->g->process.starttime, RAM + 8 * BLOCK, 2 * BLOCK}};
	j->start = RAM + 8 * BLOCK;
	j->end = j->start + 2 * BLOCK;
	j->must_confirm = true;
	j->free_reserve_bytes = 4 * BLOCK;
	model_set_node_free_blocks(w->model, 0, 5);
	job_run(&w->sys, j);
	assert_int_equal(j->outcome.err, ECANCELED);
	assert_int_equal(blocks_at_home(w), 1);
	job_free(j);
	/* What is planned anew goes by what there is: nothing is broken, and the move goes on. */
	model_set_node_free_blocks(w->model, 0, 0);
	assert_false(live(w, 3));
	assert_int_equal(w->g->moves_held, REASON_NODE_FULL);
	assert_int_not_equal(w->g->mover.target, 0);
	assert_int_equal(model_stats(w->model).split_by_move, 0);
	model_set_node_free_blocks(w->model, 0, 1000);
	spend_freely(w);
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_int_equal(blocks_at_home(w), BLOCKS);
	assert_int_equal(w->m.counters.failed_calls, 0);
}

static bool is_said_to_move(const struct world *w)
{
	struct json_object *o = report_numa(&w->m, w->g);
	bool is = json_object_get_boolean(json_object_object_get(o, "moving"));

	assert_int_equal(json_object_object_get(o, "moves_in_ns") != NULL, is);
	assert_int_equal(json_object_put(o), 1);
	return is;
}

static void test_a_dry_run_says_that_nothing_moves(void **state)
{
	struct world *w = *state;

	w->m.options.is_dry_run = true;
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_int_equal(blocks_at_home(w), 0);
	assert_int_equal(w->g->plan.n_actions, 1); /* of what it would do */
	assert_false(is_said_to_move(w));
	w->m.options.is_dry_run = false;
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_int_equal(w->g->phase, PHASE_WAIT);
	assert_true(is_said_to_move(w));
}

static uint64_t planned(const struct world *w, const char *key)
{
	struct json_object *o = report_plan(&w->m, w->g);
	uint64_t bytes = json_object_get_uint64(json_object_object_get(o, key));

	assert_non_null(json_object_object_get(o, key));
	assert_int_equal(json_object_put(o), 1);
	return bytes;
}

/* What is to be moved first is not said to be copied where it is. */
static void test_the_plan_tells_of_the_move_under_way(void **state)
{
	struct world *w = *state;

	model_split(w->model, PID, RAM, BYTES);
	w->m.config.policy.may_remap = false;
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_int_equal(w->g->phase, PHASE_WAIT);
	assert_int_equal(planned(w, "place_bytes"), (BLOCKS - 1) * BLOCK);
	assert_int_equal(planned(w, "copy_bytes"), 0);
	assert_int_equal(blocks_at_home(w), 1); /* it was only told */
	w->g->moves_held = REASON_NODE_FULL;
	assert_int_equal(planned(w, "place_bytes"), 0);
}

/* A VMM with thousands of threads is asked less often where they run. */
static void test_reading_vcpus_costs_no_more_than_a_look(void **state)
{
	struct world *w = *state;
	struct job *j = job_new(JOB_SIGNS, w->g->id, &w->g->process);
	uint64_t read_ns;

	assert_non_null(j);
	cycle_read_signs(&w->m, w->g);
	go_on(w);
	assert_int_equal(w->g->snapshot.n_vcpus, 1);
	read_ns = w->g->vcpus_ns;
	j->cpu_ns = MODEL_SECOND / 2;
	w->g->jobs_in_flight++;
	cycle_take_result(&w->m, w->g, j);
	job_free(j);
	model_advance(w->model, 49 * MODEL_SECOND);
	cycle_read_signs(&w->m, w->g);
	go_on(w);
	assert_int_equal(w->g->vcpus_ns, read_ns);
	assert_int_equal(w->g->snapshot.n_vcpus, 1); /* what was read last is still known */
	model_advance(w->model, 51 * MODEL_SECOND);
	cycle_read_signs(&w->m, w->g);
	go_on(w);
	assert_true(w->g->vcpus_ns > read_ns);
}

static void test_vcpus_are_not_read_between_cycles_where_nothing_moves(void **state)
{
	struct world *w = *state;

	w->m.config.policy.placement = PLACEMENT_REPORT;
	guest_apply_policy(w->g, &w->m.config);
	cycle_read_signs(&w->m, w->g);
	go_on(w);
	assert_int_equal(w->g->vcpus_ns, 0);
	cycle_start(&w->m, w->g);
	go_on(w);
	assert_true(w->g->vcpus_ns > 0);
	assert_int_equal(w->g->snapshot.n_vcpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_long_move_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_move_makes_nothing_huge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_move_makes_nothing_huge, set_up_before_6_7,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_node_that_has_filled_up_meanwhile_is_seen,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_vcpus_are_not_read_between_cycles_where_nothing_moves, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_a_long_move_ends_when_the_vcpus_go, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_reload_stops_what_has_not_begun, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_dry_run_says_that_nothing_moves, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_plan_tells_of_the_move_under_way, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_reading_vcpus_costs_no_more_than_a_look,
						set_up, tear_down),
	};

	return cmocka_run_group_tests_name("moving", tests, NULL, NULL);
}
