/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from an attempt to fill. */
#include "populate_bench.h"

/* ---- what comes of it ------------------------------------------------------------------ */

static struct action whole(void)
{
	return (struct action){.kind = ACTION_POPULATE, .target = {4242, 77, BASE, 8 * BLOCK}};
}

static void populating_is_no_refill(void **state)
{
	const struct sight after = {.start = BASE, .blocks = 8, .seen = SEEN_HUGE, .fill = 16};
	const struct outcome o = {0};
	struct bench *b = *state;
	struct action a = whole();
	struct verdict v = verify_action(&a, &o, b->s.sights, 1, &after, 1, &b->s.geometry);

	assert_int_equal(v.effect, EFFECT_DONE);
	assert_int_equal(v.huge_bytes_delta, 8 * BLOCK);
	assert_int_equal(v.refilled_bytes, 0);
	assert_int_equal(ledger_learn(&b->l, &a, &o, &after, 1, &b->s.geometry, NOW), 0);
	assert_true(interval_set_covers(&b->l.made, BASE, BASE + 8 * BLOCK));
}

static void a_refusal_is_told_and_held(void **state)
{
	static const struct {
		int err;
		enum reason told, held;
	} cases[] = {
		{EEXIST, REASON_FILE_HAS_DATA, REASON_FILE_HAS_DATA},
		{EPERM, REASON_SEALED_FILE, REASON_SEALED_FILE},
		{EACCES, REASON_FILE_NOT_WRITABLE, REASON_FILE_NOT_WRITABLE},
		{ENOSPC, REASON_TMPFS_FULL, REASON_TMPFS_FULL},
		{EINVAL, REASON_POPULATE_REFUSED, REASON_POPULATE_REFUSED},
		{EAGAIN, REASON_BUSY_RETRY, REASON_BUSY_RETRY},
		{0, REASON_POPULATE_REFUSED, REASON_POPULATE_REFUSED},
		{ENOMEM, REASON_NO_FREE_HUGE_PAGE, REASON_TO_POPULATE},
		{ESRCH, REASON_VANISHED, REASON_TO_POPULATE},
	};
	struct bench *b = *state;
	struct action a = whole();

	look(b);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct outcome o = {.err = cases[i].err};
		struct verdict v =
			verify_action(&a, &o, b->s.sights, 1, b->s.sights, 1, &b->s.geometry);

		assert_string_equal(reason_slug(v.reason), reason_slug(cases[i].told));
		ledger_clear(&b->l);
		assert_int_equal(ledger_learn(&b->l, &a, &o, b->s.sights, 1, &b->s.geometry, NOW),
				 0);
		assert_int_equal(ledger_export(&b->l, &b->s), 0);
		expect_reason(b, cases[i].held);
	}
}

/* What could not be filled is copied like any other memory once the guest has touched it. */
static void a_refusal_holds_up_nothing_but_filling(void **state)
{
	struct bench *b = *state;

	look(b);
	build_hold(&b->s, BASE, BASE + 8 * BLOCK, NOW + S, REASON_POPULATE_REFUSED);
	expect_reason(b, REASON_POPULATE_REFUSED);
	b->s.sights[0] = (struct sight){.start = BASE,
					.blocks = 8,
					.seen = SEEN_SMALL,
					.fill = FILL_FULL,
					.present_pages = 8 * 512};
	decide(b, UINT64_MAX);
	assert_int_equal(b->d.runs[0].state, BLOCK_COPYABLE);
	assert_int_equal(b->p.copy_bytes, 8 * BLOCK);
	b->s.sights[0].seen = SEEN_FOLIO;
	decide(b, UINT64_MAX);
	assert_int_equal(b->d.runs[0].state, BLOCK_REMAPPABLE);
}

/* Pages that somebody holds: tried again within the VM's first time, a little later each time. */
static void busy_pages_are_tried_again_soon(void **state)
{
	const struct outcome o = {.err = EAGAIN};
	struct bench *b = *state;
	struct action a = whole();

	look(b);
	assert_int_equal(ledger_learn(&b->l, &a, &o, b->s.sights, 1, &b->s.geometry, NOW), 0);
	b->s.taken_ns = NOW + 59 * S;
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	expect_reason(b, REASON_BUSY_RETRY);
	b->s.taken_ns = NOW + 60 * S;
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	expect_reason(b, REASON_TO_POPULATE);
	assert_int_equal(ledger_learn(&b->l, &a, &o, b->s.sights, 1, &b->s.geometry, NOW), 0);
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	expect_reason(b, REASON_BUSY_RETRY);
}

static void what_would_fail_again_is_not_tried_at_every_place(void **state)
{
	static const struct {
		int err;
		enum plan_stop stop;
	} cases[] = {
		{0, PLAN_STOP_NONE},	     {EEXIST, PLAN_STOP_NONE}, {EAGAIN, PLAN_STOP_NONE},
		{ECANCELED, PLAN_STOP_NONE}, {EINVAL, PLAN_STOP_KIND}, {EPERM, PLAN_STOP_KIND},
		{EACCES, PLAN_STOP_KIND},    {ENOSPC, PLAN_STOP_KIND}, {ESRCH, PLAN_STOP_KIND},
		{EINTR, PLAN_STOP_KIND},     {ENOMEM, PLAN_STOP_ALL},  {EBUSY, PLAN_STOP_ALL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(populate_ends_plan(cases[i].err), cases[i].stop != PLAN_STOP_NONE);
		assert_int_equal(plan_stop_after(ACTION_POPULATE, cases[i].err), cases[i].stop);
	}
}

static void a_full_memory_cgroup_backs_off(void **state)
{
	const struct outcome o = {.err = EBUSY};
	struct bench *b = *state;
	struct action a = whole();

	look(b);
	assert_int_equal(ledger_learn(&b->l, &a, &o, b->s.sights, 1, &b->s.geometry, NOW), 0);
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	expect_reason(b, REASON_MEMCG_LIMIT);
}

static void it_is_confirmed_while_something_is_empty(void **state)
{
	struct bench *b = *state;
	struct action a = whole();

	assert_true(action_is_confirmed(&a, b->s.sights, 1, 10000, &b->s.geometry));
	b->s.sights[0].flags = SIGHT_GUARD;
	assert_false(action_is_confirmed(&a, b->s.sights, 1, 10000, &b->s.geometry));
	b->s.sights[0].flags = 0;
	b->s.sights[0].seen = SEEN_SMALL;
	assert_false(action_is_confirmed(&a, b->s.sights, 1, 10000, &b->s.geometry));
}

static void the_governor_counts_it(void **state)
{
	const struct budget budget = {100 * BLOCK, 0, BLOCK};
	const struct outcome o = {.err = ENOMEM};
	struct action a = whole();
	struct host host = {0};
	struct governor g;
	enum reason reason;
	uint64_t retry_ns;

	(void)state;
	governor_init(&g, &budget, NOW);
	governor_spend(&g, &a);
	assert_int_equal(governor_copy_allowance(&g, &host, NOW, &reason, &retry_ns), 92 * BLOCK);
	governor_settle(&g, &a, &o, NOW);
	assert_int_equal(governor_copy_allowance(&g, &host, NOW, &reason, &retry_ns), 0);
	assert_int_equal(reason, REASON_NO_FREE_HUGE_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(populating_is_no_refill),
		TEST(a_refusal_is_told_and_held),
		TEST(a_refusal_holds_up_nothing_but_filling),
		TEST(busy_pages_are_tried_again_soon),
		TEST(what_would_fail_again_is_not_tried_at_every_place),
		TEST(a_full_memory_cgroup_backs_off),
		TEST(it_is_confirmed_while_something_is_empty),
		TEST(the_governor_counts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
