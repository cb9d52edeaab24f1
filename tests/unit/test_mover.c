/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the memory of a VM is moved at all: rules one by one, then laws over thousands of random
 * lives of a small VM whose vCPUs wander. */
#include <errno.h>

#include "governor.h"
#include "mover.h"
#include "plan.h"
#include "sights.h"
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
	forbid_report, forbid_off,  forbid_bind, forbid_mode,
	forbid_pause,  forbid_vfio, forbid_uffd, forbid_armed,
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

/* ---- Laws over random lives ---- */

enum { LIVES = 10000, BLOCKS = 64, STEPS_MAX = 30, NODES_MAX = 4, SETTLE_STEPS = 16 };

#define LAW(life, condition)                                                                     \
	do {                                                                                     \
		if (!(condition))                                                                \
			fail_msg("seed %llu: %s", (unsigned long long)(life)->seed, #condition); \
	} while (0)

/* A block of the VM, as it really is. */
struct cell {
	uint8_t seen, fill;
	int16_t node;
	bool is_pinned; /* never goes */
	bool was_moved;
	uint64_t moved_ns; /* the last time */
};

struct life {
	uint64_t seed, random;
	struct snapshot s;
	struct diagnosis d;
	struct mover m;
	struct governor g;
	struct cell cells[BLOCKS];
	uint64_t now_ns, began_ns;
	uint64_t moved_blocks, moves;
	/* What the laws need to know, by their own reckoning. */
	node_set_t home, target;
	uint64_t home_since_ns, move_ended_ns;
	bool has_ended;
	bool is_faulty; /* actions fail, vCPUs wander, the guest touches memory */
};

static bool may_go(const struct cell *c)
{
	return c->seen == SEEN_HUGE || c->seen == SEEN_FOLIO ||
	       (c->seen == SEEN_SMALL && c->fill == FILL_FULL);
}

static struct cell random_cell(uint64_t *random, uint16_t n_nodes)
{
	static const uint8_t seen[] = {SEEN_HUGE, SEEN_HUGE, SEEN_FOLIO, SEEN_SMALL, SEEN_NOTHING};
	struct cell c = {.seen = seen[random_below(random, ARRAY_SIZE(seen))], .fill = FILL_FULL};

	c.node = (int16_t)random_below(random, n_nodes);
	c.is_pinned = one_in(random, 16);
	if (c.seen == SEEN_SMALL && one_in(random, 2))
		c.fill = 8;
	if (c.seen == SEEN_NOTHING) {
		c.fill = 0;
		c.node = -1;
	}
	return c;
}

static void random_cells(struct life *l)
{
	struct cell c = {.seen = SEEN_HUGE};

	for (size_t i = 0; i < BLOCKS; i++) {
		if (i == 0 || one_in(&l->random, 8))
			c = random_cell(&l->random, l->s.host.n_nodes);
		l->cells[i] = c;
	}
}

static void random_host(struct life *l)
{
	l->s.host.n_nodes = (uint16_t)(2 + random_below(&l->random, NODES_MAX - 1));
	for (uint16_t i = 0; i < l->s.host.n_nodes; i++)
		l->s.host.nodes[i] = (struct host_node){.id = (int16_t)i, .has_cpus = true};
}

static void random_vcpus(struct life *l)
{
	for (uint64_t n = 1 + random_below(&l->random, 4); n > 0; n--) {
		const struct vcpu v = {.tid = (pid_t)n, .busy_bp = 3000};

		LAW(l, ARRAY_APPEND(&l->s.vcpus, &l->s.n_vcpus, &v) == 0);
	}
}

static void grant(struct life *l, uint64_t bytes_per_s)
{
	const struct budget budget = {.copy_bytes_per_s = bytes_per_s, .block_bytes = BLOCK};

	governor_init(&l->g, &budget, l->now_ns);
}

static void begin(struct life *l, uint64_t seed)
{
	*l = (struct life){.seed = seed, .random = seed * 0x9e3779b97f4a7c15u, .is_faulty = true};
	build_begin(&l->s);
	build_region(&l->s, BASE, BLOCKS * BLOCK, BACKING_SHMEM);
	random_host(l);
	random_vcpus(l);
	random_cells(l);
	l->s.policy.placement = one_in(&l->random, 4) ? PLACEMENT_BIND : PLACEMENT_FOLLOW;
	if (l->s.policy.placement == PLACEMENT_BIND || one_in(&l->random, 4))
		l->s.policy.nodes = 1 + random_below(&l->random, 14);
	l->s.policy.min_gain_bytes = random_below(&l->random, 6) * BLOCK;
	l->s.policy.copy_call_bytes = (1 + random_below(&l->random, 16)) * BLOCK;
	l->s.sights = calloc(BLOCKS, sizeof(*l->s.sights));
	assert_non_null(l->s.sights);
	l->now_ns = l->began_ns = SECOND;
	grant(l, one_in(&l->random, 2) ? UINT64_MAX : BLOCK / 2);
	l->m = (struct mover)MOVER_INIT;
}

static void end(struct life *l)
{
	mover_clear(&l->m);
	diagnosis_clear(&l->d);
	snapshot_clear(&l->s);
}

/* What a look sees of blocks [from, to): equal neighbours are one. */
static size_t look(const struct life *l, size_t from, size_t to, struct sight *sights)
{
	size_t n = 0;

	for (size_t i = from; i < to; i++) {
		const struct cell *c = &l->cells[i];
		struct sight v = {.start = BASE + i * BLOCK,
				  .blocks = 1,
				  .seen = c->seen,
				  .fill = c->fill,
				  .node = c->node,
				  .present_pages = (uint64_t)c->fill * 512 / FILL_FULL};

		if (n > 0 && sights[n - 1].seen == v.seen && sights[n - 1].fill == v.fill &&
		    sights[n - 1].node == v.node) {
			sights[n - 1].blocks++;
			sights[n - 1].present_pages += v.present_pages;
		} else {
			sights[n++] = v;
		}
	}
	return n;
}

/* Where a scheduler sends the vCPUs; in some lives back and forth right when a move could begin. */
static void wander(struct life *l)
{
	static const uint64_t epsilons[] = {STABLE - 1, STABLE, STABLE + 1, INTERVAL, STABLE / 2};
	uint64_t kind = l->seed % 4, every = kind == 1 ? 2 : 12;

	if (kind == 0) {
		int16_t node = (int16_t)(next_random(&l->random) & 1);

		for (size_t i = 0; i < l->s.n_vcpus; i++)
			l->s.vcpus[i].node = node;
		l->now_ns += epsilons[random_below(&l->random, ARRAY_SIZE(epsilons))];
		return;
	}
	for (size_t i = 0; i < l->s.n_vcpus; i++)
		if (one_in(&l->random, every))
			l->s.vcpus[i].node = (int16_t)random_below(&l->random, l->s.host.n_nodes);
	l->now_ns += one_in(&l->random, 6) ? random_below(&l->random, 2 * INTERVAL)
					   : random_below(&l->random, 2 * STABLE);
}

static void live_on(struct life *l)
{
	struct cell *c = &l->cells[random_below(&l->random, BLOCKS)];

	wander(l);
	if (c->seen == SEEN_NOTHING && one_in(&l->random, 2))
		*c = (struct cell){.seen = SEEN_HUGE,
				   .fill = FILL_FULL,
				   .node = (int16_t)random_below(&l->random, l->s.host.n_nodes)};
	l->s.policy.is_paused = one_in(&l->random, 20);
	for (uint16_t i = 0; i < l->s.host.n_nodes; i++)
		l->s.host.nodes[i].free_block_bytes = random_below(&l->random, 2 * BLOCKS) * BLOCK;
}

static void settle(struct life *l)
{
	l->is_faulty = false;
	l->now_ns += INTERVAL;
	grant(l, UINT64_MAX);
	l->s.policy.is_paused = false;
	for (uint16_t i = 0; i < l->s.host.n_nodes; i++)
		l->s.host.nodes[i].free_block_bytes = 2 * BLOCKS * BLOCK;
}

/* Everything that has to be so when a block goes. */
static void arrive(struct life *l, struct cell *c, int16_t node)
{
	LAW(l, !l->s.policy.is_paused && may_go(c));
	LAW(l, node_set_has(l->home, node) && !node_set_has(l->home, c->node));
	LAW(l, l->now_ns - l->home_since_ns >= l->s.policy.stable_ns);
	LAW(l, !c->was_moved || l->now_ns - c->moved_ns >= l->s.policy.move_interval_ns);
	c->node = node;
	c->was_moved = true;
	c->moved_ns = l->now_ns;
	l->moved_blocks++;
}

/* Some go, some do not; and the errno is what it is. */
static struct outcome place(struct life *l, const struct action *a, size_t from, size_t to)
{
	static const int errors[] = {EBUSY, EAGAIN, EACCES, ENOMEM};
	struct outcome o = {.action = a->id};
	size_t stop = to;

	if (l->is_faulty && one_in(&l->random, 4)) {
		o.err = errors[random_below(&l->random, ARRAY_SIZE(errors))];
		stop = from + random_below(&l->random, to - from);
	}
	for (size_t i = from; i < stop; i++) {
		if (!l->cells[i].is_pinned)
			arrive(l, &l->cells[i], a->node);
		else if (o.err == 0)
			o.err = EBUSY;
	}
	return o;
}

static void act(struct life *l, const struct action *a)
{
	size_t from = (a->target.start - BASE) / BLOCK, to = from + a->target.bytes / BLOCK;
	struct sight before[BLOCKS], after[BLOCKS];
	size_t n_before = look(l, from, to, before), n_after;
	struct outcome o;

	if (a->kind != ACTION_PLACE) {
		for (size_t i = from; i < to; i++)
			l->cells[i].seen = SEEN_HUGE;
		return;
	}
	governor_spend(&l->g, a);
	o = place(l, a, from, to);
	governor_settle(&l->g, a, &o, l->now_ns);
	n_after = look(l, from, to, after);
	LAW(l, mover_learn(&l->m, a, &o, before, n_before, after, n_after, &l->s.geometry,
			   l->now_ns) == 0);
	LAW(l, o.err != ENOMEM || l->m.target == 0);
}

static void watch_home(struct life *l, const struct home *h)
{
	if (h->nodes != l->home)
		l->home_since_ns = l->now_ns;
	l->home = h->nodes;
}

static void watch_target(struct life *l, const struct whereabouts *w)
{
	node_set_t target = l->m.target;

	LAW(l, target == 0 || target == l->home);
	if (target && !l->target) {
		LAW(l,
		    !l->has_ended || l->now_ns - l->move_ended_ns >= l->s.policy.move_interval_ns);
		LAW(l, !w || w->remote_bytes >= max_u64(l->s.policy.min_gain_bytes, 1));
		l->moves++;
	}
	if (!target && l->target) {
		l->has_ended = true;
		l->move_ended_ns = l->now_ns;
	}
	l->target = target;
}

/* As the daemon does it (placing.c, cycle.c). */
static void plan_and_act(struct life *l, const struct whereabouts *w)
{
	struct plan_limits limits = {.copy_allowance_bytes = UINT64_MAX};
	struct plan plan = PLAN_INIT;
	enum reason reason;
	uint64_t retry_ns;

	limits.home = mover_step(&l->m, &l->s, &l->d, w, l->now_ns);
	watch_target(l, w);
	limits.place_node = (int16_t)home_best_node(limits.home, &l->s.host);
	limits.refused = &l->m.refused;
	limits.place_allowance_bytes = governor_place_allowance(
		&l->g, &l->s.host, limits.place_node, l->now_ns, &reason, &retry_ns);
	if (reason != REASON_NONE)
		limits.home = 0;
	LAW(l, plan_make(&l->s, &l->d, &limits, &plan) == 0);
	for (size_t i = 0; i < plan.n_actions; i++) {
		/* Without room on the node the rest is dropped. */
		if (plan.actions[i].kind == ACTION_PLACE && !l->m.target)
			break;
		act(l, &plan.actions[i]);
	}
	watch_target(l, NULL);
	plan_clear(&plan);
}

static void step_on(struct life *l)
{
	uint64_t elapsed = l->now_ns - l->began_ns;
	struct whereabouts w;

	l->s.n_sights = look(l, 0, BLOCKS, l->s.sights);
	LAW(l, diagnose(&l->s, l->now_ns, &l->d) == 0);
	w = whereabouts_of(&l->s, &l->d, 0);
	watch_home(l, &w.home);
	plan_and_act(l, &w);
	LAW(l, l->m.moved_bytes == l->moved_blocks * BLOCK);
	LAW(l, l->moved_blocks <= BLOCKS * (1 + elapsed / l->s.policy.move_interval_ns));
}

static uint64_t blocks_outside(const struct life *l, bool are_pinned)
{
	uint64_t n = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		const struct cell *c = &l->cells[i];

		n += may_go(c) && c->is_pinned == are_pinned && !node_set_has(l->home, c->node);
	}
	return n;
}

static uint64_t bytes_outside(const struct life *l)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < BLOCKS; i++)
		if (l->cells[i].node >= 0 && !node_set_has(l->home, l->cells[i].node))
			bytes += l->cells[i].fill * BLOCK / FILL_FULL;
	return bytes;
}

static void come_to_rest(struct life *l)
{
	uint64_t moved;

	for (int i = 0; i < SETTLE_STEPS; i++) {
		settle(l);
		step_on(l);
	}
	if (l->home && bytes_outside(l) >= max_u64(l->s.policy.min_gain_bytes, 1))
		LAW(l, blocks_outside(l, false) == 0);
	/* What is pinned is tried again and again, an interval between two. */
	LAW(l, l->m.target == 0 || blocks_outside(l, true) > 0);
	moved = l->moved_blocks;
	for (int i = 0; i < 3; i++) {
		settle(l);
		step_on(l);
		LAW(l, l->moved_blocks == moved);
	}
}

static void test_memory_never_runs_after_vcpus(void **state)
{
	uint64_t moved = 0, moves = 0, twice = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= LIVES; seed++) {
		struct life l;

		begin(&l, seed);
		for (uint64_t n = 4 + random_below(&l.random, STEPS_MAX - 4); n > 0; n--) {
			live_on(&l);
			step_on(&l);
		}
		if (seed % 4 == 1)
			come_to_rest(&l);
		moved += l.moved_blocks;
		moves += l.moves;
		twice += l.moves > 1;
		end(&l);
	}
	/* Lives in which nothing happens prove nothing. */
	assert_true(moved > 10 * LIVES && moves > LIVES / 2 && twice > LIVES / 8);
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
		cmocka_unit_test(test_memory_never_runs_after_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
