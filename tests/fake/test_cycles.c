/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole cycles on the model kernel, one scenario after the other: what thpd does, what it leaves
 * alone, what it says about it, and when it tries again. The laws of laws.h hold in all of them. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"
#include "laws.h"

enum { PID = 100 };

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)

struct world {
	struct model *m;
	struct driver d;
	struct driver_vm vm;
	struct laws laws;
};

static void world_init(struct world *w, const struct model_options *o, const struct model_vm *vm)
{
	const struct budget budget = {.copy_bytes_per_s = UINT64_MAX};
	struct policy policy = POLICY_INIT;

	policy.min_region_bytes = block_bytes(&o->geometry);
	w->m = model_new(o);
	assert_int_equal(driver_init(&w->d, w->m, &budget), 0);
	(void)model_spawn(w->m, vm);
	driver_vm_init(&w->vm, vm->pid, &policy);
	laws_init(&w->laws, &w->d);
}

static int teardown(void **state)
{
	struct world *w = *state;

	laws_clear(&w->laws);
	driver_vm_clear(&w->vm);
	driver_clear(&w->d);
	model_free(w->m);
	free(w);
	return 0;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w, &(struct model_options)MODEL_OPTIONS_INIT, &(struct model_vm){.pid = PID});
	*state = w;
	return 0;
}

/* Another machine or process than the usual one. */
static void world_change(struct world *w, const struct model_options *o, const struct model_vm *vm)
{
	laws_clear(&w->laws);
	driver_vm_clear(&w->vm);
	driver_clear(&w->d);
	model_free(w->m);
	world_init(w, o, vm);
}

static void map(struct world *w, enum model_backing backing, uint64_t blocks)
{
	model_mmap(w->m, PID,
		   &(struct model_map){.start = RAM, .bytes = blocks * BLOCK, .backing = backing});
}

static void touch(struct world *w, uint64_t offset, uint64_t bytes)
{
	model_touch(w->m, PID, RAM + offset, bytes);
}

static int cycle(struct world *w)
{
	int r = driver_cycle(&w->d, &w->vm);

	if (!laws_check(&w->laws, &w->d, &w->vm, r, true))
		fail_msg("%s", w->laws.why);
	return r;
}

static uint64_t calls(struct world *w)
{
	size_t n;

	(void)model_calls(w->m, &n);
	model_forget_calls(w->m);
	return n;
}

static uint64_t huge_blocks(struct world *w)
{
	return model_huge_bytes(w->m, PID, RAM, UINT64_C(1) << 40) / BLOCK;
}

static enum reason reason_at(const struct world *w, uint64_t offset)
{
	for (size_t i = 0; i < w->vm.diagnosis.n_runs; i++) {
		const struct run *r = &w->vm.diagnosis.runs[i];

		if (RAM + offset >= r->start && RAM + offset < r->start + r->bytes)
			return r->reason;
	}
	fail_msg("nothing is said about offset %llx", (unsigned long long)offset);
	return REASON_NONE;
}

static void assert_reason(const struct world *w, uint64_t offset, enum reason expected)
{
	assert_string_equal(reason_slug(reason_at(w, offset)), reason_slug(expected));
}

static void fault(struct world *w, enum model_fault_kind kind, uint32_t number)
{
	model_add_fault(w->m, &(struct model_fault){.kind = kind, .calls = number});
}

/* ---- It works ---- */

static void test_small_folios_become_huge_in_one_cycle(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 40);
	assert_int_equal(w->vm.n_acts, 3); /* 32 MiB a call */
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_DONE);
	assert_int_equal(w->vm.diagnosis.totals.huge_bytes, 40 * BLOCK);
	assert_int_equal(calls(w), 3);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0); /* nothing more to do */
}

static void test_anon_is_copied(void **state)
{
	struct world *w = *state;

	map(w, MODEL_ANON, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	assert_int_equal(w->vm.acts[0].action.kind, ACTION_COPY);
}

static void test_split_folios_are_remapped_though_pinned(void **state)
{
	struct world *w = *state;

	map(w, MODEL_TMPFS, 8);
	model_make_huge(w->m, PID, RAM, 8 * BLOCK);
	model_split(w->m, PID, RAM, 8 * BLOCK);
	model_pin(w->m, PID, RAM, 8 * BLOCK, true);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 8);
	assert_int_equal(w->vm.acts[0].action.kind, ACTION_REMAP);
	assert_int_equal(model_stats(w->m).copied_bytes, 0);
}

static void test_two_mappers_of_one_file(void **state)
{
	struct world *w = *state;
	struct driver_vm second;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	(void)model_spawn(w->m, &(struct model_vm){.pid = 200});
	model_mmap(w->m, 200,
		   &(struct model_map){
			   .start = RAM, .bytes = 4 * BLOCK, .share_pid = PID, .share_start = RAM});
	model_touch(w->m, 200, RAM, 4 * BLOCK);
	model_split(w->m, 200, RAM, 4 * BLOCK);
	driver_vm_init(&second, 200, &w->vm.policy);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	model_touch(w->m, 200, RAM, 4 * BLOCK);
	assert_int_equal(driver_cycle(&w->d, &second), 0);
	assert_int_equal(model_huge_bytes(w->m, 200, RAM, 4 * BLOCK), 4 * BLOCK);
	assert_int_equal(model_check_data(w->m), 0);
	driver_vm_clear(&second);
}

static void test_other_geometry(void **state)
{
	struct world *w = *state;
	struct model_options o = MODEL_OPTIONS_INIT;
	uint64_t block = UINT64_C(512) << 20;

	o.geometry = (struct mmu_geometry){16, 13, 26};
	o.mem_total_bytes = UINT64_C(1) << 40;
	world_change(w, &o, &(struct model_vm){.pid = PID});
	model_mmap(w->m, PID,
		   &(struct model_map){
			   .start = 8 * block, .bytes = 3 * block, .backing = MODEL_MEMFD});
	model_touch(w->m, PID, 8 * block, 3 * block);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(model_huge_bytes(w->m, PID, 8 * block, 3 * block), 3 * block);
}

static void test_old_kernel_without_scan(void **state)
{
	struct world *w = *state;
	struct model_options o = MODEL_OPTIONS_INIT;

	o.has_scan = o.has_guard = false;
	world_change(w, &o, &(struct model_vm){.pid = PID});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.diagnosis.totals.huge_bytes, 4 * BLOCK);
}

/* ---- It leaves alone, and says why ---- */

static void prepare_plain(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
}

static void prepare_nohugepage(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	model_change_flags(w->m, PID, RAM, VMA_FLAG_NH, 0);
}

static void prepare_ksm(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	model_change_flags(w->m, PID, RAM, VMA_FLAG_MG, 0);
	model_set_ksm(w->m, true);
}

static void prepare_guards(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	for (uint64_t i = 0; i < 8; i++)
		model_guard(w->m, PID, RAM + i * BLOCK + BLOCK / 2, PAGE);
}

static void prepare_knob_never(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	model_set_shmem_knobs(w->m, "never", "never");
}

static void prepare_deny(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	model_set_shmem_knobs(w->m, "deny", "inherit");
}

static void prepare_sparse(struct world *w)
{
	for (uint64_t i = 0; i < 8; i++)
		touch(w, i * BLOCK + PAGE, BLOCK - PAGE);
}

static void prepare_nothing(struct world *w)
{
	(void)w;
}

static void prepare_swap(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	for (uint64_t i = 0; i < 8; i++)
		model_swap_out(w->m, PID, RAM + i * BLOCK, PAGE);
}

static void prepare_zero(struct world *w)
{
	for (uint64_t i = 0; i < 8; i++) {
		touch(w, i * BLOCK, BLOCK / 2);
		model_read_zero(w->m, PID, RAM + i * BLOCK + BLOCK / 2, BLOCK / 2);
	}
}

static void prepare_copies(struct world *w)
{
	touch(w, 0, 8 * BLOCK);
	for (uint64_t i = 0; i < 8; i++)
		model_copy_on_write(w->m, PID, RAM + i * BLOCK, PAGE);
}

struct bar_row {
	const char *what;
	enum model_backing backing;
	bool is_private;
	uint64_t skew; /* of address against file */
	void (*prepare)(struct world *w);
	enum reason reason;
};

static const struct bar_row bars[] = {
	{"memfd 4 KiB off", MODEL_MEMFD, false, PAGE, prepare_plain, REASON_MISALIGNED_MAPPING},
	{"nohugepage memfd", MODEL_MEMFD, false, 0, prepare_nohugepage, REASON_NOHUGEPAGE},
	{"nohugepage anon", MODEL_ANON, true, 0, prepare_nohugepage, REASON_NOHUGEPAGE},
	{"KSM", MODEL_ANON, true, 0, prepare_ksm, REASON_KSM},
	{"guards", MODEL_ANON, true, 0, prepare_guards, REASON_GUARD_REGION},
	{"per-size knob", MODEL_MEMFD, false, 0, prepare_knob_never, REASON_SHMEM_KNOB_NEVER},
	{"deny, memfd", MODEL_MEMFD, false, 0, prepare_deny, REASON_SHMEM_DENY},
	{"deny, tmpfs", MODEL_TMPFS, false, 0, prepare_deny, REASON_SHMEM_DENY},
	{"sparse memfd", MODEL_MEMFD, false, 0, prepare_sparse, REASON_SPARSE},
	{"sparse anon", MODEL_ANON, true, 0, prepare_sparse, REASON_SPARSE},
	{"zero pages", MODEL_ANON, true, 0, prepare_zero, REASON_SPARSE},
	{"untouched memfd", MODEL_MEMFD, false, 0, prepare_nothing, REASON_NEVER_TOUCHED},
	{"untouched anon", MODEL_ANON, true, 0, prepare_nothing, REASON_NEVER_TOUCHED},
	{"swapped anon", MODEL_ANON, true, 0, prepare_swap, REASON_SWAPPED},
	{"private memfd", MODEL_MEMFD, true, 0, prepare_plain, REASON_PRIVATE_FILE},
	{"private memfd, copied", MODEL_MEMFD, true, 0, prepare_copies, REASON_PRIVATE_FILE},
	{"disk file", MODEL_REGULAR_FILE, false, 0, prepare_plain, REASON_READONLY_FILE},
	{"hugetlb", MODEL_HUGETLB, false, 0, prepare_plain, REASON_HUGETLB},
	{"fsdax", MODEL_FSDAX, false, 0, prepare_plain, REASON_DAX},
	{"secretmem", MODEL_SECRETMEM, false, 0, prepare_nothing, REASON_SECRET_OR_GUEST_MEMFD},
	{"guest_memfd", MODEL_GUEST_MEMFD, false, 0, prepare_nothing, REASON_SECRET_OR_GUEST_MEMFD},
	{"device", MODEL_DEVICE, false, 0, prepare_nothing, REASON_SPECIAL_MAPPING},
};

static void check_bar(struct world *w, const struct bar_row *row)
{
	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT, &(struct model_vm){.pid = PID});
	model_mmap(w->m, PID,
		   &(struct model_map){.start = RAM - row->skew,
				       .bytes = 9 * BLOCK,
				       .backing = row->backing,
				       .is_private = row->is_private});
	row->prepare(w);
	print_message("# %s\n", row->what);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	for (uint64_t i = 0; i < 8; i++)
		assert_reason(w, i * BLOCK, row->reason);
}

static void test_barred_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bars); i++)
		check_bar(*state, &bars[i]);
}

static void test_thp_disabled_by_prctl(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT,
		     &(struct model_vm){.pid = PID, .is_thp_disabled = true});
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_THP_DISABLED_BY_PRCTL);
}

static void test_userfaultfd(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT,
		     &(struct model_vm){.pid = PID, .has_uffd = true});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	model_change_flags(w->m, PID, RAM, VMA_FLAG_UM, 0);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_USERFAULTFD);
	model_change_flags(w->m, PID, RAM, 0, VMA_FLAG_UM);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

/* Linux 6.1 to 6.3: one armed page that a collapse fills is lost guest data. */
static void test_post_copy_on_an_old_kernel_loses_nothing(void **state)
{
	struct world *w = *state;
	struct model_options o = MODEL_OPTIONS_INIT;

	o.is_uffd_safe = false;
	world_change(w, &o, &(struct model_vm){.pid = PID, .has_uffd = true});
	w->vm.policy.min_populated_bp = 1000;
	w->laws.may_refill = true;
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	model_change_flags(w->m, PID, RAM, VMA_FLAG_UM, 0);
	model_expect_remote(w->m, PID, RAM + BLOCK, 16 * PAGE);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_int_equal(model_check_data(w->m), 0);
}

/* On such a kernel any memory may be armed between look and call. */
static void test_a_pager_on_an_old_kernel_bars_all(void **state)
{
	struct world *w = *state;
	struct model_options o = MODEL_OPTIONS_INIT;

	o.is_uffd_safe = false;
	world_change(w, &o, &(struct model_vm){.pid = PID, .has_uffd = true});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_UFFD_POSSIBLE);
}

static void test_device_dax_of_1g_is_not_walked(void **state)
{
	struct world *w = *state;

	model_mmap(w->m, PID,
		   &(struct model_map){.start = UINT64_C(1) << 40,
				       .bytes = UINT64_C(4) << 30,
				       .backing = MODEL_DEVDAX_1G});
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_true(w->vm.snapshot.vm.has_device_dax_1g);
	assert_int_equal(model_stats(w->m).split_puds, 0);
	assert_int_equal(huge_blocks(w), 2);
	assert_int_equal(w->vm.diagnosis.totals.by_reason[REASON_DEVICE_DAX_1G], 0);
	assert_reason(w, 0, REASON_NONE);
}

static void test_no_right(void **state)
{
	struct world *w = *state;
	struct model_options o = MODEL_OPTIONS_INIT;

	o.has_collapse_right = false;
	world_change(w, &o, &(struct model_vm){.pid = PID});
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_NO_PERMISSION);
}

static void check_without_frames(struct world *w, bool has_vfio, enum reason reason,
				 uint64_t expected_huge)
{
	struct model_options o = MODEL_OPTIONS_INIT;

	o.has_pfn_right = false;
	world_change(w, &o, &(struct model_vm){.pid = PID, .has_vfio = has_vfio});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), expected_huge);
	assert_reason(w, 0, reason);
}

static void test_without_the_right_to_frames(void **state)
{
	check_without_frames(*state, false, REASON_NONE, 4);
	check_without_frames(*state, true, REASON_FOLIO_UNKNOWN, 0);
}

static void test_contiguous_small_pages_are_no_folio(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	model_make_contiguous(w->m, PID, RAM, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	assert_int_equal(model_stats(w->m).remapped_bytes, 0);
	assert_int_equal(w->vm.acts[0].action.kind, ACTION_COPY);
}

static void test_policy_and_pause(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->vm.policy.mode = MODE_REPORT;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0,
		      REASON_NOT_LOOKED_YET == reason_at(w, 0) ? REASON_NOT_LOOKED_YET
							       : REASON_POLICY_OFF);
	w->vm.policy.mode = MODE_FULL;
	w->vm.policy.is_paused = true;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	w->vm.policy.is_paused = false;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_min_populated_allows_filling(void **state)
{
	struct world *w = *state;

	w->laws.may_refill = true;
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, BLOCK / 2);
	touch(w, BLOCK, BLOCK * 3 / 4);
	w->vm.policy.min_populated_bp = 7500;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 1);
	assert_int_equal(model_stats(w->m).refilled_pages, 128);
	assert_int_equal(w->vm.acts[0].verdict.refilled_bytes, 128 * PAGE);
}

/* ---- The guest gives memory back ---- */

static void test_lost_pages_are_remembered(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	model_discard(w->m, PID, RAM + BLOCK, PAGE);
	touch(w, BLOCK + PAGE, BLOCK - PAGE);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
	/* Even when it is full again. */
	touch(w, BLOCK, BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
	model_advance(w->m, 61 * MODEL_MINUTE);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

static void test_whole_block_given_back(void **state)
{
	struct world *w = *state;

	map(w, MODEL_ANON, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	model_discard(w->m, PID, RAM + BLOCK, BLOCK);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
}

static void punch(struct driver *d, struct driver_vm *vm, enum driver_step step,
		  const struct action *a, void *userdata)
{
	enum driver_step *when = userdata;

	(void)a;
	if (step == *when)
		model_discard(d->model, vm->pid, RAM + BLOCK, 8 * PAGE);
}

static void test_hole_punched_before_the_confirming_look(void **state)
{
	enum driver_step when = DRIVER_LOOKED;
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = punch;
	w->d.userdata = &when;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_int_equal(w->d.confirm_canceled, 1);
	assert_int_equal(model_stats(w->m).raced_refilled_pages, 0);
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 1);
	assert_reason(w, BLOCK, REASON_SPARSE);
}

/* The window that no look can close: counted, and held back for an hour once it is given back
 * again. */
static void test_hole_punched_after_the_confirming_look(void **state)
{
	enum driver_step when = DRIVER_CONFIRMED;
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = punch;
	w->d.userdata = &when;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(model_stats(w->m).raced_refilled_pages, 8);
	assert_int_equal(model_stats(w->m).refilled_pages, 0);
	w->d.hook = NULL;
	model_discard(w->m, PID, RAM + BLOCK, 8 * PAGE);
	touch(w, BLOCK + 8 * PAGE, PAGE);
	(void)calls(w);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, BLOCK, REASON_LOST_PAGES);
}

static void swap(struct driver *d, struct driver_vm *vm, enum driver_step step,
		 const struct action *a, void *userdata)
{
	(void)a;
	(void)userdata;
	if (step == DRIVER_LOOKED)
		model_swap_out(d->model, vm->pid, RAM, 2 * BLOCK);
}

static void test_swap_comes_between_look_and_act(void **state)
{
	struct world *w = *state;

	map(w, MODEL_ANON, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = swap;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_int_equal(model_stats(w->m).swapped_in_pages, 0);
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_reason(w, 0, REASON_SWAPPED);
}

/* ---- Refusals and back-off ---- */

/* When the next call comes, in whole minutes from the last; 0 within the first. */
static uint64_t minutes_to_next_call(struct world *w)
{
	(void)calls(w);
	for (uint64_t minute = 0; minute < 100; minute++) {
		assert_int_equal(cycle(w), 0);
		if (calls(w) > 0)
			return minute;
		model_advance(w->m, MODEL_MINUTE);
	}
	fail_msg("no call within 100 minutes");
	return 0;
}

static void test_eagain_backs_off_and_is_suspected_pinned(void **state)
{
	static const uint64_t minutes[] = {1, 4, 16, 64, 64};
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	model_pin(w->m, PID, RAM, PAGE, true);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 1); /* the call went on behind it */
	assert_int_equal(w->vm.acts[0].outcome.err, EAGAIN);
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_PARTIAL);
	for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
		assert_reason(w, 0, i < 3 ? REASON_BUSY_RETRY : REASON_PINNED_SUSPECTED);
		assert_in_range(minutes_to_next_call(w), minutes[i], minutes[i] + 1);
	}
	model_pin(w->m, PID, RAM, PAGE, false);
	assert_in_range(minutes_to_next_call(w), 64, 65);
	assert_int_equal(huge_blocks(w), 2);
	assert_reason(w, 0, REASON_NONE);
}

static void test_eagain_once_is_forgotten_after_success(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 1);
	touch(w, 0, BLOCK);
	fault(w, MODEL_FAULT_EAGAIN, 1);
	assert_int_equal(cycle(w), 0);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_int_equal(huge_blocks(w), 1);
	model_split(w->m, PID, RAM, BLOCK);
	fault(w, MODEL_FAULT_EAGAIN, 1);
	assert_int_equal(minutes_to_next_call(w), 0);	/* no hold left */
	assert_in_range(minutes_to_next_call(w), 1, 2); /* the first strike again */
}

static void test_half_done_then_einval(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 8);
	touch(w, 0, 8 * BLOCK);
	fault(w, MODEL_FAULT_HALF_EINVAL, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	assert_int_equal(w->vm.acts[0].outcome.err, EINVAL);
	assert_int_equal(w->vm.acts[0].verdict.huge_bytes_delta, 4 * BLOCK);
	assert_reason(w, 4 * BLOCK, REASON_KERNEL_REFUSED);
	assert_int_equal(cycle(w), 0); /* the culprit alone is held */
	assert_int_equal(huge_blocks(w), 7);
	assert_in_range(minutes_to_next_call(w), 59, 61);
	assert_int_equal(huge_blocks(w), 8);
}

static void test_memcg_full(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	fault(w, MODEL_FAULT_EBUSY, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 1); /* the rest of the plan is not tried */
	assert_reason(w, 0, REASON_MEMCG_LIMIT);
	fault(w, MODEL_FAULT_EBUSY, 1);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_in_range(minutes_to_next_call(w), 4, 5);
	assert_int_equal(huge_blocks(w), 40);
}

static void test_memcg_without_headroom_is_not_tried(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT,
		     &(struct model_vm){.pid = PID,
					.memcg_max_bytes = 4 * BLOCK + (64 << 20),
					.cgroup = "/machine.slice/vm.scope"});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	assert_reason(w, 0, REASON_MEMCG_LIMIT);
	model_set_memcg_max(w->m, PID, 8 * BLOCK + (64 << 20));
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

static void test_enomem_backs_off(void **state)
{
	struct world *w = *state;
	uint64_t began;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	began = model_now(w->m);
	model_add_fault(w->m, &(struct model_fault){.kind = MODEL_FAULT_ENOMEM,
						    .until_ns = began + 10 * MODEL_SECOND});
	while (huge_blocks(w) < 40 && model_now(w->m) < began + MODEL_MINUTE) {
		assert_int_equal(cycle(w), 0);
		model_advance(w->m, MODEL_SECOND / 10);
	}
	assert_int_equal(huge_blocks(w), 40);
	/* After 0, 1, 3, 7 s, then at 15: five bad or good first calls, and two more for the rest.
	 */
	assert_in_range(calls(w), 4, 8);
	assert_true(model_now(w->m) - began > 10 * MODEL_SECOND);
}

static void test_no_free_blocks_is_not_tried(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	model_set_free_blocks(w->m, 0);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	model_set_free_blocks(w->m, 2);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_budget(void **state)
{
	const struct budget budget = {.copy_bytes_per_s = 4 * BLOCK, .block_bytes = BLOCK};
	struct world *w = *state;
	uint64_t began = model_now(w->m);

	governor_init(&w->d.governor, &budget, began);
	laws_clear(&w->laws);
	laws_init(&w->laws, &w->d);
	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
	while (huge_blocks(w) < 40) {
		model_advance(w->m, MODEL_SECOND / 2);
		assert_int_equal(cycle(w), 0);
	}
	assert_in_range((model_now(w->m) - began) / MODEL_SECOND, 8, 11);
}

static void test_signal_and_missing_right_in_a_call(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	fault(w, MODEL_FAULT_EPERM, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.acts[0].verdict.reason, REASON_NO_PERMISSION);
	assert_int_equal(w->vm.acts[0].verdict.effect, EFFECT_NONE);
	fault(w, MODEL_FAULT_EINTR, 1);
	assert_int_equal(cycle(w), 0);
	assert_reason(w, 0, REASON_BUSY_RETRY);
	assert_in_range(minutes_to_next_call(w), 1, 2);
	assert_int_equal(huge_blocks(w), 4);
}

/* ---- The process changes under the cycle ---- */

static void test_vanishes_in_the_middle_of_a_call(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 40);
	touch(w, 0, 40 * BLOCK);
	fault(w, MODEL_FAULT_VANISH, 1);
	assert_int_equal(cycle(w), -ESRCH);
	assert_int_equal(calls(w), 1);
	assert_false(w->vm.is_open);
	assert_int_equal(cycle(w), -ESRCH);
	/* The same pid again is another VM: nothing of the old one is used. */
	(void)model_spawn(w->m, &(struct model_vm){.pid = PID});
	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void replace(struct driver *d, struct driver_vm *vm, enum driver_step step,
		    const struct action *a, void *userdata)
{
	const bool *is_recycled = userdata;

	if (step != DRIVER_CONFIRMED || a->target.start != RAM)
		return;
	if (*is_recycled) {
		model_exit(d->model, vm->pid);
		(void)model_spawn(d->model, &(struct model_vm){.pid = vm->pid});
		model_mmap(d->model, vm->pid,
			   &(struct model_map){
				   .start = RAM, .bytes = 2 * BLOCK, .backing = MODEL_MEMFD});
		model_touch(d->model, vm->pid, RAM, 2 * BLOCK);
	} else {
		model_exec(d->model, vm->pid);
	}
}

static void test_pid_is_recycled_between_look_and_act(void **state)
{
	struct world *w = *state;
	bool is_recycled = true;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = replace;
	w->d.userdata = &is_recycled;
	assert_int_equal(driver_cycle(&w->d, &w->vm), -ESRCH);
	assert_int_equal(huge_blocks(w), 0);
	assert_int_equal(model_stats(w->m).wrong_process_calls, 0);
	assert_in_range(model_stats(w->m).dead_process_calls, 0, 1); /* ESRCH, by the pidfd */
	w->d.hook = NULL;
	assert_int_equal(driver_cycle(&w->d, &w->vm), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_exec_between_look_and_act(void **state)
{
	struct world *w = *state;
	bool is_recycled = false;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	w->d.hook = replace;
	w->d.userdata = &is_recycled;
	assert_true(cycle(w) < 0); /* the second look meets an mm that is gone */
	w->d.hook = NULL;
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.snapshot.n_regions, 0);
	map(w, MODEL_ANON, 2);
	touch(w, 0, 2 * BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 2);
}

static void test_mapping_goes_between_look_and_act(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 2);
	touch(w, 0, 2 * BLOCK);
	fault(w, MODEL_FAULT_UNMAP, 1);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.acts[0].outcome.err, ENOMEM);
	assert_int_equal(w->vm.acts[0].verdict.reason, REASON_VANISHED);
	assert_int_equal(w->vm.acts[0].verdict.huge_bytes_delta, 0);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(w->vm.snapshot.n_regions, 0);
}

static void test_a_look_that_fails_does_nothing(void **state)
{
	struct world *w = *state;

	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 4 * BLOCK);
	for (uint32_t skip = 0; skip < 3; skip++) {
		model_fail_scans(w->m, skip, 1, -EIO);
		if (driver_cycle(&w->d, &w->vm) < 0)
			assert_int_equal(calls(w), 0);
		else
			break;
	}
	model_fail_scans(w->m, 0, 0, 0);
	model_advance(w->m, 2 * MODEL_MINUTE);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(huge_blocks(w), 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_small_folios_become_huge_in_one_cycle),
		T(test_anon_is_copied),
		T(test_split_folios_are_remapped_though_pinned),
		T(test_two_mappers_of_one_file),
		T(test_other_geometry),
		T(test_old_kernel_without_scan),
		T(test_barred_memory),
		T(test_thp_disabled_by_prctl),
		T(test_userfaultfd),
		T(test_post_copy_on_an_old_kernel_loses_nothing),
		T(test_a_pager_on_an_old_kernel_bars_all),
		T(test_device_dax_of_1g_is_not_walked),
		T(test_no_right),
		T(test_without_the_right_to_frames),
		T(test_contiguous_small_pages_are_no_folio),
		T(test_policy_and_pause),
		T(test_min_populated_allows_filling),
		T(test_lost_pages_are_remembered),
		T(test_whole_block_given_back),
		T(test_hole_punched_before_the_confirming_look),
		T(test_hole_punched_after_the_confirming_look),
		T(test_swap_comes_between_look_and_act),
		T(test_eagain_backs_off_and_is_suspected_pinned),
		T(test_eagain_once_is_forgotten_after_success),
		T(test_half_done_then_einval),
		T(test_memcg_full),
		T(test_memcg_without_headroom_is_not_tried),
		T(test_enomem_backs_off),
		T(test_no_free_blocks_is_not_tried),
		T(test_budget),
		T(test_signal_and_missing_right_in_a_call),
		T(test_vanishes_in_the_middle_of_a_call),
		T(test_pid_is_recycled_between_look_and_act),
		T(test_exec_between_look_and_act),
		T(test_mapping_goes_between_look_and_act),
		T(test_a_look_that_fails_does_nothing),
	};

	return cmocka_run_group_tests_name("cycles", tests, NULL, NULL);
}
