/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which VM is filled, by what is known of it; and what is planned. */
#include "populate_bench.h"

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
	b->s.vm.has_vfio = false;
	b->s.vm.has_sev = true;
	expect_held(b, NOW, REASON_SEV_OR_GUEST_MEMFD);
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

/* Of what room would not help. */
static void a_full_node_is_no_reason_for_what_is_not_filled_anyway(void **state)
{
	struct bench *b = *state;
	struct region *r = &b->s.regions[0];

	look(b);
	b->s.populate_held = REASON_NODE_FULL;
	assert_int_equal(populate_reason(&b->s, r), REASON_NODE_FULL);
	r->flags = VMA_FLAG_NR;
	assert_int_equal(populate_reason(&b->s, r), REASON_NOT_RESERVED);
	b->s.populate_held = REASON_MEMCG_LIMIT;
	assert_int_equal(populate_reason(&b->s, r), REASON_MEMCG_LIMIT);
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

/* Node 0 has no room, node 1 has some. */
static void plan_between_two_nodes(struct bench *b, node_set_t bound)
{
	const struct budget budget = {.copy_bytes_per_s = UINT64_MAX,
				      .free_reserve_bytes = 10 * BLOCK,
				      .block_bytes = BLOCK};
	struct plan_limits limits = {0};
	struct home home = {0};
	struct governor g;
	enum reason reason;
	uint64_t retry_ns;

	b->s.host.n_nodes = 2;
	b->s.host.nodes[0] = (struct host_node){.id = 0, .free_block_bytes = 10 * BLOCK};
	b->s.host.nodes[1] = (struct host_node){.id = 1, .free_block_bytes = 15 * BLOCK};
	b->s.vm.bound_nodes = bound;
	governor_init(&g, &budget, NOW);
	limits.copy_allowance_bytes =
		governor_copy_allowance(&g, &b->s.host, NOW, &reason, &retry_ns);
	limits.populate_nodes = landing_nodes(&b->s, &home, &b->s.host);
	limits.populate_allowance_bytes = governor_populate_allowance(
		&g, &b->s.host, limits.populate_nodes, NOW, &reason, &retry_ns);
	b->s.populate_held = populate_held(&b->h, &b->s, NOW);
	assert_int_equal(diagnose(&b->s, NOW, &b->d), 0);
	assert_int_equal(plan_make(&b->s, &b->d, &limits, &b->p), 0);
}

static void never_past_the_reserve_of_its_node(void **state)
{
	struct bench *b = *state;

	look(b);
	plan_between_two_nodes(b, 1);
	assert_int_equal(b->p.n_actions, 0);
	assert_int_equal(b->p.deferred_populate_bytes, 8 * BLOCK);
	plan_between_two_nodes(b, 3); /* on which of them, nobody knows */
	assert_int_equal(b->p.n_actions, 0);
	plan_between_two_nodes(b, 0); /* then on that which has room */
	assert_int_equal(b->p.actions[0].node, 1);
	plan_between_two_nodes(b, 2);
	assert_int_equal(b->p.n_actions, 1);
	assert_int_equal(b->p.actions[0].node, 1);
	assert_int_equal(b->p.populate_bytes, 5 * BLOCK);
	assert_int_equal(b->p.deferred_populate_bytes, 3 * BLOCK);
}

/* By what is free right before the call. */
static void what_others_took_meanwhile_is_not_populated(void **state)
{
	struct bench *b = *state;
	struct action a = {.kind = ACTION_POPULATE, .target = {.bytes = 4 * BLOCK}, .node = 1};

	look(b);
	plan_between_two_nodes(b, 2);
	assert_true(action_has_room(&a, &b->s.host, 11 * BLOCK));
	assert_false(action_has_room(&a, &b->s.host, 11 * BLOCK + 1));
	a.node = -1;
	assert_false(action_needs_room(&a));
	assert_true(action_has_room(&a, &b->s.host, 11 * BLOCK + 1));
}

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
		TEST(a_full_node_is_no_reason_for_what_is_not_filled_anyway),
		TEST(flags_are_read_as_long_as_it_may_be_filled),
		TEST(a_migration_is_not_filled),
		TEST(a_barred_region_is_not_filled),
		TEST(what_was_given_back_is_held),
		TEST(the_budget_is_that_of_copies),
		TEST(never_past_the_memory_cgroup),
		TEST(never_past_the_reserve_of_its_node),
		TEST(what_others_took_meanwhile_is_not_populated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
