/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the memory of a VM is moved at all: laws over thousands of random lives of a small VM whose
 * vCPUs wander. */
#include <errno.h>

#include "governor.h"
#include "mover.h"
#include "plan.h"
#include "snapshot_builder.h"

#define SECOND	 UINT64_C(1000000000)
#define STABLE	 (60 * SECOND) /* the defaults of the policy */
#define INTERVAL (600 * SECOND)

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

/* How the home of a life is divided when it is wide. */
enum division { DIVISION_NONE = 0, DIVISION_STRIPES, DIVISION_GUEST };

struct life {
	uint64_t seed, random;
	enum division division;
	struct snapshot s;
	struct diagnosis d;
	struct mover m;
	struct governor g;
	struct cell cells[BLOCKS];
	uint64_t now_ns, began_ns;
	uint64_t moved_blocks, moves;
	/* What the laws need to know, by their own reckoning. */
	node_set_t home, target;
	node_set_t rightful[BLOCKS]; /* where each block belongs */
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
		const struct vcpu v = {
			.tid = (pid_t)n, .guest_node = (int16_t)(n % 3) - 1, .busy_bp = 3000};

		LAW(l, ARRAY_APPEND(&l->s.vcpus, &l->s.n_vcpus, &v) == 0);
	}
}

/* What the guest was told: two nodes, in parts, and memory of none. */
static void random_spans(struct life *l)
{
	size_t blocks;

	for (size_t i = 0; i < BLOCKS; i += blocks) {
		struct guest_span span = {.start = BASE + i * BLOCK};

		blocks = 1 + random_below(&l->random, min_u64(24, BLOCKS - i));
		span.bytes = blocks * BLOCK;
		span.guest_node = (int16_t)random_below(&l->random, 2);
		if (!one_in(&l->random, 5))
			LAW(l, ARRAY_APPEND(&l->s.guest_spans, &l->s.n_guest_spans, &span) == 0);
	}
}

static void divide(struct life *l, enum division division)
{
	l->division = division;
	if (division == DIVISION_STRIPES) {
		l->s.policy.wide = WIDE_INTERLEAVE;
		l->s.policy.wide_stripe_bytes = (1 + random_below(&l->random, 20)) * BLOCK;
	} else if (division == DIVISION_GUEST) {
		random_spans(l);
	}
}

static void grant(struct life *l, uint64_t bytes_per_s)
{
	const struct budget budget = {.copy_bytes_per_s = bytes_per_s, .block_bytes = BLOCK};

	governor_init(&l->g, &budget, l->now_ns);
}

static void begin(struct life *l, uint64_t seed, enum division division)
{
	*l = (struct life){.seed = seed, .random = seed * 0x9e3779b97f4a7c15u, .is_faulty = true};
	build_begin(&l->s);
	build_region(&l->s, BASE, BLOCKS * BLOCK, BACKING_SHMEM);
	random_host(l);
	random_vcpus(l);
	random_cells(l);
	divide(l, division);
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
			l->s.vcpus[i].node = l->division ? (int16_t)((node + (int)i) & 1) : node;
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

/* ---- Where a block belongs, by the tests' own reckoning ---- */

static bool is_told(const struct life *l)
{
	bool is_of[2] = {false, false};

	for (size_t i = 0; i < l->s.n_guest_spans; i++)
		is_of[l->s.guest_spans[i].guest_node] = true;
	return is_of[0] && is_of[1];
}

static int guest_node_of(const struct life *l, size_t block)
{
	for (size_t i = 0; i < l->s.n_guest_spans; i++)
		if (BASE + block * BLOCK - l->s.guest_spans[i].start < l->s.guest_spans[i].bytes)
			return l->s.guest_spans[i].guest_node;
	return -1;
}

/* All work alike, and are few: each counts. */
static node_set_t home_of_guest_node(const struct life *l, int guest_node)
{
	node_set_t nodes = 0;

	for (size_t i = 0; i < l->s.n_vcpus; i++)
		if (guest_node >= 0 && l->s.vcpus[i].guest_node == guest_node)
			nodes |= node_set_of(l->s.vcpus[i].node);
	nodes &= l->home;
	return node_set_is_single(nodes) ? nodes : l->home;
}

static node_set_t rightful_of(const struct life *l, size_t block)
{
	uint64_t nth;

	if (l->home == 0 || node_set_is_single(l->home) || l->division == DIVISION_NONE)
		return l->home;
	if (l->division == DIVISION_GUEST)
		return is_told(l) ? home_of_guest_node(l, guest_node_of(l, block)) : l->home;
	nth = block * BLOCK / l->s.policy.wide_stripe_bytes % node_set_count(l->home);
	for (int node = 0;; node++)
		if (node_set_has(l->home, node) && nth-- == 0)
			return node_set_of(node);
}

/* Everything that has to be so when a block goes. */
static void arrive(struct life *l, size_t block, int16_t node)
{
	struct cell *c = &l->cells[block];
	node_set_t rightful = l->rightful[block];

	LAW(l, !l->s.policy.is_paused && may_go(c));
	LAW(l, node_set_has(rightful, node) && !node_set_has(rightful, c->node));
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
			arrive(l, i, a->node);
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
	LAW(l, o.err != ENOMEM || !node_set_has(l->m.target, a->node));
}

static void watch_home(struct life *l, const struct home *h)
{
	bool is_other = h->nodes != l->home;

	l->home = h->nodes;
	for (size_t i = 0; i < BLOCKS; i++) {
		node_set_t rightful = rightful_of(l, i);

		is_other |= rightful != l->rightful[i];
		l->rightful[i] = rightful;
	}
	if (is_other)
		l->home_since_ns = l->now_ns;
}

static void watch_target(struct life *l, const struct whereabouts *w)
{
	node_set_t target = l->m.target;

	LAW(l, (target & ~l->home) == 0);
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
	struct mover_choice choice;
	enum reason reason;
	uint64_t retry_ns;

	if (mover_step(&l->m, &l->s, &l->d, w, l->now_ns))
		limits.home = l->m.home;
	watch_target(l, w);
	choice = mover_choose(&l->m, &l->s, &l->d, &l->s.host, 0);
	limits.place_node = choice.node;
	limits.place_full = choice.full | (l->m.home.nodes & ~l->m.target);
	limits.refused = &l->m.refused;
	limits.place_allowance_bytes = governor_place_allowance(&l->g, &l->s.host, choice.node,
								l->now_ns, &reason, &retry_ns);
	if (reason != REASON_NONE)
		limits.home = (struct home){0};
	LAW(l, plan_make(&l->s, &l->d, &limits, &plan) == 0);
	for (size_t i = 0; i < plan.n_actions; i++) {
		/* Without room on the node the rest is dropped. */
		if (plan.actions[i].kind == ACTION_PLACE &&
		    !node_set_has(l->m.target, plan.actions[i].node))
			break;
		act(l, &plan.actions[i]);
	}
	watch_target(l, NULL);
	plan_clear(&plan);
}

static uint64_t blocks_outside(const struct life *l, bool are_pinned)
{
	uint64_t n = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		const struct cell *c = &l->cells[i];

		n += may_go(c) && c->is_pinned == are_pinned &&
		     !node_set_has(l->rightful[i], c->node);
	}
	return n;
}

static uint64_t bytes_outside(const struct life *l)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < BLOCKS; i++)
		if (l->cells[i].node >= 0 && !node_set_has(l->rightful[i], l->cells[i].node))
			bytes += l->cells[i].fill * BLOCK / FILL_FULL;
	return bytes;
}

static void step_on(struct life *l)
{
	uint64_t elapsed = l->now_ns - l->began_ns;
	struct whereabouts w;

	l->s.n_sights = look(l, 0, BLOCKS, l->s.sights);
	LAW(l, diagnose(&l->s, l->now_ns, &l->d) == 0);
	w = whereabouts_of(&l->s, &l->d, 0);
	watch_home(l, &w.home);
	LAW(l, w.remote_bytes == (l->home ? bytes_outside(l) : 0));
	plan_and_act(l, &w);
	LAW(l, l->m.moved_bytes == l->moved_blocks * BLOCK);
	LAW(l, l->moved_blocks <= BLOCKS * (1 + elapsed / l->s.policy.move_interval_ns));
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

static void live_through(enum division division)
{
	uint64_t moved = 0, moves = 0, twice = 0;

	for (uint64_t seed = 1; seed <= LIVES; seed++) {
		struct life l;

		begin(&l, seed, division);
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

static void test_memory_never_runs_after_vcpus(void **state)
{
	(void)state;
	live_through(DIVISION_NONE);
}

static void test_stripes_do_not_either(void **state)
{
	(void)state;
	live_through(DIVISION_STRIPES);
}

static void test_nor_does_the_memory_of_guest_nodes(void **state)
{
	(void)state;
	live_through(DIVISION_GUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_never_runs_after_vcpus),
		cmocka_unit_test(test_stripes_do_not_either),
		cmocka_unit_test(test_nor_does_the_memory_of_guest_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
