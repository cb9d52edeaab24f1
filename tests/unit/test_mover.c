/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the memory of a VM is moved at all: the rules one by one. The laws: test_mover_lives.c. */
#include <errno.h>

#include "mover.h"
#include "snapshot_builder.h"

#define SECOND	 UINT64_C(1000000000)
#define STABLE	 (60 * SECOND) /* the defaults of the policy */
#define INTERVAL (600 * SECOND)

enum { N0 = 1 << 0, N1 = 1 << 1 };

struct bench {
	struct snapshot s;
	struct diagnosis d;
	struct mover m;
	struct vcpu *vcpu; /* the only one */
};

static int set_up(void **state)
{
	const struct vcpu v = {.tid = 1, .node = 0, .busy_bp = 5000};
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	build_region(&b->s, BASE, 256 * BLOCK, BACKING_SHMEM);
	b->s.host.n_nodes = 2;
	b->s.host.nodes[1].id = 1;
	b->s.policy.placement = PLACEMENT_FOLLOW;
	if (ARRAY_APPEND(&b->s.vcpus, &b->s.n_vcpus, &v) < 0)
		return -1;
	b->vcpu = b->s.vcpus;
	b->m = (struct mover)MOVER_INIT;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	mover_clear(&b->m);
	diagnosis_clear(&b->d);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static struct sight *see(struct bench *b, uint32_t block, uint32_t blocks, enum seen seen,
			 uint8_t fill, int16_t node)
{
	struct sight *v = build_sight(&b->s, BASE + block * BLOCK, blocks, seen, fill);

	v->node = node;
	return v;
}

static node_set_t step(struct bench *b, uint64_t now_ns)
{
	struct whereabouts w;

	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &b->d), 0);
	w = whereabouts_of(&b->s, &b->d, 0);
	return mover_step(&b->m, &b->s, &b->d, &w, now_ns);
}

/* A VM of 128 MiB, all of it on node 1, that runs on node 0 since SECOND. */
static void live(struct bench *b)
{
	see(b, 0, 64, SEEN_HUGE, FILL_FULL, 1);
	assert_int_equal(step(b, SECOND), 0);
}

/* ... whose memory is being moved. */
static void move(struct bench *b)
{
	live(b);
	assert_int_equal(step(b, SECOND + STABLE), N0);
}

static int learn(struct bench *b, uint32_t block, uint32_t blocks, int err,
		 const struct sight *after, size_t n_after, uint64_t now_ns)
{
	const struct action a = {
		.kind = ACTION_PLACE,
		.target = {.start = BASE + block * BLOCK, .bytes = blocks * BLOCK}};
	const struct outcome o = {.err = err};

	return mover_learn(&b->m, &a, &o, b->s.sights, b->s.n_sights, after, n_after, &geometry_4k,
			   now_ns);
}

static struct sight sight_of(uint32_t block, uint32_t blocks, int16_t node)
{
	return (struct sight){.start = BASE + block * BLOCK,
			      .blocks = blocks,
			      .seen = SEEN_HUGE,
			      .fill = FILL_FULL,
			      .node = node,
			      .present_pages = blocks * 512};
}

/* ---- When one begins ---- */

static void test_a_move_begins_when_the_home_is_stable(void **state)
{
	struct bench *b = *state;

	live(b);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), SECOND + STABLE);
	assert_int_equal(step(b, SECOND + STABLE - 1), 0);
	assert_int_equal(step(b, SECOND + STABLE), N0);
}

static void test_every_change_of_the_home_begins_the_wait_anew(void **state)
{
	struct bench *b = *state;
	uint64_t now = SECOND;

	live(b);
	for (int i = 0; i < 20; i++) {
		now += STABLE - 1;
		b->vcpu->node ^= 1;
		assert_int_equal(step(b, now), 0);
	}
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), now + STABLE);
	assert_int_equal(step(b, now + STABLE), N0);
}

static void test_an_unknown_home_is_never_due(void **state)
{
	struct bench *b = *state;

	b->vcpu->node = -1;
	live(b);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), UINT64_MAX);
	assert_int_equal(step(b, UINT64_MAX), 0);
}

static void test_less_than_the_gain_is_not_worth_it(void **state)
{
	struct bench *b = *state;

	b->s.policy.min_gain_bytes = 64 * BLOCK + 1;
	live(b);
	assert_int_equal(step(b, SECOND + STABLE), 0);
	assert_false(b->m.has_ended); /* none began */
	b->s.policy.min_gain_bytes--;
	assert_int_equal(step(b, SECOND + STABLE), N0);
}

static void test_without_anything_outside_nothing_begins(void **state)
{
	struct bench *b = *state;

	b->s.policy.min_gain_bytes = 0;
	see(b, 0, 64, SEEN_HUGE, FILL_FULL, 0);
	assert_int_equal(step(b, SECOND), 0);
	assert_int_equal(step(b, SECOND + STABLE), 0);
	assert_false(b->m.has_ended);
}

static void forbid_report(struct snapshot *s)
{
	s->policy.placement = PLACEMENT_REPORT;
}

static void forbid_off(struct snapshot *s)
{
	s->policy.placement = PLACEMENT_OFF;
}

static void forbid_bind(struct snapshot *s)
{
	s->policy.placement = PLACEMENT_BIND; /* nothing binds it: no home */
}

static void forbid_mode(struct snapshot *s)
{
	s->policy.mode = MODE_REPORT;
}

static void forbid_pause(struct snapshot *s)
{
	s->policy.is_paused = true;
}

static void forbid_vfio(struct snapshot *s)
{
	s->vm.has_vfio = true;
}

static void forbid_sev(struct snapshot *s)
{
	s->vm.has_sev = true;
}

static void forbid_uffd(struct snapshot *s)
{
	s->vm.has_uffd = true;
}

/* By another process than the VMM. */
static void forbid_armed(struct snapshot *s)
{
	s->regions[0].flags = VMA_FLAG_UW;
}

static void (*const forbidders[])(struct snapshot *s) = {
	forbid_report, forbid_off, forbid_bind, forbid_mode,  forbid_pause,
	forbid_vfio,   forbid_sev, forbid_uffd, forbid_armed,
};

static void test_what_forbids_moves(void **state)
{
	struct bench *b = *state;
	const struct vm vm = b->s.vm;
	const struct policy policy = b->s.policy;

	see(b, 0, 64, SEEN_HUGE, FILL_FULL, 1);
	for (size_t i = 0; i < ARRAY_SIZE(forbidders); i++) {
		/* From the beginning. */
		forbidders[i](&b->s);
		assert_int_equal(step(b, SECOND), 0);
		assert_int_equal(step(b, SECOND + STABLE), 0);
		assert_false(b->m.has_ended);
		mover_clear(&b->m);
		/* In the middle: over. */
		b->s.vm = vm;
		b->s.policy = policy;
		b->s.regions[0].flags = 0;
		assert_int_equal(step(b, SECOND), 0);
		assert_int_equal(step(b, SECOND + STABLE), N0);
		forbidders[i](&b->s);
		assert_int_equal(step(b, 2 * STABLE), 0);
		assert_true(b->m.has_ended && b->m.ended_ns == 2 * STABLE);
		mover_clear(&b->m);
		b->s.vm = vm;
		b->s.policy = policy;
		b->s.regions[0].flags = 0;
	}
}

static void test_may_move_needs_a_home(void **state)
{
	struct bench *b = *state;
	struct home h = {.nodes = N0};

	assert_true(mover_may_move(&b->s, &h));
	b->s.policy.placement = PLACEMENT_BIND;
	assert_true(mover_may_move(&b->s, &h));
	h.nodes = 0;
	assert_false(mover_may_move(&b->s, &h));
}

/* ---- When it ends ---- */

static void test_a_move_goes_on_until_all_is_there(void **state)
{
	struct bench *b = *state;

	move(b);
	b->s.policy.min_gain_bytes = UINT64_MAX; /* what has begun is finished */
	b->s.sights[0] = sight_of(0, 63, 0);
	b->s.n_sights = 1;
	see(b, 63, 1, SEEN_HUGE, FILL_FULL, 1);
	assert_int_equal(step(b, 2 * STABLE), N0);
	b->s.sights[1].node = 0;
	assert_int_equal(step(b, 3 * STABLE), 0);
	assert_int_equal(b->m.ended_ns, 3 * STABLE);
}

static void test_the_next_move_waits_for_its_interval(void **state)
{
	struct bench *b = *state;
	uint64_t ended = 2 * STABLE;

	move(b);
	b->s.sights[0].node = 0;
	assert_int_equal(step(b, ended), 0);
	b->s.sights[0].node = 1; /* it came back */
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), ended + INTERVAL);
	assert_int_equal(step(b, ended + INTERVAL - 1), 0);
	assert_int_equal(step(b, ended + INTERVAL), N0);
}

static void test_a_change_of_the_home_ends_a_move(void **state)
{
	struct bench *b = *state;
	uint64_t now = 2 * STABLE;

	move(b);
	b->vcpu->node = 1; /* where the memory is */
	assert_int_equal(step(b, now), 0);
	assert_true(b->m.has_ended && b->m.ended_ns == now);
	b->vcpu->node = 0;
	assert_int_equal(step(b, now + INTERVAL - 1), 0);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), now + INTERVAL - 1 + STABLE);
	assert_int_equal(step(b, now + INTERVAL - 1 + STABLE), N0);
	b->vcpu->node = -1; /* a home that is not known is another one, too */
	assert_int_equal(step(b, now + 2 * INTERVAL), 0);
}

static void test_a_change_is_noted_without_a_step(void **state)
{
	struct home h = {.nodes = N1};
	struct bench *b = *state;

	move(b);
	mover_observe(&b->m, &h, 2 * STABLE);
	assert_int_equal(b->m.target, 0);
	assert_int_equal(b->m.since_ns, 2 * STABLE);
	mover_observe(&b->m, &h, 3 * STABLE); /* the same */
	assert_int_equal(b->m.since_ns, 2 * STABLE);
}

/* Memory that would not go does not keep a move from its end. */
static void test_what_never_goes_is_no_work(void **state)
{
	struct bench *b = *state;

	move(b);
	b->s.n_sights = 0;
	see(b, 0, 64, SEEN_HUGE, FILL_FULL, 0);
	see(b, 64, 64, SEEN_SMALL, 8, 1); /* sparse */
	see(b, 128, 2, SEEN_SWAPPED, 0, 1);
	see(b, 130, 2, SEEN_SMALL, FILL_FULL, 1);
	build_hold(&b->s, BASE + 130 * BLOCK, BASE + 132 * BLOCK, UINT64_MAX, REASON_LOST_PAGES);
	assert_int_equal(step(b, 2 * STABLE), 0);
	assert_int_equal(b->m.ended_ns, 2 * STABLE);
	b->s.n_holds = 0;
	assert_int_equal(step(b, 2 * STABLE + INTERVAL), N0);
}

/* It is over as it begins, and tried again after the interval: not at every step. */
static void test_a_move_of_what_never_goes_is_over_at_once(void **state)
{
	struct bench *b = *state;

	see(b, 0, 128, SEEN_SMALL, 8, 1);
	assert_int_equal(step(b, SECOND), 0);
	assert_int_equal(step(b, SECOND + STABLE), 0);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), SECOND + STABLE + INTERVAL);
}

static void test_what_a_move_takes_along(void **state)
{
	static const enum block_state taken[] = {BLOCK_HUGE, BLOCK_REMAPPABLE, BLOCK_COPYABLE},
				      left[] = {BLOCK_SPARSE, BLOCK_EMPTY, BLOCK_SWAPPED,
						BLOCK_BARRED, BLOCK_UNKNOWN};
	struct bench *b = *state;
	struct run run = {.node = 1};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		run.state = taken[i];
		assert_true(mover_takes(&b->s, &run, N0));
		assert_false(mover_takes(&b->s, &run, N1));
		assert_false(mover_takes(&b->s, &run, 0)); /* no move */
	}
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		run.state = left[i];
		assert_false(mover_takes(&b->s, &run, N0));
	}
	run.reason = REASON_FOLIO_UNKNOWN;
	assert_true(mover_takes(&b->s, &run, N0));
	run.node = -1;
	assert_false(mover_takes(&b->s, &run, N0));
}

/* ---- What is learned ---- */

static void test_what_did_not_go_is_not_tried_again(void **state)
{
	struct bench *b = *state;
	struct sight after[] = {sight_of(8, 3, 0), sight_of(11, 2, 1), sight_of(13, 3, -1)};

	move(b);
	assert_int_equal(learn(b, 8, 8, EBUSY, after, 3, STABLE), 0);
	assert_int_equal(b->m.moved_bytes, 3 * BLOCK);
	assert_int_equal(interval_set_bytes(&b->m.refused), 5 * BLOCK);
	assert_true(interval_set_covers(&b->m.refused, BASE + 11 * BLOCK, BASE + 16 * BLOCK));
	assert_int_equal(step(b, 2 * STABLE), N0); /* the rest was not tried */
}

static void test_when_all_was_refused_the_move_is_over(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 64, 1);

	move(b);
	assert_int_equal(learn(b, 0, 64, EAGAIN, &after, 1, STABLE), 0);
	assert_int_equal(step(b, 2 * STABLE), 0);
	assert_int_equal(b->m.ended_ns, 2 * STABLE);
	assert_int_equal(b->m.refused.n_items, 0); /* the next one tries anew */
	assert_int_equal(step(b, 2 * STABLE + INTERVAL), N0);
}

static void test_refusals_are_of_the_target_alone(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 64, 1);

	move(b);
	assert_int_equal(learn(b, 8, 4, EAGAIN, &after, 1, STABLE), 0);
	assert_int_equal(interval_set_bytes(&b->m.refused), 4 * BLOCK);
	assert_true(interval_set_covers(&b->m.refused, BASE + 8 * BLOCK, BASE + 12 * BLOCK));
}

static void test_without_room_the_move_is_over(void **state)
{
	struct bench *b = *state;
	struct sight after[] = {sight_of(0, 4, 0), sight_of(4, 4, 1)};

	move(b);
	assert_int_equal(learn(b, 0, 8, ENOMEM, after, 2, 2 * STABLE), 0);
	assert_int_equal(b->m.target, 0);
	assert_int_equal(b->m.moved_bytes, 4 * BLOCK);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), 2 * STABLE + INTERVAL);
	/* One that was under way with it changes nothing any more. */
	assert_int_equal(learn(b, 8, 8, ENOMEM, after, 0, 3 * STABLE), 0);
	assert_int_equal(b->m.ended_ns, 2 * STABLE);
}

/* The kernel says that all is well, and the huge pages came in pieces. */
static void test_what_lost_its_size_ends_the_move(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 8, 0);

	move(b);
	after.seen = SEEN_SMALL;
	assert_int_equal(learn(b, 0, 8, 0, &after, 1, 2 * STABLE), 0);
	assert_int_equal(b->m.target, 0);
	assert_int_equal(b->m.moved_bytes, 8 * BLOCK);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), 2 * STABLE + INTERVAL);
}

static void test_what_the_guest_gave_back_ends_nothing(void **state)
{
	struct bench *b = *state;
	struct sight after[] = {sight_of(0, 4, 0), sight_of(4, 4, -1)};

	move(b);
	after[1].seen = SEEN_NOTHING;
	assert_int_equal(learn(b, 0, 8, 0, after, 2, 2 * STABLE), 0);
	assert_int_not_equal(b->m.target, 0);
}

/* A second VM that shares the memory and lives elsewhere: each waits longer each time. */
static void test_what_others_take_back_is_moved_less_often(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 8, 0);
	uint64_t now = 2 * STABLE, wait = INTERVAL;

	move(b);
	for (int i = 0; i < 10; i++) {
		b->m.ended_ns = now;
		assert_int_equal(learn(b, 0, 8, 0, &after, 1, now), 0);
		b->m.target = 0; /* all of it had come, */
		b->m.has_ended = true;
		assert_int_equal(mover_due_ns(&b->m, &b->s.policy), now + wait);
		now += wait;
		assert_int_not_equal(step(b, now), 0); /* and is outside again */
		wait = i < 6 ? 2 * wait : wait;
		now += STABLE;
	}
	/* Another home is another matter. */
	b->m.target = 0;
	b->m.since_ns = b->m.ended_ns + 1;
	assert_int_not_equal(step(b, now + 1000 * INTERVAL), 0);
	assert_int_equal(b->m.strikes, 0);
}

static void test_forgotten_is_as_new(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 8, 0);

	move(b);
	assert_int_equal(learn(b, 0, 8, 0, &after, 1, 2 * STABLE), 0);
	mover_forget(&b->m);
	assert_int_equal(b->m.target, 0);
	assert_int_equal(b->m.moved_bytes, 8 * BLOCK);
	assert_int_equal(b->m.brought.n_items, 0);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), UINT64_MAX);
}

static void test_what_comes_back_late_is_counted_and_not_refused(void **state)
{
	struct bench *b = *state;
	struct sight after[] = {sight_of(0, 1, 0), sight_of(1, 1, 1)};

	move(b);
	b->vcpu->node = 1;
	assert_int_equal(step(b, 2 * STABLE), 0);
	assert_int_equal(learn(b, 0, 2, EBUSY, after, 2, 3 * STABLE), 0);
	assert_int_equal(b->m.moved_bytes, BLOCK);
	assert_int_equal(b->m.refused.n_items, 0);
	assert_int_equal(b->m.ended_ns, 2 * STABLE);
}

static void test_moved_bytes_are_those_that_came(void **state)
{
	struct bench *b = *state;
	struct sight after = sight_of(0, 64, 0);

	move(b);
	b->s.sights[0] = sight_of(0, 2, 0);
	b->s.n_sights = 1;
	see(b, 2, 62, SEEN_HUGE, FILL_FULL, 1);
	assert_int_equal(learn(b, 0, 4, 0, &after, 1, STABLE), 0);
	assert_int_equal(b->m.moved_bytes, 2 * BLOCK); /* two were there */
	b->s.n_sights = 0;
	after.node = 1;
	assert_int_equal(learn(b, 4, 4, 0, &after, 1, STABLE), 0);
	assert_int_equal(b->m.moved_bytes, 2 * BLOCK);
}

static void test_times_saturate(void **state)
{
	struct bench *b = *state;

	b->s.policy.stable_ns = UINT64_MAX; /* infinity */
	live(b);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), UINT64_MAX);
	assert_int_equal(step(b, UINT64_MAX - 1), 0);
	b->s.policy.stable_ns = 0;
	b->s.policy.min_gain_bytes = UINT64_MAX;
	assert_int_equal(step(b, UINT64_MAX - 1), 0);
	b->s.policy.min_gain_bytes = 0;
	b->s.policy.move_interval_ns = UINT64_MAX;
	assert_int_equal(step(b, 2 * SECOND), N0); /* the only move ever */
	b->vcpu->node = 1;
	assert_int_equal(step(b, 3 * SECOND), 0);
	b->vcpu->node = 0;
	assert_int_equal(step(b, UINT64_MAX - 1), 0);
	assert_int_equal(mover_due_ns(&b->m, &b->s.policy), UINT64_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_move_begins_when_the_home_is_stable),
		TEST(test_every_change_of_the_home_begins_the_wait_anew),
		TEST(test_an_unknown_home_is_never_due),
		TEST(test_less_than_the_gain_is_not_worth_it),
		TEST(test_without_anything_outside_nothing_begins),
		TEST(test_what_forbids_moves),
		TEST(test_may_move_needs_a_home),
		TEST(test_a_move_goes_on_until_all_is_there),
		TEST(test_the_next_move_waits_for_its_interval),
		TEST(test_a_change_of_the_home_ends_a_move),
		TEST(test_a_change_is_noted_without_a_step),
		TEST(test_what_never_goes_is_no_work),
		TEST(test_a_move_of_what_never_goes_is_over_at_once),
		TEST(test_what_a_move_takes_along),
		TEST(test_what_did_not_go_is_not_tried_again),
		TEST(test_when_all_was_refused_the_move_is_over),
		TEST(test_refusals_are_of_the_target_alone),
		TEST(test_without_room_the_move_is_over),
		TEST(test_what_lost_its_size_ends_the_move),
		TEST(test_what_the_guest_gave_back_ends_nothing),
		TEST(test_what_others_take_back_is_moved_less_often),
		TEST(test_forgotten_is_as_new),
		TEST(test_what_comes_back_late_is_counted_and_not_refused),
		TEST(test_moved_bytes_are_those_that_came),
		TEST(test_times_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
