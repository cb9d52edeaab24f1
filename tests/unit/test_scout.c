/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scouts: a process that does not answer costs its own answer and nobody else's. */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scouting.h"

/* Neither running nor a zombie. */
static void expect_no_child(void)
{
	for (int i = 0; i < 1000 && waitpid(-1, NULL, WNOHANG) >= 0; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

enum { ANSWER, HANG, CRASH, REFUSE };

static int start(void **state)
{
	struct sys *sys = calloc(1, sizeof(*sys));

	(void)signal(SIGCHLD, SIG_IGN);
	if (!sys || sys_open_host(sys) < 0)
		return -1;
	*state = sys;
	return 0;
}

static int stop(void **state)
{
	sys_close(*state);
	free(*state);
	return 0;
}

static void behave(struct sys *sys, const void *subjects, size_t index, struct scout_report *ret)
{
	(void)sys;
	switch (((const int *)subjects)[index]) {
	case HANG:
		for (;;)
			(void)pause();
	case CRASH:
		(void)raise(SIGKILL);
		break;
	case REFUSE:
		ret->err = -EACCES;
		break;
	default:
		ret->vm.pid = (pid_t)(1000 + index);
	}
}

/* ---- one scout ------------------------------------------------------------------------- */

static int wait_and_hear(const struct scout *s, struct scout_report *r)
{
	struct pollfd p = {.fd = s->reports_fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 60000), 1);
	return scout_hear(s, r);
}

static void reports_come_in_order(void **state)
{
	const int subjects[] = {CRASH, ANSWER, REFUSE};
	struct scout s = SCOUT_INIT;
	struct scout_report r;

	assert_int_equal(scout_send(*state, behave, subjects, 1, 3, &s), 0);
	assert_int_equal(wait_and_hear(&s, &r), 1);
	assert_int_equal(r.index, 1);
	assert_int_equal(r.vm.pid, 1001);
	assert_int_equal(wait_and_hear(&s, &r), 1);
	assert_int_equal(r.index, 2);
	assert_int_equal(r.err, -EACCES);
	assert_int_equal(wait_and_hear(&s, &r), -ENODATA);
	scout_recall(&s);
	assert_int_equal(s.reports_fd, -EBADF);
	assert_int_equal(s.pidfd, -EBADF);
	expect_no_child();
}

static void one_that_hangs_is_recalled(void **state)
{
	const int subjects[] = {HANG};
	struct scout s = SCOUT_INIT;
	struct scout_report r;

	assert_int_equal(scout_send(*state, behave, subjects, 0, 1, &s), 0);
	assert_int_equal(scout_hear(&s, &r), -EAGAIN);
	scout_recall(&s);
	scout_recall(&s); /* once more does nothing */
	expect_no_child();
}

static void it_identifies_a_held_process(void **state)
{
	struct process p = PROCESS_INIT, whole = PROCESS_INIT;
	struct scout s = SCOUT_INIT;
	struct scout_report r;

	assert_int_equal(process_hold(*state, getpid(), &p), 0);
	assert_false(p.is_known);
	assert_int_equal(process_open(*state, getpid(), &whole), 0);
	assert_int_equal(scout_send(*state, scout_identify, &p, 0, 1, &s), 0);
	assert_int_equal(wait_and_hear(&s, &r), 1);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.starttime, whole.starttime);
	assert_int_equal(r.mm_key, whole.mm_key);
	assert_int_equal(r.vm.pid, getpid());
	assert_int_equal(r.vm.starttime, whole.starttime);
	assert_string_equal(r.vm.comm, "test_scout");
	scout_recall(&s);
	process_close(&p);
	process_close(&whole);
}

/* ---- scouting -------------------------------------------------------------------------- */

struct journal {
	sd_event *event;
	struct scouting *scouting;
	int err[16];
	size_t n;
	bool has_ended;
};

static void take(void *userdata, const struct scout_report *r)
{
	struct journal *j = userdata;

	assert_false(j->has_ended);
	assert_int_equal(r->index, j->n);
	assert_true(r->err != 0 || r->vm.pid == (pid_t)(1000 + j->n));
	j->err[j->n++] = r->err;
}

static void end(void *userdata)
{
	struct journal *j = userdata;

	assert_false(j->has_ended);
	j->has_ended = true;
	j->scouting = scouting_free(j->scouting);
	(void)sd_event_exit(j->event, 0);
}

static void ask_all(struct sys *sys, const int *subjects, size_t n, struct journal *j)
{
	const struct scouting_plan plan = {
		.ask = behave,
		.subjects = subjects,
		.n = n,
		.answer = take,
		.end = end,
		.userdata = j,
	};

	assert_true(sd_event_new(&j->event) >= 0);
	assert_int_equal(scouting_start(j->event, sys, &plan, &j->scouting), 0);
	assert_int_equal(j->n, 0);
	assert_int_equal(sd_event_loop(j->event), 0);
	assert_true(j->has_ended);
	assert_int_equal(j->n, n);
	sd_event_unref(j->event);
	expect_no_child();
}

static void who_hangs_or_crashes_is_passed_over(void **state)
{
	const int subjects[] = {ANSWER, HANG, ANSWER, CRASH, REFUSE, HANG, HANG, ANSWER};
	struct journal j = {0};

	ask_all(*state, subjects, 8, &j);
	assert_int_equal(j.err[0], 0);
	assert_int_equal(j.err[1], -ETIMEDOUT);
	assert_int_equal(j.err[2], 0);
	assert_int_equal(j.err[3], -ECONNRESET);
	assert_int_equal(j.err[4], -EACCES);
	assert_int_equal(j.err[5], -ETIMEDOUT);
	assert_int_equal(j.err[6], -ETIMEDOUT);
	assert_int_equal(j.err[7], 0);
}

static void the_last_one_may_hang_too(void **state)
{
	const int subjects[] = {CRASH, HANG};
	struct journal j = {0};

	ask_all(*state, subjects, 2, &j);
	assert_int_equal(j.err[0], -ECONNRESET);
	assert_int_equal(j.err[1], -ETIMEDOUT);
}

static void a_scouting_can_be_given_up(void **state)
{
	const int subjects[] = {HANG, ANSWER};
	struct journal j = {0};
	const struct scouting_plan plan = {
		.ask = behave,
		.subjects = subjects,
		.n = 2,
		.answer = take,
		.end = end,
		.userdata = &j,
	};

	assert_true(sd_event_new(&j.event) >= 0);
	assert_int_equal(scouting_start(j.event, *state, &plan, &j.scouting), 0);
	assert_null(scouting_free(j.scouting));
	sd_event_unref(j.event);
	assert_int_equal(j.n, 0);
	expect_no_child();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_come_in_order),
		cmocka_unit_test(one_that_hangs_is_recalled),
		cmocka_unit_test(it_identifies_a_held_process),
		cmocka_unit_test(who_hangs_or_crashes_is_passed_over),
		cmocka_unit_test(the_last_one_may_hang_too),
		cmocka_unit_test(a_scouting_can_be_given_up),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
