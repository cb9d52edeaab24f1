/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Laws of moves to another node, on random snapshots. */
#include <errno.h>

#include "confirm.h"
#include "sights.h"
#include "laws_bench.h"
#include "verify.h"

/* Random snapshots have three nodes. */
enum { ALL = 1 << 0 | 1 << 1 | 1 << 2 };

enum { ROUNDS = 12000 };

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
	round_decide(r);
}

static void for_all(void (*law)(const struct round *r))
{
	for_all_rounds(ROUNDS, begin, law);
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
		round_clear(&r);
	}
	/* Nothing is populated in these rounds. */
	for (size_t i = 0; i <= ACTION_PLACE; i++)
		assert_true(actions[i] > 200);
	assert_true(deferred > 200 && refused > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_hold_only_what_may_go),
		cmocka_unit_test(test_nothing_else_is_done_to_what_is_to_be_moved),
		cmocka_unit_test(test_budget_is_kept),
		cmocka_unit_test(test_without_a_home_nothing_is_different),
		cmocka_unit_test(test_verdicts_are_true),
		cmocka_unit_test(test_the_rounds_are_worth_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
