/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole cycles on the model kernel, one scenario after the other: what thpd does, what it leaves
 * alone, and what it says about it. */
#include "cycle_world.h"

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

/* Neither copied nor, where it could be, remapped; nor populated. */
static void test_a_guest_of_sev_is_left_alone(void **state)
{
	struct world *w = *state;

	world_change(w, &(struct model_options)MODEL_OPTIONS_INIT,
		     &(struct model_vm){.pid = PID, .has_kvm = true, .has_sev = true});
	map(w, MODEL_MEMFD, 4);
	touch(w, 0, 2 * BLOCK);
	model_make_huge(w->m, PID, RAM + 2 * BLOCK, BLOCK);
	model_split(w->m, PID, RAM + 2 * BLOCK, BLOCK);
	assert_int_equal(cycle(w), 0);
	assert_int_equal(calls(w), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_reason(w, i * BLOCK, REASON_SEV_OR_GUEST_MEMFD);
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
		T(test_a_guest_of_sev_is_left_alone),
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
	};

	return cmocka_run_group_tests_name("cycles", tests, NULL, NULL);
}
