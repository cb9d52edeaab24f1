/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "driver.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "cleanup.h"
#include "collapse.h"
#include "fill.h"
#include "confirm.h"
#include "diagnose.h"
#include "hostfacts.h"
#include "inventory.h"
#include "look.h"
#include "place.h"
#include "verify.h"

int driver_init(struct driver *d, struct model *m, const struct budget *budget)
{
	int r;

	*d = (struct driver){.model = m, .next_action_id = 1};
	r = model_open_sys(m, &d->sys);
	if (r == 0)
		r = host_read_geometry(&d->sys, &d->geometry);
	if (r < 0)
		return r;
	d->host.features = model_features(m);
	d->sys.kpageflags_fd = -EBADF;
	r = host_read_knobs(&d->sys, &d->geometry, &d->host);
	if (r == 0)
		r = host_read_memory(&d->sys, &d->geometry, &d->host);
	host_read_nodes(&d->sys, &d->host);
	governor_init(&d->governor, budget, model_now(m));
	d->governor.budget.block_bytes = block_bytes(&d->geometry);
	return r;
}

void driver_clear(struct driver *d)
{
	sys_close(&d->sys);
}

void driver_vm_init(struct driver_vm *vm, pid_t pid, const struct policy *policy)
{
	*vm = (struct driver_vm){
		.pid = pid,
		.policy = *policy,
		.process = PROCESS_INIT,
		.snapshot = SNAPSHOT_INIT,
		.ledger = LEDGER_INIT,
		.mover = MOVER_INIT,
	};
}

static void vm_close(struct driver_vm *vm)
{
	if (vm->is_open)
		process_close(&vm->process);
	vm->is_open = false;
	ledger_clear(&vm->ledger);
	populate_clear(&vm->populate);
	mover_clear(&vm->mover);
	snapshot_clear(&vm->snapshot);
	diagnosis_clear(&vm->diagnosis);
}

static void forget_last_cycle(struct driver_vm *vm)
{
	plan_clear(&vm->plan);
	free(vm->acts);
	vm->acts = NULL;
	vm->n_acts = 0;
}

void driver_vm_clear(struct driver_vm *vm)
{
	vm_close(vm);
	forget_last_cycle(vm);
}

static void call_hook(struct driver *d, struct driver_vm *vm, enum driver_step step,
		      const struct action *a)
{
	if (d->hook)
		d->hook(d, vm, step, a, d->userdata);
}

/* ---- Facts ---- */

static int open_vm(struct driver *d, struct driver_vm *vm)
{
	int r;

	if (!vm->is_open) {
		r = process_open(&d->sys, vm->pid, &vm->process);
		if (r < 0)
			return r;
		vm->is_open = true;
		return 0;
	}
	r = process_attach(&d->sys, &vm->process);
	if (r == 1) { /* another program: nothing that was learned is true any more */
		ledger_clear(&vm->ledger);
		populate_clear(&vm->populate);
		mover_clear(&vm->mover);
	}
	return r < 0 ? r : 0;
}

static int take_vcpus(struct driver_vm *vm)
{
	struct snapshot *s = &vm->snapshot;
	int r = 0;

	free(s->vcpus);
	s->vcpus = NULL;
	s->n_vcpus = 0;
	for (size_t i = 0; r == 0 && i < vm->n_vcpus; i++)
		r = ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &vm->vcpus[i]);
	return r;
}

static int survey(struct driver *d, struct driver_vm *vm)
{
	struct snapshot *s = &vm->snapshot;
	struct survey_options o = {.min_region_bytes = vm->policy.min_region_bytes};
	int r;

	s->geometry = d->geometry;
	s->policy = vm->policy;
	o.want_flags = populate_wants_flags(&vm->populate, s, model_now(d->model));
	r = host_read_knobs(&d->sys, &d->geometry, &d->host);
	if (r == 0)
		r = host_read_memory(&d->sys, &d->geometry, &d->host);
	d->host.is_uffd_seen = host_has_userfaultfd(&d->sys);
	s->host = d->host;
	if (r == 0)
		r = vm_identify(&d->sys, &vm->process, &s->vm);
	if (r == 0)
		r = take_vcpus(vm);
	s->vm.age_ns = vm->age_ns;
	return r < 0 ? r : region_survey(&d->sys, &vm->process, &o, s);
}

static bool is_lookable(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FSDAX || r->backing == BACKING_FILE;
}

static struct look look_at(struct driver *d, const struct driver_vm *vm, hva_t address)
{
	const struct region *r = snapshot_find_region(&vm->snapshot, address);

	return (struct look){
		.sys = &d->sys,
		.process = &vm->process,
		.geometry = d->geometry,
		.features = d->host.features,
		.want_nodes = d->host.n_nodes > 1,
		.is_file = r && r->backing != BACKING_ANON && !r->is_shared,
	};
}

static int look_region(struct driver *d, struct driver_vm *vm, struct region *r)
{
	struct snapshot *s = &vm->snapshot;
	struct look l = look_at(d, vm, r->start);
	hva_t first = region_first_block(r, &d->geometry),
	      last = region_last_block(r, &d->geometry);
	uint64_t all, inside = 0;
	int e;

	if (!is_lookable(r))
		return 0;
	e = look_blocks(&l, first, last, &s->sights, &s->n_sights);
	if (e < 0 || (first == r->start && last == r->end))
		return e;
	e = look_count(&l, r->start, r->end, &all);
	if (e == 0 && first < last)
		e = look_count(&l, first, last, &inside);
	if (e == 0)
		r->edge_present_pages = sat_sub_u64(all, inside);
	return e;
}

static int look(struct driver *d, struct driver_vm *vm)
{
	struct snapshot *s = &vm->snapshot;

	free(s->sights);
	s->sights = NULL;
	s->n_sights = 0;
	for (size_t i = 0; i < s->n_regions; i++) {
		int r = look_region(d, vm, &s->regions[i]);

		if (r < 0)
			return r;
	}
	s->taken_ns = model_now(d->model);
	return 0;
}

/* ---- Decisions ---- */

static void judge_whereabouts(struct driver *d, struct driver_vm *vm)
{
	if (d->host.n_nodes < 2)
		return;
	vm->whereabouts = whereabouts_of(&vm->snapshot, &vm->diagnosis,
					 d->governor.budget.free_reserve_bytes);
	mover_observe(&vm->mover, &vm->whereabouts.home, model_now(d->model));
}

bool driver_sample(struct driver *d, struct driver_vm *vm)
{
	if (take_vcpus(vm) < 0)
		abort();
	judge_whereabouts(d, vm);
	return vm->mover.target ||
	       mover_may_begin(&vm->mover, &vm->snapshot, &vm->whereabouts, model_now(d->model));
}

static int judge(struct driver *d, struct driver_vm *vm)
{
	int r = ledger_export(&vm->ledger, &vm->snapshot);

	vm->snapshot.populate_held =
		populate_held(&vm->populate, &vm->snapshot, model_now(d->model));

	if (r == 0)
		r = diagnose(&vm->snapshot, model_now(d->model), &vm->diagnosis);
	if (r == 0)
		judge_whereabouts(d, vm);
	return r;
}

static int count_want(struct driver *d, struct driver_vm *vm, const struct want *w)
{
	struct snapshot *s = &vm->snapshot;
	_cleanup_free_ struct sight *news = NULL;
	struct look l = look_at(d, vm, w->start);
	size_t n = 0;
	int r = look_pages(&l, w->start, w->end, &news, &n);

	return r < 0 ? r
		     : sight_list_replace(&s->sights, &s->n_sights, w->start, w->end, news, n,
					  &d->geometry);
}

/* What the diagnosis wants counted is counted, until it wants nothing more. */
static int observe_and_judge(struct driver *d, struct driver_vm *vm)
{
	int r = ledger_observe(&vm->ledger, &vm->snapshot, model_now(d->model));

	if (r == 0)
		r = judge(d, vm);
	for (size_t i = 0; r == 0 && i < vm->diagnosis.n_wants; i++)
		r = count_want(d, vm, &vm->diagnosis.wants[i]);
	if (r == 0 && vm->diagnosis.n_wants > 0) {
		r = ledger_observe(&vm->ledger, &vm->snapshot, model_now(d->model));
		if (r == 0)
			r = judge(d, vm);
	}
	return r;
}

static void limit_places(struct driver *d, struct driver_vm *vm, struct plan_limits *limits)
{
	uint64_t now_ns = model_now(d->model), retry_ns;
	struct mover_choice choice;
	enum reason reason;

	if (d->host.n_nodes < 2)
		return;
	if (!mover_step(&vm->mover, &vm->snapshot, &vm->diagnosis, &vm->whereabouts, now_ns))
		return;
	choice = mover_choose(&vm->mover, &vm->snapshot, &vm->diagnosis, &d->host,
			      d->governor.budget.free_reserve_bytes);
	limits->place_node = choice.node;
	limits->place_full = choice.full | (vm->mover.home.nodes & ~vm->mover.target);
	limits->refused = &vm->mover.refused;
	limits->place_allowance_bytes = governor_place_allowance(
		&d->governor, &d->host, choice.node, now_ns, &reason, &retry_ns);
	if (reason == REASON_NONE)
		limits->home = vm->mover.home;
}

static void limit_populating(struct driver *d, struct driver_vm *vm, struct plan_limits *limits)
{
	struct home home = home_of(&vm->snapshot);
	enum reason reason;
	uint64_t retry_ns;

	limits->populate_nodes = landing_nodes(&vm->snapshot, &home, &d->host);
	limits->populate_allowance_bytes =
		governor_populate_allowance(&d->governor, &d->host, limits->populate_nodes,
					    model_now(d->model), &reason, &retry_ns);
}

static int make_plan(struct driver *d, struct driver_vm *vm)
{
	struct plan_limits limits = {.first_id = d->next_action_id, .max_actions = 64};
	enum reason reason;
	uint64_t retry_ns;

	limits.copy_allowance_bytes = governor_copy_allowance(
		&d->governor, &d->host, model_now(d->model), &reason, &retry_ns);
	limit_populating(d, vm, &limits);
	limit_places(d, vm, &limits);
	return plan_make(&vm->snapshot, &vm->diagnosis, &limits, &vm->plan);
}

/* ---- Effects ---- */

static uint64_t true_huge(const struct driver *d, const struct action *a)
{
	return model_huge_bytes(d->model, a->target.pid, a->target.start, a->target.bytes);
}

struct sights {
	struct sight *list; /* owned */
	size_t n;
};

/* Without PAGEMAP_SCAN only the sums of a whole mapping tell huge from not huge (look_old.c). */
static int look_wide(struct driver *d, struct driver_vm *vm, const struct target *t,
		     struct sights *ret)
{
	const struct region *region = snapshot_find_region(&vm->snapshot, t->start);
	struct look l = look_at(d, vm, t->start);
	struct sights all = {0};
	int r;

	if ((d->host.features & FEATURE_PAGEMAP_SCAN) || !region)
		return look_blocks(&l, t->start, t->start + t->bytes, &ret->list, &ret->n);
	r = look_blocks(&l, region_first_block(region, &d->geometry),
			region_last_block(region, &d->geometry), &all.list, &all.n);
	if (r == 0)
		r = sight_list_slice(all.list, all.n, t->start, t->start + t->bytes, &ret->list,
				     &ret->n, &d->geometry);
	free(all.list);
	return r;
}

static int look_before(struct driver *d, struct driver_vm *vm, struct driver_act *act,
		       struct sights *before)
{
	const struct action *a = &act->action;
	hva_t end = a->target.start + a->target.bytes;
	struct look l = look_at(d, vm, a->target.start);
	int r;

	if (a->kind == ACTION_REMAP)
		return sight_list_slice(vm->snapshot.sights, vm->snapshot.n_sights, a->target.start,
					end, &before->list, &before->n, &d->geometry);
	r = a->kind == ACTION_COPY ? look_pages(&l, a->target.start, end, &before->list, &before->n)
				   : look_wide(d, vm, &a->target, before);
	act->true_huge_before = true_huge(d, a);
	if (r == 0 && !action_is_confirmed(a, before->list, before->n, vm->policy.min_populated_bp,
					   &d->geometry)) {
		act->outcome = (struct outcome){.action = a->id, .err = ECANCELED};
		d->confirm_canceled++;
	}
	return r;
}

static int look_after(struct driver *d, struct driver_vm *vm, struct driver_act *act,
		      const struct sights *before)
{
	struct snapshot *s = &vm->snapshot;
	hva_t start = act->action.target.start, end = start + act->action.target.bytes;
	struct sights after = {0};
	struct outcome settled = act->outcome;
	uint64_t now_ns;
	int r = look_wide(d, vm, &act->action.target, &after);

	act->true_huge_after = true_huge(d, &act->action);
	now_ns = model_now(d->model);
	if (act->action.kind != ACTION_POPULATE)
		settled.err = outcome_node_errno(&act->outcome, r, after.list, after.n);
	governor_settle(&d->governor, &act->action, &settled, now_ns);
	if (r == 0) {
		act->is_verified = true;
		act->verdict = verify_action(&act->action, &act->outcome, before->list, before->n,
					     after.list, after.n, &d->geometry);
	}
	if (r == 0 && act->outcome.err != ECANCELED && act->action.kind == ACTION_PLACE)
		r = mover_learn(&vm->mover, &act->action, &act->outcome, before->list, before->n,
				after.list, after.n, &d->geometry, now_ns);
	else if (r == 0 && act->outcome.err != ECANCELED)
		r = ledger_learn(&vm->ledger, &act->action, &act->outcome, after.list, after.n,
				 &d->geometry, now_ns);
	if (r == 0)
		r = populate_learn(&vm->populate, &act->action, &act->outcome, after.list, after.n,
				   &d->geometry);
	if (r == 0)
		r = sight_list_replace(&s->sights, &s->n_sights, start, end, after.list, after.n,
				       &d->geometry);
	free(after.list);
	return r;
}

static struct outcome call(struct driver *d, struct driver_vm *vm, const struct action *a,
			   const struct sights *before)
{
	const struct region *r = snapshot_find_region(&vm->snapshot, a->target.start);

	if (a->kind == ACTION_PLACE)
		return place_act(&d->sys, &vm->process, a, before->list, before->n, &d->geometry);
	if (a->kind == ACTION_POPULATE)
		return fill_act(&d->sys, &vm->process, a, r, before->list, before->n, &d->geometry);
	return collapse_act(&d->sys, &vm->process, a, &d->geometry);
}

static int act_on(struct driver *d, struct driver_vm *vm, struct driver_act *act)
{
	struct sights before = {0};
	int r = look_before(d, vm, act, &before);

	if (r < 0) {
		act->outcome = (struct outcome){.action = act->action.id, .err = -r};
	} else if (act->outcome.err == 0) {
		call_hook(d, vm, DRIVER_CONFIRMED, &act->action);
		act->at_ns = model_now(d->model);
		act->outcome = call(d, vm, &act->action, &before);
	}
	call_hook(d, vm, DRIVER_ACTED, &act->action);
	r = look_after(d, vm, act, &before);
	free(before.list);
	return r;
}

static int note_acts(struct driver *d, struct driver_vm *vm)
{
	for (size_t i = 0; i < vm->plan.n_actions; i++) {
		struct driver_act act = {.action = vm->plan.actions[i]};
		int r = ARRAY_APPEND(&vm->acts, &vm->n_acts, &act);

		if (r < 0)
			return r;
		vm->acts[i].true_huge_before = true_huge(d, &act.action);
		governor_spend(&d->governor, &act.action);
	}
	d->next_action_id += (uint32_t)vm->plan.n_actions;
	return 0;
}

/* An action that is not done: what was granted is given back. */
static void abandon(struct driver *d, struct driver_act *act)
{
	act->outcome = (struct outcome){.action = act->action.id, .err = ECANCELED};
	governor_settle(&d->governor, &act->action, &act->outcome, model_now(d->model));
}

/* What is still to be done of the plan after acts[i]; abandons the rest, or all if the VM is gone.
 */
static size_t next_act(struct driver *d, struct driver_vm *vm, size_t i, int r)
{
	const struct driver_act *done = &vm->acts[i++];
	enum plan_stop stop =
		r < 0 ? PLAN_STOP_ALL : plan_stop_after(done->action.kind, done->outcome.err);

	while (stop != PLAN_STOP_NONE && i < vm->n_acts &&
	       (stop == PLAN_STOP_ALL || vm->acts[i].action.kind == done->action.kind))
		abandon(d, &vm->acts[i++]);
	return i;
}

static int execute(struct driver *d, struct driver_vm *vm)
{
	int r = note_acts(d, vm);

	call_hook(d, vm, DRIVER_LOOKED, NULL);
	for (size_t i = 0; r == 0 && i < vm->n_acts; i = next_act(d, vm, i, r))
		r = act_on(d, vm, &vm->acts[i]);
	return r;
}

static int run_cycle(struct driver *d, struct driver_vm *vm)
{
	int r = open_vm(d, vm);

	model_race_end(d->model);
	if (r == 0)
		r = survey(d, vm);
	if (r == 0)
		r = look(d, vm);
	if (r == 0)
		r = populate_observe(&vm->populate, &vm->snapshot, model_now(d->model));
	if (r == 0)
		r = observe_and_judge(d, vm);
	model_race_begin(d->model);
	if (r == 0)
		r = make_plan(d, vm);
	if (r == 0 && !d->is_dry_run)
		r = execute(d, vm);
	/* What did not become huge is counted anew, so that nothing stays unexplained. */
	return r < 0 ? r : observe_and_judge(d, vm);
}

int driver_cycle(struct driver *d, struct driver_vm *vm)
{
	int r;

	forget_last_cycle(vm);
	r = run_cycle(d, vm);
	vm->cycles++;
	model_race_end(d->model);
	if (r == -ESRCH)
		vm_close(vm);
	return r;
}
