/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "collapse.h"

/* A kernel that notes the call and answers as told. */
struct script {
	ssize_t answer;
	unsigned calls;
	int pidfd;
	hva_t start;
	uint64_t bytes, now_ns;
};

static ssize_t scripted_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes)
{
	struct script *s = sys->userdata;

	(void)pid;
	s->calls++;
	s->pidfd = pidfd;
	s->start = start;
	s->bytes = bytes;
	s->now_ns += 700;
	return s->answer;
}

static uint64_t scripted_now(struct sys *sys)
{
	struct script *s = sys->userdata;

	return s->now_ns += 10;
}

static const struct sys_ops ops = {.collapse = scripted_collapse, .now_ns = scripted_now};
static const struct mmu_geometry geometry = {12, 9, 18};
static const struct process process = {.pid = 7, .starttime = 42, .pidfd = 33};

#define BLOCK UINT64_C(2097152)

static struct action action_at(hva_t start, uint64_t bytes)
{
	return (struct action){
		.id = 5,
		.target = {.pid = 7, .starttime = 42, .start = start, .bytes = bytes},
	};
}

static void one_call_is_made(void **state)
{
	struct script s = {.answer = 4 * BLOCK};
	struct sys sys = {.ops = &ops, .userdata = &s};
	struct action a = action_at(8 * BLOCK, 4 * BLOCK);
	struct outcome o = collapse_act(&sys, &process, &a, &geometry);

	(void)state;
	assert_int_equal(o.action, 5);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.took_ns, 710);
	assert_int_equal(o.worst_call_ns, 710);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.pidfd, 33);
	assert_int_equal(s.start, 8 * BLOCK);
	assert_int_equal(s.bytes, 4 * BLOCK);
}

static void refusal_is_an_outcome(void **state)
{
	struct script s = {.answer = -EAGAIN};
	struct sys sys = {.ops = &ops, .userdata = &s};
	struct action a = action_at(8 * BLOCK, BLOCK);

	(void)state;
	assert_int_equal(collapse_act(&sys, &process, &a, &geometry).err, EAGAIN);
}

static void what_must_not_be_done_is_not_done(void **state)
{
	struct script s = {.answer = 0};
	struct sys sys = {.ops = &ops, .userdata = &s};
	struct action bad[] = {
		action_at(8 * BLOCK + 4096, BLOCK),
		action_at(8 * BLOCK, BLOCK - 4096),
		action_at(8 * BLOCK, BLOCK / 2),
		action_at(8 * BLOCK, 0),
		action_at(8 * BLOCK, (UINT64_C(1) << 30) + BLOCK),
		action_at(UINT64_MAX - BLOCK + 1, 2 * BLOCK),
		action_at(8 * BLOCK, BLOCK),
		action_at(8 * BLOCK, BLOCK),
	};

	(void)state;
	bad[6].target.pid = 8;
	bad[7].target.starttime = 43;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(collapse_act(&sys, &process, &bad[i], &geometry).err, EINVAL);
	assert_int_equal(s.calls, 0);
}

static void probe_asks_for_one_page(void **state)
{
	struct script s = {.answer = 4096};
	struct sys sys = {.ops = &ops, .userdata = &s};

	(void)state;
	assert_int_equal(collapse_probe(&sys, &process, 8 * BLOCK, &geometry), ELIGIBILITY_YES);
	assert_int_equal(s.start, 8 * BLOCK);
	assert_int_equal(s.bytes, 4096);
}

static void probe_answers_are_told_apart(void **state)
{
	static const struct {
		ssize_t answer;
		enum eligibility eligibility;
	} cases[] = {
		{0, ELIGIBILITY_YES},		{-EINVAL, ELIGIBILITY_NO},
		{-EPERM, ELIGIBILITY_NO_RIGHT}, {-EACCES, ELIGIBILITY_NO_RIGHT},
		{-ESRCH, ELIGIBILITY_UNKNOWN},	{-EINTR, ELIGIBILITY_UNKNOWN},
		{-ENOMEM, ELIGIBILITY_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {.answer = cases[i].answer};
		struct sys sys = {.ops = &ops, .userdata = &s};

		assert_int_equal(collapse_probe(&sys, &process, BLOCK, &geometry),
				 cases[i].eligibility);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_is_made),
		cmocka_unit_test(refusal_is_an_outcome),
		cmocka_unit_test(what_must_not_be_done_is_not_done),
		cmocka_unit_test(probe_asks_for_one_page),
		cmocka_unit_test(probe_answers_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
