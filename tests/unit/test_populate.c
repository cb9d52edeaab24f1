/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "confirm.h"
#include "governor.h"
#include "ledger.h"
#include "plan.h"
#include "populate.h"
#include "snapshot_builder.h"
#include "verify.h"

#include <errno.h>

#define S   UINT64_C(1000000000)
#define NOW (1000 * S)

struct bench {
	struct snapshot s;
	struct populate_history h;
	struct ledger l;
	struct diagnosis d;
	struct plan p;
};

/* A VM of eight blocks, two seconds old, of which nothing was touched. */
static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	b->s.taken_ns = NOW;
	b->s.vm.age_ns = 2 * S;
	b->s.policy.populate = POPULATE_HUGE;
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&b->s, BASE, 8, SEEN_NOTHING, 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	populate_clear(&b->h);
	ledger_clear(&b->l);
	diagnosis_clear(&b->d);
	plan_clear(&b->p);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static void look(struct bench *b)
{
	assert_int_equal(populate_observe(&b->h, &b->s, NOW), 0);
}

static void expect_held(struct bench *b, uint64_t now_ns, enum reason reason)
{
	assert_string_equal(reason_slug(populate_held(&b->h, &b->s, now_ns)), reason_slug(reason));
}

static void decide(struct bench *b, uint64_t allowance)
{
	const struct plan_limits limits = {.copy_allowance_bytes = allowance};

	b->s.populate_held = populate_held(&b->h, &b->s, NOW);
	assert_int_equal(diagnose(&b->s, NOW, &b->d), 0);
	assert_int_equal(plan_make(&b->s, &b->d, &limits, &b->p), 0);
}

static void expect_reason(struct bench *b, enum reason reason)
{
	decide(b, UINT64_MAX);
	assert_int_equal(b->d.n_runs, 1);
	assert_int_equal(b->d.runs[0].state, BLOCK_EMPTY);
	assert_string_equal(reason_slug(b->d.runs[0].reason), reason_slug(reason));
	assert_int_equal(b->p.n_actions, reason == REASON_TO_POPULATE);
}

/* ---- history --------------------------------------------------------------------------- */

static void a_young_vm_may_be_filled(void **state)
{
	struct bench *b = *state;

	look(b);
	expect_held(b, NOW, REASON_NONE);
	expect_held(b, NOW + 598 * S - 1, REASON_NONE);
	expect_held(b, NOW + 598 * S, REASON_NOT_FROM_START);
}

static void a_vm_found_late_is_not(void **state)
{
	static const struct {
		uint64_t age_ns;
		enum reason reason;
	} cases[] = {
		{30 * S, REASON_NONE},
		{30 * S + 1, REASON_NOT_FROM_START},
		{UINT64_MAX, REASON_NOT_FROM_START},
	};
	struct bench *b = *state;

	expect_held(b, NOW, REASON_NOT_FROM_START); /* never looked at */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		populate_clear(&b->h);
		b->s.vm.age_ns = cases[i].age_ns;
		look(b);
		b->s.vm.age_ns = 0; /* the first look counts */
		look(b);
		expect_held(b, NOW, cases[i].reason);
	}
}

static void what_is_missing_ends_it_for_good(void **state)
{
	struct bench *b = *state;

	b->s.sights[0].blocks = 4;
	build_sight(&b->s, BASE + 4 * BLOCK, 4, SEEN_SWAPPED, 0);
	look(b);
	expect_held(b, NOW, REASON_NONE);
	b->s.sights[1].seen = SEEN_UNKNOWN; /* says nothing */
	look(b);
	expect_held(b, NOW, REASON_NONE);
	b->s.sights[1].seen = SEEN_NOTHING;
	look(b);
	expect_held(b, NOW, REASON_GAVE_BACK);
	b->s.sights[1].seen = SEEN_HUGE;
	look(b);
	expect_held(b, NOW, REASON_GAVE_BACK);
}

struct lesson {
	enum action_kind kind;
	int err;
	enum seen seen;
	uint8_t flags;
};

/* The look after an action on all of it. */
static void learn(struct bench *b, const struct lesson *l)
{
	const struct action a = {.kind = l->kind, .target = {4242, 77, BASE, 8 * BLOCK}};
	const struct outcome o = {.err = l->err};
	const struct sight after = {
		.start = BASE, .blocks = 8, .seen = (uint8_t)l->seen, .flags = l->flags};

	assert_int_equal(populate_learn(&b->h, &a, &o, &after, 1, &b->s.geometry), 0);
}

/* The next look may come after the guest gave it back. */
static void what_was_made_counts_from_the_second_look_on(void **state)
{
	static const struct lesson seen[] = {
		{ACTION_POPULATE, 0, SEEN_HUGE, 0},
		{ACTION_POPULATE, ENOMEM, SEEN_HUGE, 0},
		{ACTION_POPULATE, ECANCELED, SEEN_SMALL, 0},
		{ACTION_COPY, EAGAIN, SEEN_FOLIO, 0},
		{ACTION_REMAP, 0, SEEN_SWAPPED, 0},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		populate_clear(&b->h);
		look(b);
		learn(b, &seen[i]);
		expect_held(b, NOW, REASON_NONE);
		look(b);
		expect_held(b, NOW, REASON_GAVE_BACK);
	}
}

static void what_was_made_and_is_gone_by_then_was_given_back(void **state)
{
	struct bench *b = *state;

	look(b);
	learn(b, &(struct lesson){ACTION_POPULATE, 0, SEEN_NOTHING, 0});
	expect_held(b, NOW, REASON_GAVE_BACK);
}

/* A collapse that fails can leave a block unmapped until the guest touches it (KERNEL B22). */
static void the_look_after_a_failure_takes_nothing_for_given_back(void **state)
{
	static const struct lesson nothing[] = {
		{ACTION_POPULATE, ENOMEM, SEEN_NOTHING, 0},
		{ACTION_POPULATE, EINVAL, SEEN_NOTHING, 0},
		{ACTION_POPULATE, EEXIST, SEEN_NOTHING, 0},
		{ACTION_POPULATE, ECANCELED, SEEN_NOTHING, 0},
		{ACTION_POPULATE, 0, SEEN_NOTHING, SIGHT_GUARD},
		{ACTION_COPY, EAGAIN, SEEN_NOTHING, 0},
		{ACTION_COPY, 0, SEEN_NOTHING, 0},
		{ACTION_PLACE, 0, SEEN_NOTHING, 0},
	};
	struct bench *b = *state;

	look(b);
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
		learn(b, &nothing[i]);
		look(b); /* it is as empty as it ever was */
		expect_held(b, NOW, REASON_NONE);
	}
	assert_int_equal(interval_set_add(&b->h.seen, BASE, BASE + 8 * BLOCK), 0);
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
		learn(b, &nothing[i]);
		expect_held(b, NOW, REASON_NONE);
	}
}

/* What cannot be looked at may have been made: if it is empty then, the guest gave it back. */
static void what_the_second_look_does_not_say_counts_as_made(void **state)
{
	const struct action a = {.kind = ACTION_POPULATE, .target = {4242, 77, BASE, 8 * BLOCK}};
	const struct outcome ok = {0}, half = {.err = EINVAL}, not_called = {.err = ECANCELED};
	const struct sight parts[] = {
		{.start = BASE + BLOCK, .blocks = 2, .seen = SEEN_NOTHING},
		{.start = BASE + 3 * BLOCK, .blocks = 1, .seen = SEEN_UNKNOWN},
		{.start = BASE + 4 * BLOCK, .blocks = 3, .seen = SEEN_NOTHING},
	};
	struct bench *b = *state;

	look(b);
	assert_int_equal(populate_learn(&b->h, &a, &not_called, NULL, 0, &b->s.geometry), 0);
	assert_int_equal(b->h.seen.n_items, 0);
	assert_int_equal(populate_learn(&b->h, &a, &half, parts, 3, &b->s.geometry), 0);
	assert_int_equal(b->h.seen.n_items, 3);
	assert_int_equal(b->h.seen.items[0].end, BASE + BLOCK);
	assert_int_equal(b->h.seen.items[1].start, BASE + 3 * BLOCK);
	assert_int_equal(b->h.seen.items[1].end, BASE + 4 * BLOCK);
	assert_int_equal(b->h.seen.items[2].start, BASE + 7 * BLOCK);
	assert_int_equal(populate_learn(&b->h, &a, &ok, NULL, 0, &b->s.geometry), 0);
	assert_true(interval_set_covers(&b->h.seen, BASE, BASE + 8 * BLOCK));
	expect_held(b, NOW, REASON_NONE);
	look(b);
	expect_held(b, NOW, REASON_GAVE_BACK);
}

static void a_vm_that_takes_over_another_is_not_filled(void **state)
{
	struct bench *b = *state;

	b->s.vm.is_restored = true;
	look(b);
	expect_held(b, NOW, REASON_NOT_FROM_START);
	b->h.wish = POPULATE_WISH_ASKED;
	expect_held(b, NOW, REASON_NOT_FROM_START);
	b->h.wish = POPULATE_WISH_FORCED;
	expect_held(b, NOW, REASON_NONE);
}

static void who_asks_may_come_late(void **state)
{
	struct bench *b = *state;

	look(b);
	b->h.wish = POPULATE_WISH_ASKED;
	expect_held(b, NOW + 100000 * S, REASON_NONE);
	b->h.gave_back = true;
	expect_held(b, NOW, REASON_GAVE_BACK);
	b->h.wish = POPULATE_WISH_FORCED;
	expect_held(b, NOW, REASON_NONE);
}

/* Not even by force. */
static void some_vms_are_never_filled(void **state)
{
	struct bench *b = *state;

	look(b);
	b->h.wish = POPULATE_WISH_FORCED;
	b->s.vm.has_vfio = true;
	expect_held(b, NOW, REASON_PINNED_SUSPECTED);
	b->s.vm.has_uffd = true;
	expect_held(b, NOW, REASON_USERFAULTFD);
	b->s.policy.mode = MODE_REPORT;
	expect_held(b, NOW, REASON_POLICY_OFF);
	b->s.policy.mode = MODE_FULL;
	b->s.policy.populate = POPULATE_OFF;
	expect_held(b, NOW, REASON_POLICY_OFF);
	b->s.policy.is_paused = true;
	expect_held(b, NOW, REASON_PAUSED);
}

/* ---- diagnosis and plan ---------------------------------------------------------------- */

static void holes_are_planned(void **state)
{
	struct bench *b = *state;

	look(b);
	expect_reason(b, REASON_TO_POPULATE);
	assert_string_equal(action_name(&b->p.actions[0]), "populate");
	assert_int_equal(b->p.actions[0].target.start, BASE);
	assert_int_equal(b->p.actions[0].target.bytes, 8 * BLOCK);
	assert_int_equal(b->p.populate_bytes, 8 * BLOCK);
}

static void without_the_policy_nothing_is_said(void **state)
{
	struct bench *b = *state;

	look(b);
	b->s.policy.populate = POPULATE_OFF;
	expect_reason(b, REASON_NEVER_TOUCHED);
}

static void why_not_is_said(void **state)
{
	struct bench *b = *state;

	b->s.vm.age_ns = 60 * S;
	look(b);
	expect_reason(b, REASON_NOT_FROM_START);
}

static void only_shared_shmem_that_is_writable(void **state)
{
	struct bench *b = *state;

	look(b);
	b->s.regions[0].is_writable = false;
	expect_reason(b, REASON_NEVER_TOUCHED);
	b->s.regions[0].is_writable = true;
	b->s.regions[0].backing = BACKING_ANON;
	expect_reason(b, REASON_NEVER_TOUCHED);
	b->s.regions[0].backing = BACKING_SHMEM;
	b->s.policy.may_private_file = true;
	b->s.regions[0].is_shared = false;
	expect_reason(b, REASON_NEVER_TOUCHED);
}

static void what_the_vmm_does_not_reserve_is_not_filled(void **state)
{
	struct bench *b = *state;

	look(b);
	expect_reason(b, REASON_TO_POPULATE);
	b->s.regions[0].flags = VMA_FLAG_NR;
	expect_reason(b, REASON_NOT_RESERVED);
	b->h.wish = POPULATE_WISH_FORCED;
	expect_reason(b, REASON_NOT_RESERVED);
	b->s.regions[0].flags = 0;
	b->s.regions[0].are_flags_known = false;
	expect_reason(b, REASON_NEVER_TOUCHED);
}

/* Reading them costs as much as reading smaps. */
static void flags_are_read_as_long_as_it_may_be_filled(void **state)
{
	struct bench *b = *state;

	assert_true(populate_wants_flags(&b->h, &b->s, NOW));
	look(b);
	assert_true(populate_wants_flags(&b->h, &b->s, NOW));
	b->s.policy.populate = POPULATE_OFF;
	assert_false(populate_wants_flags(&b->h, &b->s, NOW));
	b->h.wish = POPULATE_WISH_ASKED;
	assert_true(populate_wants_flags(&b->h, &b->s, NOW));
	b->h.wish = POPULATE_WISH_NONE;
	b->s.policy.populate = POPULATE_HUGE;
	assert_false(populate_wants_flags(&b->h, &b->s, NOW + 600 * S));
}

static void a_migration_is_not_filled(void **state)
{
	struct bench *b = *state;

	look(b);
	b->s.is_migrating = ANSWER_YES;
	expect_reason(b, REASON_DIRTY_LOGGING_ON);
	b->s.is_migrating = ANSWER_NO;
	expect_reason(b, REASON_TO_POPULATE);
}

static void a_barred_region_is_not_filled(void **state)
{
	struct bench *b = *state;

	look(b);
	b->s.regions[0].file_offset = PAGE;
	decide(b, UINT64_MAX);
	assert_int_equal(b->d.runs[0].reason, REASON_MISALIGNED_MAPPING);
	assert_int_equal(b->p.n_actions, 0);
	b->s.regions[0].file_offset = 0;
	b->s.regions[0].flags = VMA_FLAG_UM;
	decide(b, UINT64_MAX);
	assert_int_equal(b->p.n_actions, 0);
	b->s.regions[0].flags = 0;
	b->s.regions[0].eligibility = ELIGIBILITY_NO;
	decide(b, UINT64_MAX);
	assert_int_equal(b->p.n_actions, 0);
}

static void what_was_given_back_is_held(void **state)
{
	struct bench *b = *state;

	look(b);
	build_hold(&b->s, BASE, BASE + 8 * BLOCK, NOW + S, REASON_LOST_PAGES);
	expect_reason(b, REASON_LOST_PAGES);
}

static void the_budget_is_that_of_copies(void **state)
{
	struct bench *b = *state;

	b->s.sights[0].blocks = 4;
	build_sight(&b->s, BASE + 4 * BLOCK, 4, SEEN_SMALL, FILL_FULL);
	look(b);
	decide(b, 6 * BLOCK);
	assert_int_equal(b->p.populate_bytes, 4 * BLOCK);
	assert_int_equal(b->p.copy_bytes, 2 * BLOCK);
	decide(b, 3 * BLOCK);
	assert_int_equal(b->p.populate_bytes, 3 * BLOCK);
	assert_int_equal(b->p.deferred_populate_bytes, BLOCK);
	assert_int_equal(b->p.copy_bytes, 0);
}

static void never_past_the_memory_cgroup(void **state)
{
	struct bench *b = *state;

	look(b);
	b->s.vm.memcg_headroom_bytes = 64 * MIB + 3 * BLOCK + PAGE;
	b->s.policy.copy_call_bytes = BLOCK;
	decide(b, UINT64_MAX);
	assert_int_equal(b->p.n_actions, 3);
	assert_int_equal(b->p.populate_bytes, 3 * BLOCK);
	assert_int_equal(b->p.deferred_populate_bytes, 0);
	b->s.vm.memcg_headroom_bytes = 64 * MIB + BLOCK - 1;
	expect_reason(b, REASON_MEMCG_LIMIT);
}

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_young_vm_may_be_filled),
		TEST(a_vm_found_late_is_not),
		TEST(what_is_missing_ends_it_for_good),
		TEST(what_was_made_counts_from_the_second_look_on),
		TEST(what_was_made_and_is_gone_by_then_was_given_back),
		TEST(the_look_after_a_failure_takes_nothing_for_given_back),
		TEST(what_the_second_look_does_not_say_counts_as_made),
		TEST(a_vm_that_takes_over_another_is_not_filled),
		TEST(who_asks_may_come_late),
		TEST(some_vms_are_never_filled),
		TEST(holes_are_planned),
		TEST(without_the_policy_nothing_is_said),
		TEST(why_not_is_said),
		TEST(only_shared_shmem_that_is_writable),
		TEST(what_the_vmm_does_not_reserve_is_not_filled),
		TEST(flags_are_read_as_long_as_it_may_be_filled),
		TEST(a_migration_is_not_filled),
		TEST(a_barred_region_is_not_filled),
		TEST(what_was_given_back_is_held),
		TEST(the_budget_is_that_of_copies),
		TEST(never_past_the_memory_cgroup),
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
