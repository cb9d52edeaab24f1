/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ten thousand cycles on random hosts with random guests, under random faults. After each the laws
 * of laws.h must hold; at the end of each world, when nothing stands in the way any more, all that
 * can be huge must be.
 *
 * THPD_SEED=N runs that one world (a failure names its seed), THPD_TRACE=1 tells what happens in
 * it, THPD_CYCLES=N runs about N cycles. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random_world.h"

enum { CYCLES = 10000, CYCLES_A_WORLD = 24, PARTS = 4, CALM_CYCLES = 40 };

struct tally {
	uint64_t worlds, cycles, acts, canceled, failed_looks, given_back_blocks, populated,
		refused;
	struct model_stats stats;
};

static void add_stats(struct tally *t, struct world *w)
{
	struct model_stats s = model_stats(w->m);

	t->worlds++;
	t->canceled += w->d.confirm_canceled;
	t->stats.calls += s.calls;
	t->stats.copied_bytes += s.copied_bytes;
	t->stats.remapped_bytes += s.remapped_bytes;
	t->stats.populated_bytes += s.populated_bytes;
	t->given_back_blocks += w->laws.given_back_blocks;
	t->stats.raced_refilled_pages += s.raced_refilled_pages;
	for (int i = 0; i < MODEL_FAULT_MAX; i++)
		t->stats.fired[i] += s.fired[i];
}

/* A fault that changes mappings or the process makes the sums those of a moment that is over. */
static bool is_stale_after(const struct model_stats *before, const struct model_stats *after)
{
	static const enum model_fault_kind kinds[] = {MODEL_FAULT_EXEC, MODEL_FAULT_VANISH,
						      MODEL_FAULT_UNMAP};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (before->fired[kinds[i]] != after->fired[kinds[i]])
			return true;
	}
	return false;
}

static void trace_cycle(const struct world_vm *vm, int r)
{
	const struct driver_vm *v = &vm->driven;

	(void)fprintf(stderr, "pid %d cycle %llu: %d, uffd %d host %d\n", (int)vm->born.pid,
		      (unsigned long long)v->cycles, r, v->snapshot.vm.has_uffd,
		      v->snapshot.host.is_uffd_seen);
	for (size_t i = 0; i < v->n_acts; i++) {
		const struct driver_act *a = &v->acts[i];

		(void)fprintf(stderr, "   %s %llx+%llx called %d err %d claims %lld\n",
			      action_kind_name(a->action.kind),
			      (unsigned long long)a->action.target.start,
			      (unsigned long long)a->action.target.bytes, a->at_ns > 0,
			      a->outcome.err, (long long)a->verdict.huge_bytes_delta);
	}
	for (size_t i = 0; i < v->snapshot.n_regions; i++) {
		const struct region *g = &v->snapshot.regions[i];

		(void)fprintf(stderr, "   region %llx-%llx %s flags %d %x eligible %d\n",
			      (unsigned long long)g->start, (unsigned long long)g->end,
			      backing_name(g->backing), g->are_flags_known, g->flags,
			      (int)g->eligibility);
	}
	for (size_t i = 0; i < v->diagnosis.n_runs; i++) {
		const struct run *run = &v->diagnosis.runs[i];

		(void)fprintf(stderr, "   run %llx+%llx %s %s\n", (unsigned long long)run->start,
			      (unsigned long long)run->bytes, block_state_name(run->state),
			      reason_slug(run->reason));
	}
}

/* What an in-call exec, exit or unmap did, the world has to know. */
static void forget_regions(struct world *w, struct world_vm *vm)
{
	vm->n_regions = 0;
	if (!model_find(w->m, vm->born.pid))
		world_spawn(w, vm);
}

static void count_acts(const struct driver_vm *vm, struct tally *t)
{
	t->acts += vm->n_acts;
	for (size_t i = 0; i < vm->n_acts; i++) {
		const struct driver_act *a = &vm->acts[i];

		if (a->action.kind != ACTION_POPULATE || a->outcome.err == ECANCELED)
			continue;
		t->populated += a->is_verified && a->verdict.huge_bytes_delta > 0;
		t->refused += a->outcome.err != 0;
	}
}

static void run_cycle(struct world *w, struct world_vm *vm, struct tally *t)
{
	struct model_stats before = model_stats(w->m), after;
	bool is_stale;
	int r;

	world_ask(w, vm);
	r = driver_cycle(&w->d, &vm->driven);
	after = model_stats(w->m);
	is_stale = is_stale_after(&before, &after);
	if (w->is_tracing)
		trace_cycle(vm, r);
	t->cycles++;
	count_acts(&vm->driven, t);
	t->failed_looks += r < 0;
	if (!laws_check(&w->laws, &w->d, &vm->driven, r, is_stale))
		fail_msg("THPD_SEED=%llu cycle %llu of pid %d: %s", (unsigned long long)w->seed,
			 (unsigned long long)vm->driven.cycles, (int)vm->born.pid, w->laws.why);
	if (is_stale)
		forget_regions(w, vm);
}

/* ---- Progress ---- */

/* Why a block that could be collapsed may be left: the VM's own lasting circumstances. */
static bool is_excused(const struct world *w, const struct world_vm *vm, enum reason reason)
{
	const struct policy *p = &vm->driven.policy;

	bool is_reduced = p->mode != MODE_FULL || !p->may_copy || !p->may_remap;

	if (reason == REASON_SEV_OR_GUEST_MEMFD)
		return vm->born.has_sev;
	if (reason == REASON_PINNED_SUSPECTED)
		return vm->born.has_vfio || !p->may_copy;
	if (reason == REASON_FOLIO_UNKNOWN)
		return vm->born.has_vfio || !p->may_copy || p->mode != MODE_FULL;
	if (reason == REASON_UFFD_POSSIBLE)
		return !w->is_uffd_safe || vm->driven.snapshot.vm.has_device_dax_1g;
	/* A folio of which only a part is mapped looks like any few pages without its frame number.
	 */
	if (reason == REASON_SPARSE)
		return !(w->d.host.features & FEATURE_PFN);
	/* Without the right to copy nothing is counted. */
	return is_reduced && (reason == REASON_POLICY_OFF || reason == REASON_NOT_LOOKED_YET);
}

static enum reason reason_at(const struct diagnosis *d, hva_t address)
{
	for (size_t i = 0; i < d->n_runs; i++) {
		if (address >= d->runs[i].start && address < d->runs[i].start + d->runs[i].bytes)
			return d->runs[i].reason;
	}
	return REASON_MAX;
}

static uint64_t blocks_left(struct world *w, struct world_vm *vm, enum reason *ret_reason)
{
	uint64_t block = block_bytes(&w->d.geometry), left = 0;

	for (size_t i = 0; i < vm->n_regions; i++) {
		const struct world_region *r = &vm->regions[i];

		for (hva_t at = align_up(r->start, block); at + block <= r->start + r->bytes;
		     at += block) {
			enum reason reason = reason_at(&vm->driven.diagnosis, at);

			if (reason != REASON_TO_POPULATE &&
			    (!model_is_collapsible(w->m, vm->born.pid, at) ||
			     is_excused(w, vm, reason)))
				continue;
			*ret_reason = reason;
			left++;
		}
	}
	return left;
}

static void check_progress(struct world *w, struct tally *t)
{
	struct budget unlimited = {.copy_bytes_per_s = UINT64_MAX,
				   .block_bytes = block_bytes(&w->d.geometry)};
	enum reason reason = REASON_NONE;
	uint64_t left = 0;

	world_calm(w);
	governor_set_budget(&w->d.governor, &unlimited, model_now(w->m));
	w->laws.budget = unlimited;
	for (int i = 0; i < CALM_CYCLES; i++) {
		left = 0;
		model_advance(w->m, 65 * MODEL_MINUTE); /* longer than any back-off */
		for (size_t j = 0; j < w->n_vms; j++) {
			run_cycle(w, &w->vms[j], t);
			left += blocks_left(w, &w->vms[j], &reason);
		}
		if (left == 0 && i > 0)
			return;
	}
	fail_msg("THPD_SEED=%llu: %llu blocks are still not huge: %s", (unsigned long long)w->seed,
		 (unsigned long long)left, reason == REASON_MAX ? "?" : reason_slug(reason));
}

static void run_world(struct world *w, uint64_t seed, struct tally *t)
{
	world_init(w, seed);
	for (int i = 0; i < CYCLES_A_WORLD; i++) {
		struct world_vm *vm = &w->vms[world_random(w, w->n_vms)];

		if (i > 0)
			world_live(w);
		world_add_fault(w, vm->born.pid);
		if (world_random(w, 50) == 0)
			model_fail_scans(w->m, (uint32_t)world_random(w, 4), 1, -EIO);
		run_cycle(w, vm, t);
	}
	model_fail_scans(w->m, 0, 0, 0);
	if (w->d.host.features & FEATURE_PAGEMAP_SCAN && w->d.host.features & FEATURE_COLLAPSE)
		check_progress(w, t);
	add_stats(t, w);
	world_clear(w);
}

static void print_tally(const struct tally *t)
{
	print_message("# %llu worlds, %llu cycles, %llu actions (%llu stopped by the second look), "
		      "%llu calls, %llu cycles without a look\n",
		      (unsigned long long)t->worlds, (unsigned long long)t->cycles,
		      (unsigned long long)t->acts, (unsigned long long)t->canceled,
		      (unsigned long long)t->stats.calls, (unsigned long long)t->failed_looks);
	print_message(
		"# %llu actions populated (%llu were refused), %llu times a hole that was given "
		"back was seen\n",
		(unsigned long long)t->populated, (unsigned long long)t->refused,
		(unsigned long long)t->given_back_blocks);
	print_message("# %llu MiB copied, %llu of it populated, %llu MiB remapped; %llu pages "
		      "refilled in races\n",
		      (unsigned long long)t->stats.copied_bytes >> 20,
		      (unsigned long long)t->stats.populated_bytes >> 20,
		      (unsigned long long)t->stats.remapped_bytes >> 20,
		      (unsigned long long)t->stats.raced_refilled_pages);
	for (int i = 0; i < MODEL_FAULT_MAX; i++)
		print_message("# fault %s fired %llu times\n",
			      model_fault_name((enum model_fault_kind)i),
			      (unsigned long long)t->stats.fired[i]);
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Each part has its own seeds, so that a failure leaves the others to run. */
static void run_part(struct world *w, uint64_t part)
{
	uint64_t one = environment("THPD_SEED", UINT64_MAX);
	uint64_t cycles = environment("THPD_CYCLES", CYCLES) / PARTS;
	struct tally t = {0};

	if (one != UINT64_MAX) {
		if (part == 0)
			run_world(w, one, &t);
		return;
	}
	for (uint64_t i = 0; t.cycles < cycles; i++)
		run_world(w, part * 1000000 + i, &t);
	print_message("# seeds %llu to %llu\n", (unsigned long long)(part * 1000000),
		      (unsigned long long)(part * 1000000 + t.worlds - 1));
	print_tally(&t);
	for (int i = 0; i < MODEL_FAULT_MAX; i++)
		assert_true(cycles < 1000 || t.stats.fired[i] > 0);
	assert_true(t.stats.remapped_bytes > 0 && t.stats.copied_bytes > t.stats.populated_bytes);
	assert_true(t.stats.populated_bytes > 0 && t.given_back_blocks > 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

/* Also after a failure in the middle of a world. */
static int teardown(void **state)
{
	struct world *w = *state;

	if (w->m)
		world_clear(w);
	free(w);
	return 0;
}

static void test_part_0(void **state)
{
	run_part(*state, 0);
}

static void test_part_1(void **state)
{
	run_part(*state, 1);
}

static void test_part_2(void **state)
{
	run_part(*state, 2);
}

static void test_part_3(void **state)
{
	run_part(*state, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_part_0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_3, setup, teardown),
	};

	return cmocka_run_group_tests_name("random_cycles", tests, NULL, NULL);
}
