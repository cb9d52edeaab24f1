/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves to another node, one by one: planned, granted, confirmed, verified. When a VM's memory is
 * moved at all: test_mover.c. */
#include <errno.h>
#include <time.h>

#include "confirm.h"
#include "governor.h"
#include "plan.h"
#include "sights.h"
#include "snapshot_builder.h"
#include "verify.h"

#define SECOND UINT64_C(1000000000)

enum { N0 = 1 << 0, N1 = 1 << 1, N2 = 1 << 2, ALL = N0 | N1 | N2 };

struct bench {
	struct snapshot s, after; /* of the latter only the sights count */
	struct plan_limits limits;
	struct plan p;
	struct interval_set refused;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	build_begin(&b->after);
	build_region(&b->s, BASE, 64 * BLOCK, BACKING_SHMEM);
	b->limits = (struct plan_limits){
		.copy_allowance_bytes = UINT64_MAX,
		.home.nodes = N0,
		.place_allowance_bytes = UINT64_MAX,
		.refused = &b->refused,
	};
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	interval_set_clear(&b->refused);
	plan_clear(&b->p);
	snapshot_clear(&b->s);
	snapshot_clear(&b->after);
	free(b);
	return 0;
}

static void see(struct snapshot *s, uint32_t block, uint32_t blocks, enum seen seen, int16_t node)
{
	build_sight(s, BASE + block * BLOCK, blocks, seen, FILL_FULL)->node = node;
}

/* ---- plan ---- */

static void make(struct bench *b)
{
	struct diagnosis d = DIAGNOSIS_INIT;

	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	assert_int_equal(plan_make(&b->s, &d, &b->limits, &b->p), 0);
	diagnosis_clear(&d);
}

static void expect_action(const struct bench *b, size_t i, enum action_kind kind, uint64_t block,
			  uint64_t blocks)
{
	assert_true(i < b->p.n_actions);
	assert_string_equal(action_kind_name(b->p.actions[i].kind), action_kind_name(kind));
	assert_int_equal(b->p.actions[i].target.start, BASE + block * BLOCK);
	assert_int_equal(b->p.actions[i].target.bytes, blocks * BLOCK);
}

static void test_what_is_huge_goes_before_what_is_small(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_SMALL, 1);
	see(&b->s, 2, 1, SEEN_HUGE, 1);
	see(&b->s, 3, 1, SEEN_HUGE, 0); /* at home */
	see(&b->s, 4, 2, SEEN_FOLIO, 2);
	see(&b->s, 6, 3, SEEN_HUGE, 1);
	see(&b->s, 9, 1, SEEN_SMALL, 0);
	see(&b->s, 10, 1, SEEN_FOLIO, 0);
	see(&b->s, 11, 1, SEEN_FOLIO, -1); /* nobody knows where */
	make(b);
	assert_int_equal(b->p.n_actions, 6);
	expect_action(b, 0, ACTION_REMAP, 4, 2); /* moves when it is huge */
	expect_action(b, 1, ACTION_REMAP, 10, 2);
	expect_action(b, 2, ACTION_PLACE, 2, 1);
	expect_action(b, 3, ACTION_PLACE, 6, 3);
	expect_action(b, 4, ACTION_PLACE, 0, 2);
	expect_action(b, 5, ACTION_COPY, 9, 1);
	assert_int_equal(b->p.place_bytes, 6 * BLOCK);
	assert_int_equal(b->p.deferred_place_bytes, 0);
}

static void test_moves_are_complete(void **state)
{
	struct bench *b = *state;

	b->limits.first_id = 9;
	b->limits.home.nodes = N0 | N2;
	b->limits.place_node = 2;
	see(&b->s, 0, 1, SEEN_HUGE, 1);
	see(&b->s, 1, 1, SEEN_PAGES, 1); /* its folios cannot be told */
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct action *a = &b->p.actions[i];

		expect_action(b, i, ACTION_PLACE, i, 1);
		assert_int_equal(a->id, 9 + i);
		assert_int_equal(a->node, 2);
		assert_int_equal(a->target.pid, 4242);
		assert_int_equal(a->target.starttime, 77);
		assert_int_equal(a->gain_bytes, BLOCK);
		assert_int_equal(a->cost_ns, BLOCK / 1024 * 640);
		assert_string_equal(action_name(a), "place");
	}
}

static void test_moves_are_bounded_as_copies_are(void **state)
{
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = 3 * BLOCK;
	b->s.policy.remap_call_bytes = BLOCK;
	b->s.vm.memcg_headroom_bytes = 0; /* they charge nothing to it */
	see(&b->s, 0, 5, SEEN_HUGE, 1);
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 3);
	expect_action(b, 1, ACTION_PLACE, 3, 2);
	b->s.policy.copy_call_bytes = UINT64_MAX;
	b->s.sights[0].blocks = 40;
	b->s.sights[0].present_pages *= 8;
	make(b);
	expect_action(b, 0, ACTION_PLACE, 0, 32); /* 64 MiB */
	expect_action(b, 1, ACTION_PLACE, 32, 8);
}

static void test_moves_come_out_of_both_allowances(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 6, SEEN_HUGE, 1);
	see(&b->s, 6, 6, SEEN_SMALL, 0);
	b->limits.place_allowance_bytes = 4 * BLOCK + 1;
	b->limits.copy_allowance_bytes = 7 * BLOCK;
	make(b);
	assert_int_equal(b->p.n_actions, 2);
	expect_action(b, 0, ACTION_PLACE, 0, 4);
	expect_action(b, 1, ACTION_COPY, 6, 3);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 3 * BLOCK);
	b->limits.copy_allowance_bytes = 2 * BLOCK;
	make(b);
	assert_int_equal(b->p.copy_bytes, 0);
	assert_int_equal(b->p.deferred_copy_bytes, 6 * BLOCK);
}

static void test_what_waits_for_its_move_is_not_copied_before(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_SMALL, 1);
	see(&b->s, 2, 2, SEEN_FOLIO, 1);
	b->limits.place_allowance_bytes = 0;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_REMAP, 2, 2);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, 0);
}

static void test_what_was_refused_is_made_huge_where_it_is(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 8, SEEN_SMALL, 1);
	assert_int_equal(interval_set_add(&b->refused, BASE - BLOCK, BASE + BLOCK), 0);
	assert_int_equal(interval_set_add(&b->refused, BASE + 3 * BLOCK, BASE + 4 * BLOCK), 0);
	assert_int_equal(interval_set_add(&b->refused, BASE + 7 * BLOCK, BASE + 20 * BLOCK), 0);
	make(b);
	assert_int_equal(b->p.n_actions, 5);
	expect_action(b, 0, ACTION_PLACE, 1, 2);
	expect_action(b, 1, ACTION_PLACE, 4, 3);
	expect_action(b, 2, ACTION_COPY, 0, 1);
	expect_action(b, 3, ACTION_COPY, 3, 1);
	expect_action(b, 4, ACTION_COPY, 7, 1);
}

/* What is not remapped would be outside for ever, and the move without an end. */
static void test_what_may_not_be_remapped_moves_as_it_is(void **state)
{
	struct bench *b = *state;

	b->s.policy.may_remap = false;
	see(&b->s, 0, 2, SEEN_FOLIO, 1);
	see(&b->s, 2, 2, SEEN_FOLIO, 0);
	see(&b->s, 4, 1, SEEN_SMALL, 1);
	see(&b->s, 5, 2, SEEN_FOLIO, 1);
	assert_int_equal(interval_set_add(&b->refused, BASE + BLOCK, BASE + 2 * BLOCK), 0);
	make(b);
	assert_int_equal(b->p.n_actions, 3);
	expect_action(b, 0, ACTION_PLACE, 0, 1);
	expect_action(b, 1, ACTION_PLACE, 5, 2);
	expect_action(b, 2, ACTION_PLACE, 4, 1);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* A VMM chooses how many pieces of its memory stay: each second block of 128 GiB. A plan is made in
 * the event loop, so it may not cost much more than the diagnosis. */
static void test_many_refusals_are_cheap(void **state)
{
	enum { MANY = 65536 };
	struct bench *b = *state;
	struct diagnosis d = DIAGNOSIS_INIT;
	uint64_t began_ns, judged_ns, planned_ns;

	b->s.regions[0].end = BASE + MANY * BLOCK;
	for (uint32_t i = 0; i < MANY; i++) {
		see(&b->s, i, 1, SEEN_HUGE, i % 2);
		if (i % 2)
			assert_int_equal(interval_set_add(&b->refused, BASE + i * BLOCK,
							  BASE + (i + 1) * BLOCK),
					 0);
	}
	began_ns = cpu_ns();
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	judged_ns = cpu_ns();
	assert_int_equal(plan_make(&b->s, &d, &b->limits, &b->p), 0);
	planned_ns = cpu_ns();
	assert_int_equal(b->p.n_actions, 0);
	assert_true(planned_ns - judged_ns < 20 * (judged_ns - began_ns));
	diagnosis_clear(&d);
}

static void test_what_never_goes(void **state)
{
	static const enum backing backings[] = {BACKING_FSDAX, BACKING_DEVDAX, BACKING_HUGETLB,
						BACKING_FILE,  BACKING_SECRET, BACKING_SPECIAL};
	static const uint32_t flags[] = {VMA_FLAG_HT, VMA_FLAG_PF, VMA_FLAG_IO, VMA_FLAG_MM};
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_HUGE, 1);
	build_sight(&b->s, BASE + 2 * BLOCK, 2, SEEN_SMALL, 8)->node = 1;
	build_sight(&b->s, BASE + 4 * BLOCK, 2, SEEN_SWAPPED, 0)->node = 1;
	build_sight(&b->s, BASE + 6 * BLOCK, 2, SEEN_NOTHING, 0)->node = 1;
	build_sight(&b->s, BASE + 8 * BLOCK, 2, SEEN_SMALL, FILL_UNKNOWN)->node = 1;
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	expect_action(b, 0, ACTION_PLACE, 0, 2);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		b->s.regions[0].flags = flags[i];
		make(b);
		assert_int_equal(b->p.n_actions, 0);
	}
	b->s.regions[0].flags = 0;
	b->s.sights[0].node = NODE_SET_MAX; /* is no known node */
	make(b);
	assert_int_equal(b->p.n_actions, 0);
	b->s.sights[0].node = 1;
	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		b->s.regions[0].backing = backings[i];
		make(b);
		assert_int_equal(b->p.n_actions, 0);
		assert_int_equal(b->p.deferred_place_bytes, 0);
	}
}

static void test_nothing_moves_unless_full_and_not_paused(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 2, SEEN_HUGE, 1);
	make(b);
	assert_int_equal(b->p.n_actions, 1);
	b->s.policy.is_paused = true;
	make(b);
	assert_int_equal(b->p.n_actions, 0);
	b->s.policy.is_paused = false;
	for (int mode = MODE_REPORT; mode < MODE_MAX; mode++) {
		b->s.policy.mode = (enum mode)mode;
		make(b);
		assert_int_equal(b->p.n_actions, 0);
	}
}

static void test_moves_count_against_the_number_of_actions(void **state)
{
	struct bench *b = *state;

	b->s.policy.copy_call_bytes = BLOCK;
	b->limits.max_actions = 3;
	see(&b->s, 0, 5, SEEN_HUGE, 1);
	see(&b->s, 5, 1, SEEN_SMALL, 0);
	make(b);
	assert_int_equal(b->p.n_actions, 3);
	assert_int_equal(b->p.deferred_place_bytes, 2 * BLOCK);
	assert_int_equal(b->p.deferred_copy_bytes, BLOCK);
}

/* ---- sights ---- */

static void test_bytes_on_a_node(void **state)
{
	struct bench *b = *state;
	const struct sight *v;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->s, 4, 2, SEEN_SMALL, 0);
	see(&b->s, 8, 4, SEEN_SMALL, 1);
	v = b->s.sights;
	assert_int_equal(sights_bytes_on(v, 3, 1, BASE, BASE + 64 * BLOCK, &geometry_4k),
			 8 * BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 1, BASE + 3 * BLOCK, BASE + 9 * BLOCK, &geometry_4k),
			 2 * BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 0, BASE, BASE + 5 * BLOCK, &geometry_4k), BLOCK);
	assert_int_equal(sights_bytes_on(v, 3, 2, BASE, BASE + 64 * BLOCK, &geometry_4k), 0);
	assert_int_equal(
		sights_bytes_on(v, 3, 1, BASE + 12 * BLOCK, BASE + 64 * BLOCK, &geometry_4k), 0);
	assert_int_equal(sights_bytes_on(NULL, 0, 1, BASE, BASE + BLOCK, &geometry_4k), 0);
}

/* ---- confirm ---- */

static const struct action place_of_four = {
	.id = 5,
	.kind = ACTION_PLACE,
	.target = {.pid = 4242, .starttime = 77, .start = BASE, .bytes = 4 * BLOCK}};

static bool is_confirmed(const struct bench *b)
{
	return action_is_confirmed(&place_of_four, b->s.sights, b->s.n_sights, 10000, &geometry_4k);
}

static void test_a_move_is_confirmed_while_something_is_elsewhere(void **state)
{
	struct bench *b = *state;

	assert_false(is_confirmed(b)); /* nothing was seen */
	see(&b->s, 0, 3, SEEN_HUGE, 0);
	assert_false(is_confirmed(b));
	see(&b->s, 3, 1, SEEN_SMALL, -1);
	assert_false(is_confirmed(b));
	b->s.sights[1].node = 1;
	assert_true(is_confirmed(b));
	b->s.sights[1].fill = FILL_UNKNOWN; /* how much of it is there is all the same */
	b->s.sights[1].flags = SIGHT_SWAP;
	assert_true(is_confirmed(b));
}

/* ---- verify ---- */

static struct verdict verify(const struct bench *b, int err)
{
	const struct outcome o = {.action = 5, .err = err};

	return verify_action(&place_of_four, &o, b->s.sights, b->s.n_sights, b->after.sights,
			     b->after.n_sights, &geometry_4k);
}

static void expect(const struct bench *b, int err, enum effect effect, uint64_t placed,
		   enum reason reason)
{
	struct verdict v = verify(b, err);

	assert_int_equal(v.action, 5);
	assert_string_equal(effect_name(v.effect), effect_name(effect));
	assert_int_equal(v.placed_bytes, placed);
	assert_string_equal(reason_slug(v.reason), reason_slug(reason));
	assert_int_equal(v.refilled_bytes, 0);
}

static void test_what_counts_is_where_the_blocks_are(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 4, SEEN_HUGE, 0);
	expect(b, 0, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
	expect(b, EBUSY, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
	assert_int_equal(verify(b, 0).huge_bytes_delta, 0);
	b->after.sights[0].node = 2; /* a node, but not this one */
	expect(b, 0, EFFECT_NONE, 0, REASON_PINNED_SUSPECTED);
	b->after.sights[0].node = 0;
	b->after.sights[0].blocks = 3;
	see(&b->after, 3, 1, SEEN_HUGE, 1);
	expect(b, EBUSY, EFFECT_PARTIAL, 3 * BLOCK, REASON_PINNED_SUSPECTED);
	b->s.sights[0].node = 0; /* it was there, and went */
	expect(b, 0, EFFECT_WORSE, 0, REASON_PINNED_SUSPECTED);
}

static void test_why_memory_stays(void **state)
{
	static const struct {
		int err;
		enum reason reason;
	} rows[] = {
		{0, REASON_PINNED_SUSPECTED},	   {EBUSY, REASON_PINNED_SUSPECTED},
		{EAGAIN, REASON_PINNED_SUSPECTED}, {ENOMEM, REASON_NODE_FULL},
		{ESRCH, REASON_VANISHED},	   {EPERM, REASON_NO_PERMISSION},
		{EACCES, REASON_NO_PERMISSION},	   {EINVAL, REASON_KERNEL_REFUSED},
	};
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 4, SEEN_HUGE, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(b, rows[i].err, EFFECT_NONE, 0, rows[i].reason);
	b->after.n_sights = 0; /* the second look failed */
	expect(b, 0, EFFECT_NONE, 0, REASON_NOT_LOOKED_YET);
	expect(b, ENOMEM, EFFECT_NONE, 0, REASON_NODE_FULL);
	assert_int_equal(verify(b, 0).huge_bytes_delta, 0);
	b->s.sights[0].node = 0;
	expect(b, 0, EFFECT_NONE, 0, REASON_NOT_LOOKED_YET);
}

static void test_a_move_that_breaks_huge_pages_is_worse(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 3, SEEN_HUGE, 0);
	see(&b->after, 3, 1, SEEN_SMALL, 0);
	expect(b, 0, EFFECT_WORSE, 4 * BLOCK, REASON_NODE_FULL);
	v = verify(b, 0);
	assert_int_equal(v.huge_bytes_delta, -(int64_t)BLOCK);
	b->after.sights[1].node = 1;
	expect(b, EBUSY, EFFECT_WORSE, 3 * BLOCK, REASON_PINNED_SUSPECTED);
}

/* What the guest gave back on the way was not refused, and is not worse. */
static void test_what_was_given_back_meanwhile_is_not_missed(void **state)
{
	struct bench *b = *state;

	see(&b->s, 0, 4, SEEN_HUGE, 1);
	see(&b->after, 0, 3, SEEN_HUGE, 0);
	build_sight(&b->after, BASE + 3 * BLOCK, 1, SEEN_NOTHING, 0)->node = -1;
	expect(b, 0, EFFECT_DONE, 3 * BLOCK, REASON_NONE);
	assert_int_equal(verify(b, 0).huge_bytes_delta, -(int64_t)BLOCK);
}

static void test_only_the_target_is_verified(void **state)
{
	struct bench *b = *state;

	build_sight(&b->s, BASE - 2 * BLOCK, 8, SEEN_HUGE, FILL_FULL)->node = 1;
	build_sight(&b->after, BASE - 2 * BLOCK, 8, SEEN_HUGE, FILL_FULL)->node = 0;
	expect(b, 0, EFFECT_DONE, 4 * BLOCK, REASON_NONE);
}

/* ---- governor ---- */

struct purse {
	struct governor g;
	struct host host;
	enum reason reason;
	uint64_t retry_ns;
};

static struct purse purse_with(uint64_t rate, uint64_t reserve)
{
	const struct budget budget = {
		.copy_bytes_per_s = rate, .free_reserve_bytes = reserve, .block_bytes = BLOCK};
	struct purse p = {.host = {.n_nodes = 2}, .reason = REASON_MAX};

	p.host.nodes[0].free_block_bytes = 512 * MIB;
	p.host.nodes[1] = (struct host_node){.id = 1, .free_block_bytes = 16 * MIB};
	governor_init(&p.g, &budget, SECOND);
	return p;
}

static uint64_t ask(struct purse *p, int node, uint64_t now_ns)
{
	return governor_place_allowance(&p->g, &p->host, node, now_ns, &p->reason, &p->retry_ns);
}

static struct action action_of(enum action_kind kind, uint64_t bytes)
{
	return (struct action){.kind = kind, .target = {.bytes = bytes}};
}

static void settle(struct purse *p, const struct action *a, int err, uint64_t now_ns)
{
	const struct outcome o = {.err = err};

	governor_settle(&p->g, a, &o, now_ns);
}

static void test_only_the_node_itself_has_room(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 4 * MIB);

	(void)state;
	assert_int_equal(ask(&p, 1, SECOND), 12 * MIB);
	assert_int_equal(p.reason, REASON_NONE);
	assert_int_equal(p.retry_ns, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 508 * MIB);
	p.host.nodes[1].free_block_bytes = 5 * MIB + MIB / 2; /* less than a block above it */
	assert_int_equal(ask(&p, 1, SECOND), 0);
	assert_int_equal(p.reason, REASON_NODE_FULL);
	assert_int_equal(p.retry_ns, 11 * SECOND);
	assert_int_equal(ask(&p, 7, SECOND), 0); /* no such node */
	assert_int_equal(p.reason, REASON_NODE_FULL);
	assert_int_equal(ask(&p, -1, UINT64_MAX - 1), 0);
	assert_int_equal(p.retry_ns, UINT64_MAX);
}

static void test_moves_and_copies_share_a_bucket(void **state)
{
	struct purse p = purse_with(8 * MIB, 0);
	const struct action move = action_of(ACTION_PLACE, 6 * MIB);

	(void)state;
	assert_int_equal(ask(&p, 0, SECOND), 8 * MIB);
	governor_spend(&p.g, &move);
	assert_int_equal(ask(&p, 0, SECOND), 2 * MIB);
	assert_int_equal(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns),
			 2 * MIB);
	settle(&p, &move, 0, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 2 * MIB); /* what was done is spent */
	governor_spend(&p.g, &(struct action){.kind = ACTION_COPY, .target = {.bytes = 2 * MIB}});
	assert_int_equal(ask(&p, 0, SECOND), 0);
	assert_int_equal(p.reason, REASON_NONE);
	assert_in_range(p.retry_ns, SECOND + SECOND / 4, SECOND + SECOND / 4 + 2);
	assert_int_equal(ask(&p, 0, p.retry_ns), BLOCK);
}

static void test_moves_under_way_take_room(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 0);
	const struct action move = action_of(ACTION_PLACE, 12 * MIB);

	(void)state;
	governor_spend(&p.g, &move);
	assert_int_equal(ask(&p, 1, SECOND), 4 * MIB);
	settle(&p, &move, EBUSY, SECOND);
	assert_int_equal(ask(&p, 1, SECOND), 16 * MIB);
	assert_int_equal(p.g.in_flight_bytes, 0);
}

static void test_a_move_that_was_never_started_is_given_back(void **state)
{
	struct purse p = purse_with(8 * MIB, 0);
	const struct action move = action_of(ACTION_PLACE, 8 * MIB);

	(void)state;
	governor_spend(&p.g, &move);
	settle(&p, &move, ECANCELED, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 8 * MIB);
}

/* One node without room says nothing about copies, which go where the memory is. */
static void test_moves_neither_stop_copies_nor_set_them_free(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 0);
	const struct action move = action_of(ACTION_PLACE, BLOCK),
			    copy = action_of(ACTION_COPY, BLOCK);

	(void)state;
	settle(&p, &move, ENOMEM, SECOND);
	assert_true(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns) > 0);
	settle(&p, &copy, ENOMEM, SECOND);
	settle(&p, &move, 0, SECOND);
	assert_int_equal(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns), 0);
	assert_int_equal(p.reason, REASON_NO_FREE_HUGE_PAGE);
}

static void test_zero_budget_never_moves(void **state)
{
	struct purse p = purse_with(0, 0);

	(void)state;
	assert_int_equal(ask(&p, 0, 100 * SECOND), 0);
	assert_int_equal(p.reason, REASON_POLICY_OFF);
	assert_int_equal(p.retry_ns, UINT64_MAX);
}

/* ---- Laws on random snapshots ---- */

enum { ROUNDS = 12000 };

#define LAW(seed, condition)                                                               \
	do {                                                                               \
		if (!(condition))                                                          \
			fail_msg("seed %llu: %s", (unsigned long long)(seed), #condition); \
	} while (0)

struct round {
	uint64_t seed;
	struct snapshot s;
	struct diagnosis d;
	struct plan p;
	struct plan_limits limits;
	struct interval_set refused;
};

static void random_refusals(uint64_t *random, const struct snapshot *s, struct interval_set *set)
{
	uint64_t block = block_bytes(&s->geometry);

	for (uint64_t n = random_below(random, 5); n > 0; n--) {
		hva_t start = BASE + random_below(random, 150) * block;

		assert_int_equal(interval_set_add(set, start,
						  start + (1 + random_below(random, 12)) * block),
				 0);
	}
}

static void begin(struct round *r, uint64_t seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15u, block;

	*r = (struct round){.seed = seed};
	build_random(&r->s, &random);
	block = block_bytes(&r->s.geometry);
	random_refusals(&random, &r->s, &r->refused);
	r->limits = (struct plan_limits){
		.copy_allowance_bytes =
			one_in(&random, 3) ? UINT64_MAX : random_below(&random, 60 * block),
		.home.nodes = 1 + random_below(&random, ALL - 1),
		.place_allowance_bytes =
			one_in(&random, 2) ? UINT64_MAX : random_below(&random, 30 * block),
		.refused = one_in(&random, 4) ? NULL : &r->refused,
		.first_id = (uint32_t)random_below(&random, 1000),
		.max_actions = one_in(&random, 4) ? (uint32_t)random_below(&random, 5) : 0,
	};
	r->limits.place_node = (int16_t)node_set_first(r->limits.home.nodes);
	LAW(seed, diagnose(&r->s, r->s.taken_ns, &r->d) == 0);
	LAW(seed, plan_make(&r->s, &r->d, &r->limits, &r->p) == 0);
}

static void end(struct round *r)
{
	interval_set_clear(&r->refused);
	snapshot_clear(&r->s);
	diagnosis_clear(&r->d);
	plan_clear(&r->p);
}

static void for_all(void (*law)(const struct round *r))
{
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct round r;

		begin(&r, seed);
		law(&r);
		end(&r);
	}
}

static bool may_act(const struct round *r)
{
	return r->s.policy.mode == MODE_FULL && !r->s.policy.is_paused;
}

static const struct sight *sight_at(const struct snapshot *s, hva_t address)
{
	for (size_t i = 0; i < s->n_sights; i++)
		if (s->sights[i].start <= address &&
		    address < sight_end(&s->sights[i], &s->geometry))
			return &s->sights[i];
	return NULL;
}

static bool is_refused(const struct round *r, hva_t at)
{
	return r->limits.refused &&
	       interval_set_overlaps(r->limits.refused, at, at + block_bytes(&r->s.geometry));
}

static bool is_elsewhere(const struct round *r, hva_t at)
{
	const struct sight *v = sight_at(&r->s, at);

	return v && v->node >= 0 && !node_set_has(r->limits.home.nodes, v->node);
}

/* By the facts, not by the diagnosis: what must never be in a move. */
static void check_moved_block(const struct round *r, hva_t at)
{
	const struct sight *v = sight_at(&r->s, at);
	const struct region *region = snapshot_find_region(&r->s, at);

	LAW(r->seed, v && region && is_elsewhere(r, at) && !is_refused(r, at));
	LAW(r->seed, region->backing == BACKING_ANON || region->backing == BACKING_SHMEM);
	LAW(r->seed,
	    !region->are_flags_known || !(region->flags & (VMA_FLAGS_SPECIAL | VMA_FLAG_HT)));
	if (v->seen == SEEN_HUGE)
		return;
	/* Anonymous folios that are mapped by pages are copied. */
	LAW(r->seed, v->seen == SEEN_FOLIO || v->seen == SEEN_SMALL || v->seen == SEEN_PAGES);
	LAW(r->seed, !(v->flags & (SIGHT_SWAP | SIGHT_GUARD | SIGHT_ANON_COPY)));
	/* A folio that is not to be remapped is one however much of it is mapped. */
	LAW(r->seed, fill_suffices(v->fill, r->s.policy.min_populated_bp) ||
			     (v->seen == SEEN_FOLIO && !r->s.policy.may_remap));
	for (size_t i = 0; i < r->s.n_holds; i++)
		LAW(r->seed, r->s.holds[i].until_ns <= r->s.taken_ns || at < r->s.holds[i].start ||
				     at >= r->s.holds[i].end);
}

static void moves_hold_only_what_may_go(const struct round *r)
{
	uint64_t block = block_bytes(&r->s.geometry),
		 bound = max_u64(min_u64(r->s.policy.copy_call_bytes, 64 * MIB), block);

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];
		const struct target *t = &a->target;
		const struct region *region = snapshot_find_region(&r->s, t->start);

		if (a->kind != ACTION_PLACE)
			continue;
		LAW(r->seed, a->node == r->limits.place_node && !a->is_folio_unknown);
		LAW(r->seed, t->bytes > 0 && t->bytes <= bound);
		LAW(r->seed, is_aligned(t->start | t->bytes, block));
		LAW(r->seed, region && t->start + t->bytes <= region->end);
		for (hva_t at = t->start; at < t->start + t->bytes; at += block)
			check_moved_block(r, at);
	}
}

static void test_moves_hold_only_what_may_go(void **state)
{
	(void)state;
	for_all(moves_hold_only_what_may_go);
}

/* Never moved, whatever it is. */
static bool is_kept(const struct region *region)
{
	return (region->backing != BACKING_ANON && region->backing != BACKING_SHMEM) ||
	       (region->are_flags_known &&
		(region->flags & (VMA_FLAGS_SPECIAL | VMA_FLAG_HT | VMA_FLAG_DE)));
}

/* But that it is remapped, which costs nothing. */
static void nothing_else_is_done_to_what_is_to_be_moved(const struct round *r)
{
	uint64_t block = block_bytes(&r->s.geometry);

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct target *t = &r->p.actions[i].target;

		for (hva_t at = t->start; at < t->start + t->bytes; at += block)
			LAW(r->seed, r->p.actions[i].kind != ACTION_COPY || !is_elsewhere(r, at) ||
					     is_refused(r, at) ||
					     is_kept(snapshot_find_region(&r->s, at)));
		for (size_t j = i + 1; j < r->p.n_actions; j++) {
			const struct target *other = &r->p.actions[j].target;

			LAW(r->seed, t->start + t->bytes <= other->start ||
					     other->start + other->bytes <= t->start);
		}
	}
}

static void test_nothing_else_is_done_to_what_is_to_be_moved(void **state)
{
	(void)state;
	for_all(nothing_else_is_done_to_what_is_to_be_moved);
}

/* Of what state and reason say that it could go; is_movable: to go it is. */
static uint64_t bytes_of(const struct round *r, uint32_t states, bool is_movable)
{
	uint64_t block = block_bytes(&r->s.geometry), bytes = 0;

	for (size_t i = 0; i < r->d.n_runs; i++) {
		const struct run *run = &r->d.runs[i];
		const struct region *region = &r->s.regions[run->region];

		if (!(states & 1u << run->state) ||
		    (run->state == BLOCK_UNKNOWN && run->reason != REASON_FOLIO_UNKNOWN))
			continue;
		for (hva_t at = run->start; at < run->start + run->bytes; at += block)
			if ((!is_kept(region) && is_elsewhere(r, at) && !is_refused(r, at)) ==
			    is_movable)
				bytes += block;
	}
	return bytes;
}

static void budget_is_kept(const struct round *r)
{
	static const uint8_t rank[ACTION_KIND_MAX] = {
		[ACTION_REMAP] = 0, [ACTION_PLACE] = 1, [ACTION_COPY] = 2};
	const uint32_t small = 1u << BLOCK_COPYABLE | 1u << BLOCK_UNKNOWN,
		       folios = 1u << BLOCK_HUGE |
				(r->s.policy.may_remap ? 0 : 1u << BLOCK_REMAPPABLE),
		       any = small | folios;
	uint64_t sums[ACTION_KIND_MAX] = {0};

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];

		sums[a->kind] += a->target.bytes;
		LAW(r->seed, i == 0 || rank[r->p.actions[i - 1].kind] <= rank[a->kind]);
		LAW(r->seed, a->id == r->limits.first_id + i);
	}
	LAW(r->seed, sums[ACTION_PLACE] == r->p.place_bytes &&
			     sums[ACTION_COPY] == r->p.copy_bytes &&
			     sums[ACTION_REMAP] == r->p.remap_bytes);
	LAW(r->seed, r->p.place_bytes <= r->limits.place_allowance_bytes);
	LAW(r->seed,
	    r->p.copy_bytes <= sat_sub_u64(r->limits.copy_allowance_bytes, r->p.place_bytes));
	LAW(r->seed, r->limits.max_actions == 0 || r->p.n_actions <= r->limits.max_actions);
	LAW(r->seed, may_act(r) || (r->p.n_actions == 0 && r->p.deferred_place_bytes == 0));
	if (!may_act(r))
		return;
	LAW(r->seed, r->p.place_bytes + r->p.deferred_place_bytes == bytes_of(r, any, true));
	if (r->s.policy.may_copy)
		LAW(r->seed,
		    r->p.copy_bytes + r->p.deferred_copy_bytes == bytes_of(r, small, false));
	if (r->s.policy.may_remap && r->limits.max_actions == 0)
		LAW(r->seed, r->p.remap_bytes == bytes_of(r, 1u << BLOCK_REMAPPABLE, false) +
							 bytes_of(r, 1u << BLOCK_REMAPPABLE, true));
}

static void test_budget_is_kept(void **state)
{
	(void)state;
	for_all(budget_is_kept);
}

static bool is_same(const struct plan *a, const struct plan *b)
{
	bool is = a->n_actions == b->n_actions && a->remap_bytes == b->remap_bytes &&
		  a->copy_bytes == b->copy_bytes && a->place_bytes == b->place_bytes &&
		  a->deferred_copy_bytes == b->deferred_copy_bytes &&
		  a->deferred_place_bytes == b->deferred_place_bytes;

	for (size_t i = 0; is && i < a->n_actions; i++) {
		const struct action *x = &a->actions[i], *y = &b->actions[i];

		is = x->id == y->id && x->kind == y->kind && x->node == y->node &&
		     x->is_folio_unknown == y->is_folio_unknown &&
		     x->target.start == y->target.start && x->target.bytes == y->target.bytes &&
		     x->cost_ns == y->cost_ns && x->gain_bytes == y->gain_bytes;
	}
	return is;
}

static void check_plans_are_same(const struct round *r, const struct plan_limits *a,
				 const struct plan_limits *b)
{
	struct plan x = PLAN_INIT, y = PLAN_INIT;

	LAW(r->seed, plan_make(&r->s, &r->d, a, &x) == 0);
	LAW(r->seed, plan_make(&r->s, &r->d, b, &y) == 0);
	LAW(r->seed, is_same(&x, &y));
	plan_clear(&x);
	plan_clear(&y);
}

static void without_a_home_nothing_is_different(const struct round *r)
{
	const struct plan_limits plain = {.copy_allowance_bytes = r->limits.copy_allowance_bytes,
					  .first_id = r->limits.first_id,
					  .max_actions = r->limits.max_actions};
	struct plan_limits homeless = r->limits, at_home = r->limits;

	homeless.home.nodes = 0;
	at_home.home.nodes = ALL; /* everything is there */
	check_plans_are_same(r, &plain, &homeless);
	check_plans_are_same(r, &plain, &at_home);
	check_plans_are_same(r, &r->limits, &r->limits);
}

static void test_without_a_home_nothing_is_different(void **state)
{
	(void)state;
	for_all(without_a_home_nothing_is_different);
}

static void verdicts_are_true(const struct round *r)
{
	static const int errors[] = {0, EAGAIN, EINVAL, ENOMEM, EBUSY, ESRCH};
	const struct mmu_geometry *g = &r->s.geometry;

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];
		const struct outcome o = {.action = a->id, .err = errors[i % ARRAY_SIZE(errors)]};
		const struct sight there = {
			.start = a->target.start,
			.blocks = (uint32_t)(a->target.bytes / block_bytes(g)),
			.seen = SEEN_HUGE,
			.fill = FILL_FULL,
			.node = a->node,
		};
		struct verdict none, done;

		if (a->kind != ACTION_PLACE)
			continue;
		none = verify_action(a, &o, r->s.sights, r->s.n_sights, r->s.sights, r->s.n_sights,
				     g);
		LAW(r->seed, none.effect == EFFECT_NONE && none.reason != REASON_NONE);
		LAW(r->seed, none.huge_bytes_delta == 0 && none.placed_bytes == 0);
		done = verify_action(a, &o, r->s.sights, r->s.n_sights, &there, 1, g);
		LAW(r->seed, done.effect == EFFECT_DONE && done.reason == REASON_NONE);
		LAW(r->seed, done.placed_bytes == a->target.bytes && done.refilled_bytes == 0);
		LAW(r->seed, action_is_confirmed(a, r->s.sights, r->s.n_sights, 10000, g));
		LAW(r->seed, !action_is_confirmed(a, &there, 1, 10000, g));
	}
}

static void test_verdicts_are_true(void **state)
{
	(void)state;
	for_all(verdicts_are_true);
}

static void test_the_rounds_are_worth_it(void **state)
{
	uint64_t actions[ACTION_KIND_MAX] = {0}, deferred = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct round r;

		begin(&r, seed);
		for (size_t i = 0; i < r.p.n_actions; i++) {
			actions[r.p.actions[i].kind]++;
			refused += r.p.actions[i].kind != ACTION_PLACE &&
				   is_elsewhere(&r, r.p.actions[i].target.start);
		}
		deferred += r.p.deferred_place_bytes > 0;
		end(&r);
	}
	/* Nothing is populated in these rounds. */
	for (size_t i = 0; i <= ACTION_PLACE; i++)
		assert_true(actions[i] > 200);
	assert_true(deferred > 200 && refused > 50);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_huge_goes_before_what_is_small),
		TEST(test_moves_are_complete),
		TEST(test_moves_are_bounded_as_copies_are),
		TEST(test_moves_come_out_of_both_allowances),
		TEST(test_what_waits_for_its_move_is_not_copied_before),
		TEST(test_what_was_refused_is_made_huge_where_it_is),
		TEST(test_what_may_not_be_remapped_moves_as_it_is),
		TEST(test_many_refusals_are_cheap),
		TEST(test_what_never_goes),
		TEST(test_nothing_moves_unless_full_and_not_paused),
		TEST(test_moves_count_against_the_number_of_actions),
		TEST(test_bytes_on_a_node),
		TEST(test_a_move_is_confirmed_while_something_is_elsewhere),
		TEST(test_what_counts_is_where_the_blocks_are),
		TEST(test_why_memory_stays),
		TEST(test_a_move_that_breaks_huge_pages_is_worse),
		TEST(test_what_was_given_back_meanwhile_is_not_missed),
		TEST(test_only_the_target_is_verified),
		cmocka_unit_test(test_only_the_node_itself_has_room),
		cmocka_unit_test(test_moves_and_copies_share_a_bucket),
		cmocka_unit_test(test_moves_under_way_take_room),
		cmocka_unit_test(test_a_move_that_was_never_started_is_given_back),
		cmocka_unit_test(test_moves_neither_stop_copies_nor_set_them_free),
		cmocka_unit_test(test_zero_budget_never_moves),
		cmocka_unit_test(test_moves_hold_only_what_may_go),
		cmocka_unit_test(test_nothing_else_is_done_to_what_is_to_be_moved),
		cmocka_unit_test(test_budget_is_kept),
		cmocka_unit_test(test_without_a_home_nothing_is_different),
		cmocka_unit_test(test_verdicts_are_true),
		cmocka_unit_test(test_the_rounds_are_worth_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
