/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Laws of the core on thousands of random snapshots, with 4K and with 64K base pages. Fixed seeds:
 * a failure names its seed. */
#include <errno.h>
#include <json-c/json.h>

#include "bar.h"
#include "governor.h"
#include "ledger.h"
#include "report_json.h"
#include "laws_bench.h"
#include "verify.h"

enum { ROUNDS = 4000 };

static void begin(struct round *r, uint64_t seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15u;
	uint64_t block;

	*r = (struct round){.seed = seed};
	build_random(&r->s, &random);
	block = block_bytes(&r->s.geometry);
	LAW(seed, snapshot_validate(&r->s, NULL) == 0);
	r->limits = (struct plan_limits){
		.copy_allowance_bytes =
			one_in(&random, 3) ? UINT64_MAX : random_below(&random, 30 * block),
		.first_id = (uint32_t)random_below(&random, 1000),
		.max_actions = one_in(&random, 4) ? (uint32_t)random_below(&random, 5) : 0,
	};
	round_decide(r);
}

static void for_all(void (*law)(const struct round *r))
{
	for_all_rounds(ROUNDS, begin, law);
}

/* ---- diagnose ---- */

static void runs_cover_regions(const struct round *r)
{
	size_t i = 0;

	for (uint32_t n = 0; n < r->s.n_regions; n++) {
		hva_t at = r->s.regions[n].start;

		for (; i < r->d.n_runs && r->d.runs[i].region == n; i++) {
			LAW(r->seed, r->d.runs[i].start == at);
			LAW(r->seed, r->d.runs[i].bytes > 0);
			at += r->d.runs[i].bytes;
		}
		LAW(r->seed, at == r->s.regions[n].end);
	}
	LAW(r->seed, i == r->d.n_runs);
}

static void test_every_byte_is_in_exactly_one_run(void **state)
{
	(void)state;
	for_all(runs_cover_regions);
}

static void sums_agree(const struct round *r)
{
	const struct totals *t = &r->d.totals;
	uint64_t ram = 0, resident = 0, uncounted = 0, swapped_residue = 0, by_reason = 0,
		 by_state = 0;

	for (size_t i = 0; i < r->d.n_runs; i++) {
		const struct run *run = &r->d.runs[i];
		bool is_counted = run->resident_bytes != UINT64_MAX;

		LAW(r->seed, !is_counted || run->resident_bytes <= run->bytes);
		LAW(r->seed, run->state != BLOCK_HUGE || run->resident_bytes == run->bytes);
		LAW(r->seed, (run->state == BLOCK_HUGE) == (run->reason == REASON_NONE));
		ram += run->bytes;
		resident += is_counted ? run->resident_bytes : 0;
		uncounted += is_counted ? 0 : run->bytes;
		if (run->state == BLOCK_SWAPPED && is_counted)
			swapped_residue += run->resident_bytes;
	}
	LAW(r->seed, t->ram_bytes == ram);
	LAW(r->seed, t->resident_bytes == resident);
	LAW(r->seed, t->uncounted_bytes == uncounted);
	LAW(r->seed, t->huge_bytes == t->by_state[BLOCK_HUGE]);
	LAW(r->seed, t->huge_bytes + t->by_state[BLOCK_REMAPPABLE] + t->by_state[BLOCK_COPYABLE] +
				     t->by_state[BLOCK_SPARSE] + t->by_state[BLOCK_BARRED] +
				     t->by_state[BLOCK_UNKNOWN] + swapped_residue ==
			     t->resident_bytes);
	for (size_t i = 0; i < REASON_MAX; i++)
		by_reason += t->by_reason[i];
	for (size_t i = 0; i < BLOCK_STATE_MAX; i++)
		by_state += t->by_state[i];
	LAW(r->seed, by_reason == by_state);
}

static void test_sums_agree(void **state)
{
	(void)state;
	for_all(sums_agree);
}

static uint64_t json_bytes(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(o, key, &value));
	return json_object_get_uint64(value);
}

static uint64_t json_reasons(struct json_object *o)
{
	struct json_object *reasons = NULL;
	uint64_t sum = 0;

	assert_true(json_object_object_get_ex(o, "reasons", &reasons));
	json_object_object_foreach(reasons, slug, bytes)
	{
		assert_string_not_equal(slug, "none");
		sum += json_object_get_uint64(bytes);
	}
	return sum;
}

/* What thpctl(1) says of the sums of `status`, of the very numbers it prints. */
static void told_sums_agree(const struct round *r)
{
	struct json_object *o = totals_to_json(&r->d.totals);
	uint64_t present = 0, uncounted = 0, never_looked = 0, swapped_residue = 0, seven;

	for (size_t i = 0; i < r->d.n_runs; i++) {
		const struct run *run = &r->d.runs[i];
		bool is_counted = run->resident_bytes != UINT64_MAX;

		present += is_counted ? run->resident_bytes : 0;
		uncounted += is_counted ? 0 : run->bytes;
		if (!is_counted && run->state == BLOCK_BARRED &&
		    !region_is_countable(&r->s.regions[run->region]))
			never_looked += run->bytes;
		if (is_counted && run->state == BLOCK_SWAPPED)
			swapped_residue += run->resident_bytes;
	}
	seven = json_bytes(o, "huge_bytes") + json_bytes(o, "remappable_bytes") +
		json_bytes(o, "copyable_bytes") + json_bytes(o, "held_back_bytes") +
		json_bytes(o, "barred_bytes") + json_bytes(o, "unknown_bytes") +
		json_bytes(o, "swapped_bytes");
	LAW(r->seed, json_bytes(o, "resident_bytes") == present);
	LAW(r->seed,
	    seven == present + json_bytes(o, "swapped_bytes") - swapped_residue + uncounted);
	LAW(r->seed, json_reasons(o) == seven - json_bytes(o, "huge_bytes") +
						json_bytes(o, "empty_bytes") -
						(uncounted - never_looked));
	json_object_put(o);
}

static void test_told_sums_agree(void **state)
{
	(void)state;
	for_all(told_sums_agree);
}

static const struct sight *sight_at(const struct snapshot *s, hva_t address)
{
	uint64_t block = block_bytes(&s->geometry);

	for (size_t i = 0; i < s->n_sights; i++)
		if (s->sights[i].start <= address &&
		    address < s->sights[i].start + s->sights[i].blocks * block)
			return &s->sights[i];
	return NULL;
}

static void wants_are_lawful(const struct round *r)
{
	for (size_t i = 0; i < r->d.n_wants; i++) {
		const struct want *w = &r->d.wants[i];
		const struct region *region = snapshot_find_region(&r->s, w->start);

		LAW(r->seed, w->start < w->end);
		LAW(r->seed, i == 0 || r->d.wants[i - 1].end <= w->start);
		LAW(r->seed, is_aligned(w->start | w->end, block_bytes(&r->s.geometry)));
		LAW(r->seed, region && region->backing != BACKING_DEVDAX &&
				     region->backing != BACKING_SECRET &&
				     region->backing != BACKING_SPECIAL &&
				     region->backing != BACKING_HUGETLB);
		for (hva_t at = w->start; at < w->end; at += block_bytes(&r->s.geometry)) {
			const struct sight *v = sight_at(&r->s, at);

			LAW(r->seed, v && v->fill == FILL_UNKNOWN && v->seen != SEEN_UNKNOWN);
		}
	}
}

static void test_wants_ask_for_what_was_seen_and_not_counted(void **state)
{
	(void)state;
	for_all(wants_are_lawful);
}

static void huge_stays_huge(const struct round *r)
{
	uint64_t huge = 0;

	for (size_t i = 0; i < r->s.n_sights; i++)
		if (r->s.sights[i].seen == SEEN_HUGE)
			huge += r->s.sights[i].blocks * block_bytes(&r->s.geometry);
	LAW(r->seed, r->d.totals.huge_bytes == huge);
}

static void test_a_huge_block_is_huge_whatever_else_is_true(void **state)
{
	(void)state;
	for_all(huge_stays_huge);
}

/* ---- plan ---- */

/* By the facts, not by the diagnosis: what must never be in an action. */
static void check_block(const struct round *r, const struct action *a, hva_t at)
{
	const struct sight *v = sight_at(&r->s, at);
	const struct region *region = snapshot_find_region(&r->s, at);

	LAW(r->seed, v != NULL);
	LAW(r->seed, v->seen == SEEN_FOLIO || v->seen == SEEN_SMALL || v->seen == SEEN_PAGES);
	LAW(r->seed, !(v->flags & (SIGHT_SWAP | SIGHT_GUARD | SIGHT_ANON_COPY)));
	if (a->kind == ACTION_REMAP)
		LAW(r->seed, v->seen == SEEN_FOLIO && region->is_shared);
	else
		LAW(r->seed, fill_suffices(v->fill, r->s.policy.min_populated_bp));
	for (size_t i = 0; i < r->s.n_holds; i++)
		LAW(r->seed, r->s.holds[i].until_ns <= r->s.taken_ns || at < r->s.holds[i].start ||
				     at >= r->s.holds[i].end);
	LAW(r->seed, !region->are_flags_known ||
			     !(region->flags & (VMA_FLAG_NH | VMA_FLAGS_UFFD | VMA_FLAG_HT |
						VMA_FLAGS_SPECIAL | VMA_FLAG_GU)));
	LAW(r->seed, region->backing == BACKING_ANON || region->backing == BACKING_SHMEM ||
			     (region->backing == BACKING_FILE && !region->is_shared));
	LAW(r->seed, region_is_congruent(region, &r->s.geometry));
	LAW(r->seed, region->eligibility != ELIGIBILITY_NO);
	LAW(r->seed, a->kind == ACTION_REMAP || !r->s.vm.has_vfio);
	LAW(r->seed, !r->s.vm.has_sev);
}

static void actions_hold_only_what_pays(const struct round *r)
{
	uint64_t block = block_bytes(&r->s.geometry);

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct target *t = &r->p.actions[i].target;

		for (hva_t at = t->start; at < t->start + t->bytes; at += block)
			check_block(r, &r->p.actions[i], at);
	}
}

static void test_actions_hold_only_what_pays(void **state)
{
	(void)state;
	for_all(actions_hold_only_what_pays);
}

static void actions_are_bounded(const struct round *r)
{
	uint64_t block = block_bytes(&r->s.geometry);

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];
		const struct region *region = snapshot_find_region(&r->s, a->target.start);
		uint64_t bound = a->kind == ACTION_REMAP
					 ? min_u64(r->s.policy.remap_call_bytes, 1024 * MIB)
					 : min_u64(r->s.policy.copy_call_bytes, 64 * MIB);

		LAW(r->seed, a->target.bytes > 0 && a->target.bytes <= max_u64(bound, block));
		LAW(r->seed, is_aligned(a->target.start | a->target.bytes, block));
		LAW(r->seed, region && a->target.start + a->target.bytes <= region->end);
		LAW(r->seed, a->kind == ACTION_REMAP ||
				     r->s.vm.memcg_headroom_bytes == UINT64_MAX ||
				     a->target.bytes + 64 * MIB <= r->s.vm.memcg_headroom_bytes);
		LAW(r->seed, a->id == r->limits.first_id + i);
		LAW(r->seed, a->target.pid == r->s.vm.pid);
	}
}

static void test_actions_are_bounded(void **state)
{
	(void)state;
	for_all(actions_are_bounded);
}

static void actions_do_not_overlap(const struct round *r)
{
	for (size_t i = 0; i < r->p.n_actions; i++)
		for (size_t j = i + 1; j < r->p.n_actions; j++) {
			const struct target *a = &r->p.actions[i].target,
					    *b = &r->p.actions[j].target;

			LAW(r->seed,
			    a->start + a->bytes <= b->start || b->start + b->bytes <= a->start);
		}
}

static void test_actions_do_not_overlap(void **state)
{
	(void)state;
	for_all(actions_do_not_overlap);
}

/* Planned as copies too. */
static uint64_t unknown_folios(const struct round *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->d.n_runs; i++)
		if (r->d.runs[i].state == BLOCK_UNKNOWN &&
		    r->d.runs[i].reason == REASON_FOLIO_UNKNOWN)
			bytes += r->d.runs[i].bytes;
	return bytes;
}

static void budget_is_kept(const struct round *r)
{
	uint64_t copies = 0, remaps = 0;

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];

		*(a->kind == ACTION_COPY ? &copies : &remaps) += a->target.bytes;
		LAW(r->seed, i == 0 || r->p.actions[i - 1].kind <= a->kind); /* remaps first */
	}
	LAW(r->seed, copies == r->p.copy_bytes && remaps == r->p.remap_bytes);
	LAW(r->seed, copies <= r->limits.copy_allowance_bytes);
	LAW(r->seed, r->limits.max_actions == 0 || r->p.n_actions <= r->limits.max_actions);
	LAW(r->seed,
	    r->p.n_actions == 0 || (r->s.policy.mode == MODE_FULL && !r->s.policy.is_paused));
	if (r->s.policy.mode == MODE_FULL && !r->s.policy.is_paused && r->s.policy.may_copy)
		LAW(r->seed,
		    copies + r->p.deferred_copy_bytes ==
				    r->d.totals.by_state[BLOCK_COPYABLE] + unknown_folios(r) ||
			    r->s.policy.min_populated_bp < 10000);
}

static void test_budget_is_kept(void **state)
{
	(void)state;
	for_all(budget_is_kept);
}

static void nothing_that_pays_is_left(const struct round *r)
{
	struct plan p = PLAN_INIT;
	const struct plan_limits unlimited = {.copy_allowance_bytes = UINT64_MAX};

	LAW(r->seed, plan_make(&r->s, &r->d, &unlimited, &p) == 0);
	if (r->s.policy.mode == MODE_FULL && !r->s.policy.is_paused && r->s.policy.may_remap)
		LAW(r->seed, p.remap_bytes == r->d.totals.by_state[BLOCK_REMAPPABLE]);
	LAW(r->seed, p.deferred_copy_bytes == 0);
	plan_clear(&p);
}

static void test_nothing_that_pays_is_left(void **state)
{
	(void)state;
	for_all(nothing_that_pays_is_left);
}

static void decisions_are_repeatable(const struct round *r)
{
	struct diagnosis d = DIAGNOSIS_INIT;
	struct plan p = PLAN_INIT;

	LAW(r->seed, diagnose(&r->s, r->s.taken_ns, &d) == 0);
	LAW(r->seed, plan_make(&r->s, &d, &r->limits, &p) == 0);
	LAW(r->seed, d.n_runs == r->d.n_runs && p.n_actions == r->p.n_actions);
	LAW(r->seed, memcmp(&d.totals, &r->d.totals, sizeof(d.totals)) == 0);
	for (size_t i = 0; i < p.n_actions; i++) {
		const struct action *a = &p.actions[i], *b = &r->p.actions[i];

		LAW(r->seed, a->id == b->id && a->kind == b->kind && a->node == b->node &&
				     a->target.start == b->target.start &&
				     a->target.bytes == b->target.bytes);
	}
	diagnosis_clear(&d);
	plan_clear(&p);
}

static void test_decisions_are_repeatable(void **state)
{
	(void)state;
	for_all(decisions_are_repeatable);
}

/* ---- verify, ledger ---- */

static void nothing_changed_is_no_effect(const struct round *r)
{
	static const int errors[] = {0, EAGAIN, EINVAL, ENOMEM, EBUSY, ESRCH};

	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];
		const struct outcome o = {.action = a->id, .err = errors[i % ARRAY_SIZE(errors)]};
		struct verdict v = verify_action(a, &o, r->s.sights, r->s.n_sights, r->s.sights,
						 r->s.n_sights, &r->s.geometry);

		LAW(r->seed, v.effect == EFFECT_NONE && v.huge_bytes_delta == 0);
		LAW(r->seed, v.refilled_bytes == 0 && v.reason != REASON_NONE);
	}
}

static void test_nothing_changed_is_no_effect(void **state)
{
	(void)state;
	for_all(nothing_changed_is_no_effect);
}

/* By rule 1: an action that does all it may refills nothing unless policy allowed holes. */
static void full_blocks_are_never_refilled(const struct round *r)
{
	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct action *a = &r->p.actions[i];
		const struct outcome o = {.action = a->id};
		const struct sight after = {
			.start = a->target.start,
			.blocks = (uint32_t)(a->target.bytes / block_bytes(&r->s.geometry)),
			.seen = SEEN_HUGE,
			.fill = FILL_FULL,
		};
		struct verdict v =
			verify_action(a, &o, r->s.sights, r->s.n_sights, &after, 1, &r->s.geometry);

		LAW(r->seed, v.effect == EFFECT_DONE);
		LAW(r->seed, v.huge_bytes_delta == (int64_t)a->target.bytes);
		LAW(r->seed, v.refilled_bytes == 0 || r->s.policy.min_populated_bp < 10000);
	}
}

static void test_full_blocks_are_never_refilled(void **state)
{
	(void)state;
	for_all(full_blocks_are_never_refilled);
}

/* Whatever a refused action teaches, the next plan does not try the same blocks again before the
 * hold is over. */
static void refused_blocks_are_left_alone(const struct round *r)
{
	struct round *m = (struct round *)(uintptr_t)r; /* the round is ours to spoil */
	struct ledger l = LEDGER_INIT;
	const struct action first = r->p.n_actions > 0 ? r->p.actions[0] : (struct action){0};
	const struct outcome o = {.action = first.id, .err = EAGAIN};

	if (r->p.n_actions == 0)
		return;
	LAW(r->seed, ledger_learn(&l, &first, &o, NULL, 0, &r->s.geometry, r->s.taken_ns) == 0);
	LAW(r->seed, ledger_export(&l, &m->s) == 0);
	LAW(r->seed, snapshot_validate(&r->s, NULL) == 0);
	LAW(r->seed, diagnose(&r->s, r->s.taken_ns, &m->d) == 0);
	LAW(r->seed, plan_make(&r->s, &r->d, &r->limits, &m->p) == 0);
	for (size_t i = 0; i < r->p.n_actions; i++) {
		const struct target *t = &r->p.actions[i].target;

		LAW(r->seed, t->start + t->bytes <= first.target.start ||
				     t->start >= first.target.start + first.target.bytes);
	}
	ledger_clear(&l);
}

static void test_refused_blocks_are_left_alone(void **state)
{
	(void)state;
	for_all(refused_blocks_are_left_alone);
}

/* The generator must reach what the laws are about, or they would hold of nothing. */
static void test_the_rounds_are_worth_it(void **state)
{
	uint64_t actions[ACTION_KIND_MAX] = {0}, states[BLOCK_STATE_MAX] = {0},
		 reasons[REASON_MAX] = {0}, wants = 0;
	unsigned int seen_reasons = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct round r;

		begin(&r, seed);
		for (size_t i = 0; i < r.p.n_actions; i++)
			actions[r.p.actions[i].kind]++;
		for (size_t i = 0; i < r.d.n_runs; i++) {
			states[r.d.runs[i].state]++;
			reasons[r.d.runs[i].reason]++;
		}
		wants += r.d.n_wants;
		round_clear(&r);
	}
	/* No move is under way here: test_placing.c. */
	assert_true(actions[ACTION_REMAP] > 200 && actions[ACTION_COPY] > 200);
	for (size_t i = 0; i < BLOCK_STATE_MAX; i++)
		assert_true(states[i] > 200);
	for (size_t i = 0; i < REASON_MAX; i++)
		seen_reasons += reasons[i] > 0;
	assert_true(seen_reasons >= 26);
	assert_true(wants > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_is_in_exactly_one_run),
		cmocka_unit_test(test_sums_agree),
		cmocka_unit_test(test_told_sums_agree),
		cmocka_unit_test(test_wants_ask_for_what_was_seen_and_not_counted),
		cmocka_unit_test(test_a_huge_block_is_huge_whatever_else_is_true),
		cmocka_unit_test(test_actions_hold_only_what_pays),
		cmocka_unit_test(test_actions_are_bounded),
		cmocka_unit_test(test_actions_do_not_overlap),
		cmocka_unit_test(test_budget_is_kept),
		cmocka_unit_test(test_nothing_that_pays_is_left),
		cmocka_unit_test(test_decisions_are_repeatable),
		cmocka_unit_test(test_nothing_changed_is_no_effect),
		cmocka_unit_test(test_full_blocks_are_never_refilled),
		cmocka_unit_test(test_refused_blocks_are_left_alone),
		cmocka_unit_test(test_the_rounds_are_worth_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
