/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "laws.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"

#define CALL_MAX_REMAP (UINT64_C(1) << 30)
#define CALL_MAX_COPY  (UINT64_C(64) << 20)
#define HEADROOM       (UINT64_C(64) << 20)

void laws_init(struct laws *l, const struct driver *d)
{
	*l = (struct laws){
		.began_ns = model_now(d->model),
		.budget = d->governor.budget,
		.has_exact_looks = d->host.features & FEATURE_PAGEMAP_SCAN,
	};
}

void laws_clear(struct laws *l)
{
	free(l->holds);
	free(l->vms);
	free(l->seen);
	*l = (struct laws){0};
}

__attribute__((format(printf, 2, 3))) static bool broken(struct laws *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
	return false;
}

/* ---- What the model counted ---- */

static bool check_counts(struct laws *l, struct driver *d)
{
	struct model_stats s = model_stats(d->model);
	const struct {
		uint64_t count;
		const char *what;
	} never[] = {
		{l->may_refill ? 0 : s.refilled_pages, "pages of holes were filled"},
		{l->may_refill ? 0 : s.zero_filled_pages, "zero pages were made real"},
		{s.barred_calls, "blocks of barred memory were acted on"},
		{s.secret_calls, "calls on secretmem or guest_memfd"},
		{s.empty_block_calls, "empty blocks were in a call"},
		{s.unaligned_calls, "calls were not of whole blocks"},
		{s.wrong_process_calls, "calls met another process than they named"},
		{s.dead_process_calls, "calls went to a dead process"},
		{l->refilled_blocks, "blocks that were given back were populated"},
		{s.split_puds, "walks split a 1 GiB device-dax mapping"},
		{model_check_data(d->model), "pages of guest data were lost"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (never[i].count > 0)
			return broken(l, "%" PRIu64 " %s", never[i].count, never[i].what);
	}
	return true;
}

static bool check_budget(struct laws *l, struct driver *d)
{
	uint64_t rate = l->budget.copy_bytes_per_s;
	uint64_t ms = (model_now(d->model) - l->began_ns) / 1000000 + 1;
	uint64_t copied = model_stats(d->model).copied_bytes;

	if (rate == UINT64_MAX)
		return true;
	if (copied > max_u64(rate, block_bytes(&d->geometry)) + rate / 1000 * ms + ms)
		return broken(l, "%" PRIu64 " bytes copied in %" PRIu64 " ms at %" PRIu64 "/s",
			      copied, ms, rate);
	return true;
}

/* What populating leaves is never less than was to be left. A page for each hole of an action is
 * charged before the blocks are; and a remap for which a page is missing takes a free block that
 * nobody reckoned with. */
static bool check_reserves(struct laws *l, struct driver *d)
{
	struct model_stats s = model_stats(d->model);
	uint64_t block = block_bytes(&d->geometry),
		 seeds = CALL_MAX_COPY / min_u64(block, CALL_MAX_COPY) * page_bytes(&d->geometry);

	uint64_t races = s.fired[MODEL_FAULT_SWAP] + s.fired[MODEL_FAULT_PUNCH],
		 least = min_u64(s.least_free_blocks, s.least_node_free_blocks);

	if (least < UINT64_MAX / block - races &&
	    (least + races) * block < l->budget.free_reserve_bytes)
		return broken(l, "%" PRIu64 " blocks left of a reserve of %" PRIu64 " bytes", least,
			      l->budget.free_reserve_bytes);
	if (sat_add_u64(s.least_headroom_bytes, seeds) < HEADROOM)
		return broken(l, "%" PRIu64 " bytes of the memory cgroup left",
			      s.least_headroom_bytes);
	return true;
}

/* ---- The diagnosis: every byte once ---- */

static bool check_region_tiled(struct laws *l, const struct driver_vm *vm, uint32_t index,
			       size_t *run)
{
	const struct region *region = &vm->snapshot.regions[index];
	hva_t at = region->start;

	for (; *run < vm->diagnosis.n_runs; (*run)++) {
		const struct run *r = &vm->diagnosis.runs[*run];

		if (r->region != index)
			break;
		if (r->start != at || r->bytes == 0 || r->bytes > region->end - at)
			return broken(l, "run at %" PRIx64 ", expected at %" PRIx64, r->start, at);
		if (r->state != BLOCK_HUGE && r->reason == REASON_NONE)
			return broken(l, "no reason for %s at %" PRIx64, block_state_name(r->state),
				      r->start);
		at += r->bytes;
	}
	if (at != region->end)
		return broken(l, "region unexplained from %" PRIx64, at);
	return true;
}

static bool check_sums(struct laws *l, const struct driver_vm *vm)
{
	const struct totals *t = &vm->diagnosis.totals;
	uint64_t ram = 0, runs = 0, uncounted = 0, states = 0, reasons = 0;

	for (size_t i = 0; i < vm->snapshot.n_regions; i++)
		ram += vm->snapshot.regions[i].end - vm->snapshot.regions[i].start;
	for (size_t i = 0; i < vm->diagnosis.n_runs; i++) {
		runs += vm->diagnosis.runs[i].bytes;
		if (vm->diagnosis.runs[i].resident_bytes == UINT64_MAX)
			uncounted += vm->diagnosis.runs[i].bytes;
	}
	for (int i = 0; i < BLOCK_STATE_MAX; i++)
		states += t->by_state[i];
	for (int i = 0; i < REASON_MAX; i++)
		reasons += t->by_reason[i];
	if (ram != runs || ram != t->ram_bytes)
		return broken(l, "RAM %" PRIu64 ", runs %" PRIu64 ", total %" PRIu64, ram, runs,
			      t->ram_bytes);
	if (uncounted != t->uncounted_bytes)
		return broken(l, "uncounted %" PRIu64 " and %" PRIu64, uncounted,
			      t->uncounted_bytes);
	if (states != reasons)
		return broken(l, "by state %" PRIu64 ", by reason %" PRIu64, states, reasons);
	if (t->huge_bytes != t->by_state[BLOCK_HUGE])
		return broken(l, "huge %" PRIu64 " and %" PRIu64, t->huge_bytes,
			      t->by_state[BLOCK_HUGE]);
	return true;
}

static bool check_diagnosis(struct laws *l, const struct driver_vm *vm)
{
	size_t run = 0;

	for (uint32_t i = 0; i < vm->snapshot.n_regions; i++) {
		if (!check_region_tiled(l, vm, i, &run))
			return false;
	}
	if (run != vm->diagnosis.n_runs)
		return broken(l, "runs outside of regions");
	return check_sums(l, vm);
}

/* Only memory that is looked at: huge pages of hugetlb and device-dax are not counted. */
static bool is_looked_at(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FILE || r->backing == BACKING_FSDAX;
}

static bool check_truth(struct laws *l, struct driver *d, const struct driver_vm *vm)
{
	const struct totals *t = &vm->diagnosis.totals;
	uint64_t huge = 0, present = 0;

	for (size_t i = 0; i < vm->snapshot.n_regions; i++) {
		const struct region *r = &vm->snapshot.regions[i];

		if (!is_looked_at(r))
			continue;
		huge += model_huge_bytes(d->model, vm->pid, r->start, r->end - r->start);
		present += model_present_bytes(d->model, vm->pid, r->start, r->end - r->start);
	}
	if (t->huge_bytes != huge)
		return broken(l, "said %" PRIu64 " huge bytes, truth is %" PRIu64, t->huge_bytes,
			      huge);
	/* A folio is called resident as a whole, also where only some of it is mapped. */
	if (t->uncounted_bytes == 0 && t->by_state[BLOCK_REMAPPABLE] == 0 &&
	    t->by_reason[REASON_POLICY_OFF] == 0 && t->by_state[BLOCK_BARRED] == 0 &&
	    t->resident_bytes != present)
		return broken(l, "said %" PRIu64 " resident bytes, truth is %" PRIu64,
			      t->resident_bytes, present);
	return true;
}

/* ---- Actions ---- */

static bool was_called(const struct driver_act *a)
{
	return a->at_ns > 0;
}

static bool is_allowed(const struct policy *p, enum action_kind kind)
{
	if (kind == ACTION_POPULATE)
		return p->populate == POPULATE_HUGE;
	return kind == ACTION_COPY ? p->may_copy : p->may_remap;
}

static bool check_act(struct laws *l, struct driver *d, const struct driver_vm *vm,
		      const struct driver_act *a)
{
	bool is_copy = a->action.kind != ACTION_REMAP;
	uint64_t bound = is_copy ? min_u64(vm->policy.copy_call_bytes, CALL_MAX_COPY)
				 : min_u64(vm->policy.remap_call_bytes, CALL_MAX_REMAP);
	int64_t truth = (int64_t)a->true_huge_after - (int64_t)a->true_huge_before;

	if (a->action.target.bytes > max_u64(bound, block_bytes(&d->geometry)))
		return broken(l, "call of %" PRIu64 " bytes, bound is %" PRIu64,
			      a->action.target.bytes, bound);
	if (vm->policy.mode != MODE_FULL || vm->policy.is_paused ||
	    !is_allowed(&vm->policy, a->action.kind))
		return broken(l, "%s against the policy", action_kind_name(a->action.kind));
	if (a->is_verified && l->has_exact_looks && a->verdict.huge_bytes_delta != truth)
		return broken(l, "claimed %" PRId64 " at %" PRIx64 ", truth is %" PRId64,
			      a->verdict.huge_bytes_delta, a->action.target.start, truth);
	if (a->is_verified && l->has_exact_looks && a->verdict.effect == EFFECT_DONE &&
	    a->true_huge_after != a->action.target.bytes)
		return broken(l, "claimed done at %" PRIx64, a->action.target.start);
	return true;
}

static bool is_same_process(const struct law_hold *h, const struct driver_vm *vm)
{
	return h->pid == vm->pid && h->starttime == vm->process.starttime &&
	       h->mm_key == vm->process.mm_key;
}

static struct law_vm *law_vm(struct laws *l, const struct driver_vm *vm)
{
	const struct law_vm news = {vm->pid, vm->process.starttime, vm->process.mm_key, 0};

	for (size_t i = 0; i < l->n_vms; i++) {
		const struct law_vm *v = &l->vms[i];

		if (v->pid == vm->pid && v->starttime == vm->process.starttime &&
		    v->mm_key == vm->process.mm_key)
			return &l->vms[i];
	}
	if (ARRAY_APPEND(&l->vms, &l->n_vms, &news) < 0)
		abort();
	return &l->vms[l->n_vms - 1];
}

static bool check_back_off(struct laws *l, const struct driver_vm *vm, const struct driver_act *a)
{
	hva_t start = a->action.target.start, end = start + a->action.target.bytes;
	uint64_t no_copy = max_u64(law_vm(l, vm)->no_copy_until_ns, l->no_copy_until_ns);

	for (size_t i = 0; i < l->n_holds; i++) {
		const struct law_hold *h = &l->holds[i];

		if (is_same_process(h, vm) && h->block >= start && h->block < end &&
		    h->until_ns > a->at_ns && (!h->is_of_hole || a->action.kind == ACTION_POPULATE))
			return broken(l, "block %" PRIx64 " again %" PRIu64 " ms too early",
				      h->block, (h->until_ns - a->at_ns) / 1000000);
	}
	if (a->action.kind != ACTION_REMAP && no_copy > a->at_ns)
		return broken(l, "copy %" PRIu64 " ms too early", (no_copy - a->at_ns) / 1000000);
	return true;
}

static void set_hold(struct laws *l, const struct driver_vm *vm, hva_t block, uint64_t until_ns,
		     bool is_of_hole)
{
	struct law_hold news = {
		vm->pid, vm->process.starttime, vm->process.mm_key, block, until_ns, is_of_hole};

	for (size_t i = 0; i < l->n_holds; i++) {
		if (is_same_process(&l->holds[i], vm) && l->holds[i].block == block) {
			l->holds[i] = news;
			return;
		}
	}
	if (ARRAY_APPEND(&l->holds, &l->n_holds, &news) < 0)
		abort();
}

/* Of a hole that was to be populated: who asks again at once would ask for ever. */
static void note_hole(struct laws *l, struct driver *d, const struct driver_vm *vm,
		      const struct driver_act *a, hva_t block)
{
	int err = a->outcome.err;
	bool is_of_others = err == ENOMEM || err == EBUSY || err == ESRCH || err == ECANCELED;

	if (is_of_others || !l->has_exact_looks ||
	    model_present_bytes(d->model, vm->pid, block, block_bytes(&d->geometry)) > 0)
		return;
	set_hold(l, vm, block, a->at_ns + (err == EAGAIN ? 1 : 60) * MODEL_MINUTE, true);
}

/* What must be left alone from now on: at least so long; the ledger may be more patient. */
static void note_block(struct laws *l, struct driver *d, const struct driver_vm *vm,
		       const struct driver_act *a, hva_t block, bool *is_refused)
{
	uint64_t bytes = block_bytes(&d->geometry);

	if (model_huge_bytes(d->model, vm->pid, block, bytes) == bytes) {
		set_hold(l, vm, block, 0, false);
		return;
	}
	if (a->action.kind == ACTION_POPULATE) {
		note_hole(l, d, vm, a, block);
		return;
	}
	if (a->outcome.err == EINVAL && !*is_refused) {
		*is_refused = true;
		if (l->has_exact_looks && model_present_bytes(d->model, vm->pid, block, bytes) > 0)
			set_hold(l, vm, block, a->at_ns + 60 * MODEL_MINUTE, false);
		return;
	}
	if ((a->outcome.err == EAGAIN || a->outcome.err == 0) &&
	    model_present_bytes(d->model, vm->pid, block, bytes) > 0)
		set_hold(l, vm, block, a->at_ns + MODEL_MINUTE, false);
}

static void note_act(struct laws *l, struct driver *d, const struct driver_vm *vm,
		     const struct driver_act *a)
{
	hva_t end = a->action.target.start + a->action.target.bytes;
	bool is_refused = false;

	if (a->outcome.err == EBUSY)
		law_vm(l, vm)->no_copy_until_ns = a->at_ns + MODEL_MINUTE;
	if (a->outcome.err == ENOMEM &&
	    (a->action.kind == ACTION_POPULATE ||
	     (a->action.kind == ACTION_COPY &&
	      model_present_bytes(d->model, vm->pid, a->action.target.start,
				  a->action.target.bytes) > 0)))
		l->no_copy_until_ns = a->at_ns + MODEL_SECOND;
	for (hva_t at = a->action.target.start; a->is_verified && at < end;
	     at += block_bytes(&d->geometry))
		note_block(l, d, vm, a, at, &is_refused);
}

static bool check_acts(struct laws *l, struct driver *d, const struct driver_vm *vm)
{
	for (size_t i = 0; i < vm->n_acts; i++) {
		const struct driver_act *a = &vm->acts[i];

		if (!check_act(l, d, vm, a) || (was_called(a) && !check_back_off(l, vm, a)))
			return false;
		if (was_called(a))
			note_act(l, d, vm, a);
	}
	return true;
}

/* ---- What is given back ---- */

static struct law_seen *find_seen(struct laws *l, const struct driver_vm *vm, hva_t block)
{
	for (size_t i = 0; i < l->n_seen; i++) {
		struct law_seen *s = &l->seen[i];

		if (s->block == block && s->pid == vm->pid &&
		    s->starttime == vm->process.starttime && s->mm_key == vm->process.mm_key)
			return s;
	}
	return NULL;
}

static bool is_present(struct driver *d, const struct driver_vm *vm, hva_t block)
{
	return model_present_bytes(d->model, vm->pid, block, block_bytes(&d->geometry)) > 0;
}

void laws_hook(struct driver *d, struct driver_vm *vm, enum driver_step step,
	       const struct action *a, void *userdata)
{
	struct laws *l = userdata;

	if (step == DRIVER_LOOKED || a->kind != ACTION_POPULATE)
		return;
	for (hva_t at = a->target.start; at < a->target.start + a->target.bytes;
	     at += block_bytes(&d->geometry)) {
		struct law_seen *s = find_seen(l, vm, at);

		if (!s)
			continue;
		l->refilled_blocks += s->is_given_back && is_present(d, vm, at);
		s->is_given_back = step == DRIVER_CONFIRMED && model_is_hole(d->model, vm->pid, at);
	}
}

static void note_seen(struct laws *l, struct driver *d, const struct driver_vm *vm, hva_t block)
{
	const struct law_seen news = {.pid = vm->pid,
				      .starttime = vm->process.starttime,
				      .mm_key = vm->process.mm_key,
				      .block = block};

	if (find_seen(l, vm, block))
		l->given_back_blocks += model_is_hole(d->model, vm->pid, block);
	else if (is_present(d, vm, block) && ARRAY_APPEND(&l->seen, &l->n_seen, &news) < 0)
		abort();
}

/* What was made is known, whether the look after it went well or not. */
static void note_all_seen(struct laws *l, struct driver *d, const struct driver_vm *vm, int r)
{
	uint64_t block = block_bytes(&d->geometry);

	for (size_t i = 0; i < vm->n_acts; i++) {
		const struct target *t = &vm->acts[i].action.target;

		for (hva_t at = t->start; was_called(&vm->acts[i]) && at < t->start + t->bytes;
		     at += block)
			note_seen(l, d, vm, at);
	}
	for (size_t i = 0; r == 0 && i < vm->snapshot.n_regions; i++) {
		const struct region *region = &vm->snapshot.regions[i];

		for (hva_t at = align_up(region->start, block); at + block <= region->end;
		     at += block)
			note_seen(l, d, vm, at);
	}
}

bool laws_check(struct laws *l, struct driver *d, const struct driver_vm *vm, int r, bool is_stale)
{
	if (vm->policy.populate == POPULATE_HUGE && !is_stale)
		note_all_seen(l, d, vm, r);
	if (!check_reserves(l, d))
		return false;
	if (!check_counts(l, d) || !check_budget(l, d) || !check_acts(l, d, vm))
		return false;
	if (r < 0)
		return true;
	if (!check_diagnosis(l, vm))
		return false;
	return is_stale || !l->has_exact_looks || check_truth(l, d, vm);
}
