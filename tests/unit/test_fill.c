/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "bits.h"
#include "fill.h"
#include "hole.h"

#define BLOCK UINT64_C(2097152)
#define BASE  (1024 * BLOCK)

enum { BLOCKS = 16, NODE = 3 };

/* A kernel with a file of a few blocks: what the seeding of each and every collapse answer. */
struct script {
	int seed_answer[BLOCKS];
	ssize_t collapse_answer;
	unsigned seeded, collapsed; /* bits, by block */
	unsigned calls;
	uint64_t now_ns;
};

static int scripted_seed(struct sys *sys, int dirfd, pid_t pid, const struct hole *hole)
{
	struct script *s = sys->userdata;
	size_t i = (hole->start - BASE) / BLOCK;

	(void)pid;
	assert_int_equal(dirfd, 44);
	assert_int_equal(hole->region->start, BASE);
	assert_int_equal(hole->bytes, BLOCK);
	assert_int_equal(hole->node, NODE);
	assert_true(i < BLOCKS);
	if (s->seed_answer[i] == 0)
		s->seeded |= 1u << i;
	return s->seed_answer[i];
}

static ssize_t scripted_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes)
{
	struct script *s = sys->userdata;

	(void)pid;
	assert_int_equal(pidfd, 33);
	s->calls++;
	s->now_ns += 700 * s->calls;
	for (hva_t at = start; at < start + bytes; at += BLOCK)
		s->collapsed |= 1u << (at - BASE) / BLOCK;
	return s->collapse_answer;
}

static uint64_t scripted_now(struct sys *sys)
{
	struct script *s = sys->userdata;

	return s->now_ns;
}

static const struct sys_ops ops = {
	.seed_hole = scripted_seed, .collapse = scripted_collapse, .now_ns = scripted_now};
static const struct mmu_geometry geometry = {12, 9, 18};
static const struct process process = {.pid = 7, .starttime = 42, .pidfd = 33, .dirfd = 44};
static const struct region region = {.start = BASE, .end = BASE + BLOCKS * BLOCK};

static struct action action_of(unsigned first, unsigned blocks)
{
	return (struct action){
		.id = 5,
		.kind = ACTION_POPULATE,
		.target = {7, 42, BASE + first * BLOCK, blocks * BLOCK},
		.node = NODE,
	};
}

static struct outcome act(struct script *s, const struct action *a, const struct sight *sights,
			  size_t n)
{
	struct sys sys = {.ops = &ops, .userdata = s};

	return fill_act(&sys, &process, a, &region, sights, n, &geometry);
}

static const struct sight all_empty[] = {{.start = BASE, .blocks = BLOCKS, .seen = SEEN_NOTHING}};

static void the_first_is_tried_alone_and_the_rest_at_once(void **state)
{
	struct script s = {0};
	struct action a = action_of(2, 5);
	struct outcome o = act(&s, &a, all_empty, 1);

	(void)state;
	assert_int_equal(o.action, 5);
	assert_int_equal(o.err, 0);
	assert_int_equal(s.seeded, 0x7c);
	assert_int_equal(s.collapsed, 0x7c);
	assert_int_equal(s.calls, 2);
	assert_int_equal(o.took_ns, 700 + 1400);
}

static void what_is_not_empty_is_left_alone(void **state)
{
	static const struct sight sights[] = {
		{.start = BASE, .blocks = 1, .seen = SEEN_NOTHING},
		{.start = BASE + BLOCK, .blocks = 1, .seen = SEEN_SMALL},
		{.start = BASE + 2 * BLOCK,
		 .blocks = 1,
		 .seen = SEEN_NOTHING,
		 .flags = SIGHT_GUARD},
		{.start = BASE + 3 * BLOCK, .blocks = 1, .seen = SEEN_SWAPPED},
		{.start = BASE + 4 * BLOCK, .blocks = 1, .seen = SEEN_UNKNOWN},
		{.start = BASE + 5 * BLOCK, .blocks = 2, .seen = SEEN_NOTHING},
	};
	struct script s = {0};
	struct action a = action_of(0, 6);
	struct outcome o = act(&s, &a, sights, ARRAY_SIZE(sights));

	(void)state;
	assert_int_equal(o.err, 0);
	assert_int_equal(s.seeded, 0x21);
	assert_int_equal(s.collapsed, 0x21);
	assert_int_equal(o.took_ns, 700 + 1400);
	assert_int_equal(o.worst_call_ns, 1400);
}

static void data_in_the_file_are_passed_over(void **state)
{
	struct script s = {.seed_answer = {[0] = -EEXIST, [2] = -EEXIST}};
	struct action a = action_of(0, 4);
	struct outcome o = act(&s, &a, all_empty, 1);

	(void)state;
	assert_int_equal(o.err, EEXIST);
	assert_int_equal(s.seeded, 0xa);
	assert_int_equal(s.collapsed, 0xa);
}

static void a_failed_seed_ends_it(void **state)
{
	static const int errors[] = {-ENOSPC, -EPERM, -EACCES, -EINVAL, -ESRCH};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct script s = {.seed_answer = {[0] = -EEXIST, [2] = errors[i]}};
		struct action a = action_of(0, 4);
		struct outcome o = act(&s, &a, all_empty, 1);

		assert_int_equal(o.err, -errors[i]);
		assert_int_equal(s.seeded, 0x2);
		assert_int_equal(s.collapsed, 0x2);
	}
}

/* The rest would only be seeded in vain, and not at the VM's cost. */
static void a_failed_collapse_ends_it(void **state)
{
	static const struct sight in_two[] = {
		{.start = BASE, .blocks = 2, .seen = SEEN_NOTHING},
		{.start = BASE + 2 * BLOCK, .blocks = 2, .seen = SEEN_NOTHING},
	};
	static const int errors[] = {-ENOMEM, -EBUSY, -EINVAL, -EAGAIN, -ESRCH};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct script s = {.collapse_answer = errors[i]};
		struct action a = action_of(0, 4);
		struct outcome o = act(&s, &a, in_two, ARRAY_SIZE(in_two));

		assert_int_equal(o.err, -errors[i]);
		assert_int_equal(s.seeded, 0x1);
		assert_int_equal(s.calls, 1);
	}
}

static void what_must_not_be_done_is_not_done(void **state)
{
	struct action wrong[] = {action_of(0, 4),  action_of(0, 4),  action_of(0, 4),
				 action_of(15, 2), action_of(0, 33), action_of(0, 4),
				 action_of(0, 4)};

	(void)state;
	wrong[0].target.pid = 8;
	wrong[1].target.starttime = 43;
	wrong[2].target.start += 4096;
	wrong[5].target.bytes = UINT64_MAX - BLOCK + 1;
	wrong[6].target.start = BASE - BLOCK;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct script s = {0};

		assert_int_equal(act(&s, &wrong[i], all_empty, 1).err, EINVAL);
		assert_int_equal(s.seeded, 0);
		assert_int_equal(s.calls, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_tried_alone_and_the_rest_at_once),
		cmocka_unit_test(what_is_not_empty_is_left_alone),
		cmocka_unit_test(data_in_the_file_are_passed_over),
		cmocka_unit_test(a_failed_seed_ends_it),
		cmocka_unit_test(a_failed_collapse_ends_it),
		cmocka_unit_test(what_must_not_be_done_is_not_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
