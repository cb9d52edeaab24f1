/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a VM is nudged by the library inside its VMM, and when not. */
#include "nudge_bench.h"

static const struct nudge_history never = NUDGE_HISTORY_INIT, wished = {.is_wished = true};

static void evidence_suffices(void **state)
{
	struct snapshot s = begin();

	(void)state;
	check_held(&never, &s, NOW, REASON_NONE);
	s.is_migrating = ANSWER_NO;
	check_held(&never, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* [Nudge] Mode=off, which is the default. */
static void without_leave_only_a_wish_does_it(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.policy.nudge = ((struct policy)POLICY_INIT).nudge;
	check_held(&never, &s, NOW, REASON_POLICY_OFF);
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

static void without_evidence_only_a_wish_does_it(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.kvm_before.read_ns++; /* not ten seconds */
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	s.kvm_before.read_ns--;
	check_held(&never, &s, NOW, REASON_NONE);
	s.kvm.pages_4k = 0;
	s.kvm.pages_2m = 32;
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	s.kvm.source = s.kvm_before.source = KVM_SOURCE_NONE;
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* What a VM lacks to be nudged depends on its VMM, and so does what helps. */
static void who_tells_no_slots_is_told_why(void **state)
{
	static const struct {
		const char *exe, *comm;
		bool is_of_libvirt;
		enum answer is_static;
		enum reason expected;
	} cases[] = {
		{"/usr/bin/qemu-system-x86_64", "q", false, ANSWER_NO, REASON_MEMSLOTS_NOT_TOLD},
		{"/usr/bin/qemu-system-x86_64", "q", true, ANSWER_NO, REASON_THROUGH_LIBVIRT},
		{"/usr/bin/qemu-system-x86_64", "q", false, ANSWER_YES, REASON_VMM_IS_STATIC},
		{"/usr/bin/cloud-hypervisor", "vmm", false, ANSWER_NO, REASON_VMM_HAS_NO_WAY},
		{"/usr/bin/cloud-hypervisor-static", "c", false, ANSWER_YES, REASON_VMM_HAS_NO_WAY},
		{"/firecracker", "firecracker", false, ANSWER_YES, REASON_VMM_HAS_NO_WAY},
		{"", "firecracker", false, ANSWER_UNKNOWN, REASON_VMM_HAS_NO_WAY},
		{"/usr/bin/crosvm", "crosvm", false, ANSWER_NO, REASON_MEMSLOTS_NOT_TOLD},
		{"/opt/mine", "mine", false, ANSWER_YES, REASON_VMM_IS_STATIC},
		{"/opt/mine", "mine", false, ANSWER_UNKNOWN, REASON_MEMSLOTS_NOT_TOLD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = begin();

		strcpy(s.vm.exe, cases[i].exe);
		strcpy(s.vm.comm, cases[i].comm);
		s.vm.is_of_libvirt = cases[i].is_of_libvirt;
		s.vm.is_static = cases[i].is_static;
		/* Who tells them has loaded the library, whatever it is. */
		check_held(&wished, &s, NOW, REASON_NONE);
		snapshot_forget_memslots(&s);
		check_held(&wished, &s, NOW, cases[i].expected);
		check_held(&never, &s, NOW, cases[i].expected);
		snapshot_clear(&s);
	}
}

static void a_log_for_life_is_not_touched(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.vm.is_logged_for_life = ANSWER_YES;
	check_held(&wished, &s, NOW, REASON_DIRTY_LOGGING_FOR_LIFE);
	s.is_migrating = ANSWER_YES;
	check_held(&wished, &s, NOW, REASON_DIRTY_LOGGING_FOR_LIFE);
	s.is_migrating = ANSWER_NO;
	s.vm.is_logged_for_life = ANSWER_NO;
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* Small for ever is nothing that a nudge could cure. */
static void what_slots_explain_is_no_evidence(void **state)
{
	static const struct memslot off = {PAGE, 32 * BLOCK, BASE, 0, 0, 0};
	struct snapshot s = begin();

	(void)state;
	tell(&s, &off, 1);
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	snapshot_clear(&s);
}

/* The one left-over on x86 that a nudge is good for (docs/NUDGE.md): the guest has executed in all
 * of its memory, and does so no more, or does. */
static void what_was_split_for_code_is_evidence(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h, other;

	(void)state;
	s.kvm.nx_splits = 32;
	check_held(&never, &s, NOW, REASON_NONE);
	h = other = nudged(&s);
	assert_int_equal(h.verdict.small_before_bytes, 64 * MIB);
	count(&s, 64, NOW + 10 * SECOND);
	s.kvm.nx_splits = 32;
	assert_true(observe(&h, &s));
	assert_int_equal(h.verdict.small_after_bytes, 64 * MIB);
	assert_true(h.verdict.is_vain);
	check_held(&h, &s, NOW + 1000 * MINUTE, REASON_NUDGED_IN_VAIN);
	count(&s, 0, NOW + 10 * SECOND);
	assert_true(observe(&other, &s));
	assert_false(other.verdict.is_vain);
	snapshot_clear(&s);
}

/* Spoils the snapshot, and expects that neither evidence nor a wish helps. */
#define CHECK_GUARD(reason, ...)                      \
	do {                                          \
		struct snapshot s = begin();          \
		__VA_ARGS__;                          \
		check_held(&never, &s, NOW, reason);  \
		check_held(&wished, &s, NOW, reason); \
		snapshot_clear(&s);                   \
	} while (0)

static void guards_hold_against_a_wish(void **state)
{
	(void)state;
	CHECK_GUARD(REASON_PAUSED, s.policy.is_paused = true);
	CHECK_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_REPORT);
	CHECK_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_OFF);
	CHECK_GUARD(REASON_USERFAULTFD, s.vm.has_uffd = true);
	CHECK_GUARD(REASON_DIRTY_LOGGING_ON, s.is_migrating = ANSWER_YES);
	CHECK_GUARD(REASON_MEMSLOTS_NOT_TOLD, snapshot_forget_memslots(&s));
	/* By the library, which is not there, whoever else tells. */
	CHECK_GUARD(REASON_MEMSLOTS_NOT_TOLD, s.are_memslots_known = false,
		    s.memslots_inferred_ns = 1);
	CHECK_GUARD(REASON_DIRTY_LOGGING_ON, s.memslots[0].flags = MEMSLOT_LOG_DIRTY);
}

static void check_logged(hva_t hva, uint64_t bytes, bool is_ram)
{
	const struct memslot slots[] = {
		{0, BLOCK, BASE + BLOCK, 0, 0, 0},
		{64 * BLOCK, bytes, hva, MEMSLOT_LOG_DIRTY, 1, 1},
	};
	struct snapshot s = begin();

	build_region(&s, BASE + 64 * BLOCK, 32 * BLOCK, BACKING_SHMEM);
	tell(&s, slots, 2);
	check_held(&wished, &s, NOW, is_ram ? REASON_DIRTY_LOGGING_ON : REASON_NONE);
	snapshot_clear(&s);
}

/* A display is logged for ever, outside of what is RAM. */
static void only_a_log_on_ram_counts(void **state)
{
	(void)state;
	check_logged(BASE + 32 * BLOCK, 32 * BLOCK, false);
	check_logged(BASE + 32 * BLOCK - PAGE, 2 * PAGE, true);
	check_logged(BASE + 63 * BLOCK, BLOCK + PAGE, true);
	check_logged(BASE + 96 * BLOCK, BLOCK, false);
	check_logged(BASE - 8 * BLOCK, 8 * BLOCK, false);
	check_logged(BASE - 8 * BLOCK, 200 * BLOCK, true);
	check_logged(PAGE, PAGE, false);
}

static void not_twice_in_ten_minutes(void **state)
{
	struct snapshot s = begin();
	struct kvm_view view = view_of(&s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	nudge_note(&h, &view, NOW);
	check_held(&h, &s, NOW, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.is_wished = true;
	check_held(&h, &s, NOW + 1, REASON_NONE);
	/* It is done, and the wish with it. */
	nudge_note(&h, &view, NOW + 1);
	assert_false(h.is_wished);
	snapshot_clear(&s);
}

/* What a snapshot says of a history. */
static void check_replayed(const struct nudge_history *h, struct snapshot *s, uint64_t now_ns,
			   enum reason expected)
{
	struct kvm_view view = view_of(s);

	s->nudge_held = nudge_held_by_history(h, NUDGE_BY_LIBRARY, now_ns);
	check_held(h, s, now_ns, expected);
	assert_string_equal(reason_slug(nudge_held_in(s, &view)), reason_slug(expected));
}

static void a_snapshot_says_the_same(void **state)
{
	struct snapshot s = begin();
	struct kvm_view view = view_of(&s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	check_replayed(&h, &s, NOW, REASON_NONE);
	nudge_note(&h, &view, NOW);
	check_replayed(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.verdict.is_vain = true;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_NUDGED_IN_VAIN);
	s.policy.nudge = NUDGE_OFF;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_POLICY_OFF);
	s.is_migrating = ANSWER_YES;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_DIRTY_LOGGING_ON);
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_suffices),
		cmocka_unit_test(without_leave_only_a_wish_does_it),
		cmocka_unit_test(without_evidence_only_a_wish_does_it),
		cmocka_unit_test(who_tells_no_slots_is_told_why),
		cmocka_unit_test(a_log_for_life_is_not_touched),
		cmocka_unit_test(what_slots_explain_is_no_evidence),
		cmocka_unit_test(what_was_split_for_code_is_evidence),
		cmocka_unit_test(guards_hold_against_a_wish),
		cmocka_unit_test(only_a_log_on_ram_counts),
		cmocka_unit_test(not_twice_in_ten_minutes),
		cmocka_unit_test(a_snapshot_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
