/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nudge by QEMU: what becomes of it in the cycle, by what the workers bring back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cycle.h"
#include "job.h"

#define SECOND UINT64_C(1000000000)
#define HOUR   (3600 * SECOND)

static uint64_t the_time;

static uint64_t made_up_time(struct sys *sys)
{
	(void)sys;
	return the_time;
}

/* A VM whose cycle has come to its end, and whose monitor is nobody. */
struct shell {
	struct sys sys;
	struct sys_ops ops;
	struct process process;
	struct manager m;
	struct guest *g;
};

static int set_up(void **state)
{
	static const struct vm vm = {.name = "vm"};
	struct shell *s = calloc(1, sizeof(*s));

	if (!s || sys_open_host(&s->sys) < 0 || process_open(&s->sys, getpid(), &s->process) < 0)
		return -1;
	s->ops = *s->sys.ops;
	s->ops.now_ns = made_up_time;
	s->sys.ops = &s->ops;
	the_time = 100 * HOUR;
	s->m.sys = &s->sys;
	s->g = guest_new(1, &s->process, &vm);
	if (!s->g || executor_new(&s->sys, 1, &s->m.executor) < 0)
		return -1;
	s->m.guests = s->g;
	s->g->snapshot.policy.may_dirty_rate = true;
	s->g->snapshot.policy.nudge = NUDGE_AUTO;
	(void)strcpy(s->g->snapshot.policy.monitor, "/nonexistent");
	s->g->phase = PHASE_NUDGE;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct shell *s = *state;

	(void)executor_stop(s->m.executor, 10 * SECOND);
	executor_free(s->m.executor);
	guest_free(s->g);
	sys_close(&s->sys);
	free(s);
	return 0;
}

/* The job that was submitted, when it is back. */
static struct job *collect(struct shell *s)
{
	struct pollfd p = {.fd = executor_fd(s->m.executor), .events = POLLIN};
	struct job *j;

	while (!(j = executor_collect(s->m.executor)))
		assert_true(poll(&p, 1, 30000) > 0);
	return j;
}

static void take(struct shell *s, struct job *j)
{
	cycle_take_result(&s->m, s->g, j);
	job_free(j);
}

/* As if the monitor had answered. */
static struct job *answered(struct shell *s, enum dirty_rate_step step, uint64_t small_pages)
{
	struct job *j = collect(s);

	j->step = step;
	j->step_err = 0;
	j->step_why = NULL;
	j->counts = (struct kvm_counts){
		.source = KVM_SOURCE_QMP,
		.read_ns = the_time,
		.pages_4k = small_pages,
		.pages_2m = 32 - small_pages / 512,
	};
	return j;
}

static void start(struct shell *s)
{
	s->g->nudge.is_wished = true;
	s->g->phase = PHASE_NUDGE;
	assert_true(measuring_start(&s->m, s->g));
}

static void start_measuring(struct shell *s)
{
	start(s);
	take(s, answered(s, DIRTY_RATE_MEASURING, 16384));
	assert_int_equal(s->g->nudging, NUDGING_MEASURING);
	assert_int_equal(s->g->phase, PHASE_NUDGE);
}

static void second_passes(struct shell *s)
{
	the_time += SECOND;
	measuring_tend(&s->m, s->g);
}

static void it_is_told_waited_for_and_judged(void **state)
{
	struct shell *s = *state;
	const struct nudge_verdict *v = &s->g->nudge.verdict;

	start_measuring(s);
	assert_int_equal(s->m.counters.nudges, 1);
	assert_int_equal(s->g->snapshot.kvm.source, KVM_SOURCE_NONE); /* old by now */
	measuring_tend(&s->m, s->g);
	assert_int_equal(s->g->jobs_in_flight, 0); /* not within the second */
	second_passes(s);
	take(s, answered(s, DIRTY_RATE_MEASURING, 0));
	assert_int_equal(s->g->phase, PHASE_NUDGE);
	second_passes(s);
	take(s, answered(s, DIRTY_RATE_DONE, 512));
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->nudging, NUDGING_NONE);
	assert_int_equal(s->g->last_nudge.means, NUDGE_BY_DIRTY_RATE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_DONE);
	assert_int_equal(s->g->last_nudge.took_ns, 2 * SECOND);
	assert_int_equal(s->g->snapshot.kvm.pages_4k, 512);
	assert_true(s->g->nudge.awaits_verdict);
	assert_int_equal(v->small_before_bytes, 64 << 20);
	s->g->snapshot.kvm.read_ns = the_time + 10 * SECOND;
	nudging_observe(s->g);
	assert_true(v->is_known && !v->is_vain);
	assert_int_equal(v->small_after_bytes, 2 << 20);
}

static void who_is_held_is_told_why(void **state)
{
	struct shell *s = *state;
	struct job *j;

	start(s);
	j = answered(s, DIRTY_RATE_HELD, 0);
	j->held = REASON_VHOST_DEVICE;
	take(s, j);
	assert_int_equal(s->g->nudge_refused, REASON_VHOST_DEVICE);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_false(s->g->nudge.has_nudged || s->g->last_nudge.is_set || s->g->nudge.is_wished);
	assert_int_equal(s->m.counters.nudges, 0);
	assert_true(s->g->nudge.not_before_ns > the_time);
}

/* By itself, and an operator's wish comes in between. */
static void start_unasked(struct shell *s)
{
	s->g->nudge.is_wished = false;
	s->g->phase = PHASE_NUDGE;
	assert_true(measuring_start(&s->m, s->g));
	s->g->nudge.is_wished = true;
}

static void a_wish_is_not_fulfilled_by_what_came_before(void **state)
{
	struct shell *s = *state;
	struct job *j;

	start_unasked(s);
	j = answered(s, DIRTY_RATE_HELD, 0);
	j->held = REASON_MEASURED_LATELY; /* that is for who does not ask */
	take(s, j);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_true(s->g->nudge.is_wished && s->g->is_due);
	assert_int_equal(s->g->nudge_refused, REASON_NONE);
	start_unasked(s);
	take(s, answered(s, DIRTY_RATE_MEASURING, 16384));
	second_passes(s);
	take(s, answered(s, DIRTY_RATE_DONE, 512));
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_DONE);
	assert_true(s->g->nudge.is_wished);
}

/* What has not begun is not done any more: it comes back as the executor gives it back. */
static void who_is_paused_before_it_began_is_not_told(void **state)
{
	struct shell *s = *state;
	struct job *j;

	start(s);
	s->g->snapshot.policy.is_paused = true;
	j = collect(s);
	j->step = DIRTY_RATE_NONE;
	j->err = -ECANCELED;
	take(s, j);
	assert_int_equal(s->g->nudge_refused, REASON_PAUSED);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->nudging, NUDGING_NONE);
	assert_false(s->g->nudge.has_nudged || s->g->last_nudge.is_set || s->g->nudge.is_wished);
	assert_int_equal(s->g->nudge.not_before_ns, 0);
}

static void on_evidence_it_is_one_vm_at_a_time(void **state)
{
	struct shell *s = *state;
	struct guest other = {.nudging = NUDGING_MEASURING};

	s->g->next = &other;
	s->g->nudge.is_wished = false;
	assert_false(measuring_start(&s->m, s->g));
	s->g->nudge.is_wished = true;
	assert_true(measuring_start(&s->m, s->g));
	s->g->next = NULL;
	take(s, answered(s, DIRTY_RATE_MEASURING, 0));
}

static void a_refusal_is_reported_and_not_asked_for_again(void **state)
{
	struct shell *s = *state;
	struct job *j;

	start(s);
	j = answered(s, DIRTY_RATE_REFUSED, 0);
	(void)strcpy(j->refusal, "too old");
	take(s, j);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_REFUSED);
	assert_string_equal(s->g->last_nudge.refusal, "too old");
	assert_int_equal(s->g->nudge.not_before_ns, the_time + 24 * HOUR);
	assert_false(s->g->nudge.has_nudged);
}

/* Nobody listens at the path of the policy: what the worker says of it is real. */
static void without_a_monitor_the_cycle_ends(void **state)
{
	struct shell *s = *state;

	start(s);
	take(s, collect(s));
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_FAILED);
	assert_int_equal(s->g->last_nudge.err, -ENOENT);
	assert_false(s->g->nudge.has_nudged);
	assert_int_equal(s->g->nudge.not_before_ns, the_time + 600 * SECOND);
}

static void what_may_have_been_told_counts(void **state)
{
	struct shell *s = *state;
	struct job *j;

	start(s);
	j = answered(s, DIRTY_RATE_FAILED, 16384);
	j->may_be_told = true;
	j->step_err = -ETIMEDOUT;
	take(s, j);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_true(s->g->nudge.has_nudged);
	assert_false(s->g->nudge.awaits_verdict);
	assert_int_equal(s->g->last_nudge.err, -ETIMEDOUT);
	assert_int_equal(s->m.counters.nudges, 1);
}

static void a_monitor_that_is_silent_is_waited_for_a_minute(void **state)
{
	struct shell *s = *state;
	unsigned int asked = 0;

	start_measuring(s);
	while (s->g->nudging == NUDGING_MEASURING && asked < 100) {
		second_passes(s);
		take(s, collect(s));
		asked++;
	}
	assert_int_equal(asked, 60);
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_FAILED);
	assert_int_equal(s->g->last_nudge.err, -ETIMEDOUT);
	assert_false(s->g->nudge.awaits_verdict);
}

static void a_measuring_without_end_is_given_up(void **state)
{
	struct shell *s = *state;

	start_measuring(s);
	the_time += 60 * SECOND;
	measuring_tend(&s->m, s->g);
	take(s, answered(s, DIRTY_RATE_MEASURING, 0));
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.err, -ETIMEDOUT);
}

static void rubbish_ends_it_at_once(void **state)
{
	struct shell *s = *state;

	start_measuring(s);
	second_passes(s);
	take(s, answered(s, DIRTY_RATE_FAILED, 0));
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_FAILED);
	assert_int_equal(s->g->last_nudge.err, 0);
	assert_int_equal(s->g->snapshot.kvm.source, KVM_SOURCE_NONE);
}

static void a_guest_that_was_stopped_is_told_of(void **state)
{
	struct shell *s = *state;

	start_measuring(s);
	second_passes(s);
	take(s, answered(s, DIRTY_RATE_STOPPED, 0));
	assert_int_equal(s->g->phase, PHASE_IDLE);
	assert_int_equal(s->g->last_nudge.step, DIRTY_RATE_STOPPED);
	assert_false(s->g->nudge.awaits_verdict);
}

/* A worker hangs on its command line, say. */
static void who_hangs_is_given_up(void **state)
{
	struct shell *s = *state;

	start(s);
	cycle_give_up(&s->m, s->g);
	assert_int_equal(s->g->nudging, NUDGING_NONE);
	assert_false(s->g->nudge.is_wished);
	assert_int_equal(s->g->last_nudge.err, -ETIMEDOUT);
	assert_int_equal(s->g->nudge.not_before_ns, the_time + 24 * HOUR);
	take(s, answered(s, DIRTY_RATE_MEASURING, 0));
	assert_false(s->g->is_stuck);
	assert_int_equal(s->g->phase, PHASE_IDLE);
}

int main(void)
{
#define IN_SHELL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_SHELL(it_is_told_waited_for_and_judged),
		IN_SHELL(who_is_held_is_told_why),
		IN_SHELL(a_wish_is_not_fulfilled_by_what_came_before),
		IN_SHELL(who_is_paused_before_it_began_is_not_told),
		IN_SHELL(on_evidence_it_is_one_vm_at_a_time),
		IN_SHELL(a_refusal_is_reported_and_not_asked_for_again),
		IN_SHELL(without_a_monitor_the_cycle_ends),
		IN_SHELL(what_may_have_been_told_counts),
		IN_SHELL(a_monitor_that_is_silent_is_waited_for_a_minute),
		IN_SHELL(a_measuring_without_end_is_given_up),
		IN_SHELL(rubbish_ends_it_at_once),
		IN_SHELL(a_guest_that_was_stopped_is_told_of),
		IN_SHELL(who_hangs_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
