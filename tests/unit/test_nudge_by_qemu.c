/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a VM without the library is nudged by its QEMU, and when not. */
#include "nudge_bench.h"

static const struct nudge_history never = NUDGE_HISTORY_INIT, wished = {.is_wished = true};

#define HOUR (60 * MINUTE)
#define DAY  (24 * HOUR)

/* Nobody tells the memslots, and QEMU has a monitor. */
static struct snapshot begin_without_library(void)
{
	struct snapshot s = begin();

	s.policy.may_dirty_rate = true;
	(void)strcpy(s.policy.monitor, "/run/%n");
	snapshot_forget_memslots(&s);
	return s;
}

static void check_qemu_held(const struct nudge_history *h, const struct snapshot *s,
			    uint64_t now_ns, enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held(h, s, &view, NUDGE_BY_DIRTY_RATE, now_ns)),
			    reason_slug(expected));
}

static void check_qemu_replayed(const struct snapshot *s, enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held_in(s, &view)), reason_slug(expected));
}

static void with_a_library_qemu_is_never_asked(void **state)
{
	struct policy p = POLICY_INIT;

	(void)state;
	assert_int_equal(nudge_means_of(&p, false), NUDGE_BY_LIBRARY); /* the default */
	assert_int_equal(nudge_means_of(&p, true), NUDGE_BY_LIBRARY);
	p.may_dirty_rate = true;
	assert_int_equal(nudge_means_of(&p, false), NUDGE_BY_DIRTY_RATE);
	assert_int_equal(nudge_means_of(&p, true), NUDGE_BY_LIBRARY);
	assert_string_equal(nudge_means_name(NUDGE_BY_LIBRARY), "vmm");
	assert_string_equal(nudge_means_name(NUDGE_BY_DIRTY_RATE), "qmp/calc-dirty-rate");
}

static void qemu_needs_leave_and_evidence_or_a_wish(void **state)
{
	struct snapshot s = begin_without_library();

	(void)state;
	check_qemu_held(&never, &s, NOW, REASON_NONE);
	check_qemu_replayed(&s, REASON_NO_MONITOR);
	s.has_monitor = true;
	check_qemu_replayed(&s, REASON_NONE);
	s.has_library = true; /* and does not tell, for now */
	check_qemu_replayed(&s, REASON_MEMSLOTS_NOT_TOLD);
	s.has_library = false;
	s.policy.nudge = NUDGE_OFF;
	check_qemu_held(&never, &s, NOW, REASON_POLICY_OFF);
	check_qemu_replayed(&s, REASON_POLICY_OFF);
	check_qemu_held(&wished, &s, NOW, REASON_NONE);
	s.policy.nudge = NUDGE_AUTO;
	s.kvm_before.read_ns++; /* not ten seconds */
	check_qemu_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_qemu_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* Spoils the snapshot, and expects that neither evidence nor a wish helps. */
#define CHECK_QEMU_GUARD(reason, ...)                        \
	do {                                                 \
		struct snapshot s = begin_without_library(); \
		__VA_ARGS__;                                 \
		check_qemu_held(&never, &s, NOW, reason);    \
		check_qemu_held(&wished, &s, NOW, reason);   \
		snapshot_clear(&s);                          \
	} while (0)

static void guards_hold_qemu_against_a_wish(void **state)
{
	(void)state;
	CHECK_QEMU_GUARD(REASON_PAUSED, s.policy.is_paused = true);
	CHECK_QEMU_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_REPORT);
	CHECK_QEMU_GUARD(REASON_USERFAULTFD, s.vm.has_uffd = true);
	CHECK_QEMU_GUARD(REASON_DIRTY_LOGGING_ON, s.is_migrating = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_NO_MONITOR, s.policy.monitor[0] = '\0');
	CHECK_QEMU_GUARD(REASON_NO_MONITOR, s.policy.monitor[0] = '\0',
			 s.vm.is_static = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_THROUGH_LIBVIRT, s.policy.monitor[0] = '\0',
			 s.vm.is_of_libvirt = true);
	CHECK_QEMU_GUARD(REASON_VMM_HAS_NO_WAY, strcpy(s.vm.exe, "/usr/bin/cloud-hypervisor"));
	CHECK_QEMU_GUARD(REASON_DIRTY_LOGGING_FOR_LIFE, s.vm.is_logged_for_life = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_VFIO_DEVICE, s.vm.has_vfio = true);
}

static void qemu_measures_once_a_day_at_most(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = nudged(&s);

	(void)state;
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY, REASON_NONE);
	/* Not even on request, as long as nobody can have seen what it did. */
	h.is_wished = true;
	check_qemu_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	snapshot_clear(&s);
}

static void a_library_that_comes_is_not_held_for_a_day(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	check_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.is_wished = true;
	check_held(&h, &s, NOW + 1, REASON_NONE);
	snapshot_clear(&s);
}

/* What was only asked is no measuring: an operator may try again at once. */
static void what_came_to_nothing_is_put_off(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	nudge_put_off(&h, false, NOW);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	nudge_put_off(&h, true, NOW);
	nudge_put_off(&h, false, NOW + 1); /* no sooner for that */
	check_qemu_held(&h, &s, NOW + DAY - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY, REASON_NONE);
	h.is_wished = true;
	check_qemu_held(&h, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

static void a_measuring_in_vain_is_not_repeated(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = nudged_in_vain(&s);

	(void)state;
	check_qemu_held(&h, &s, NOW + 2 * DAY, REASON_NUDGED_IN_VAIN);
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_a_library_qemu_is_never_asked),
		cmocka_unit_test(qemu_needs_leave_and_evidence_or_a_wish),
		cmocka_unit_test(guards_hold_qemu_against_a_wish),
		cmocka_unit_test(qemu_measures_once_a_day_at_most),
		cmocka_unit_test(a_library_that_comes_is_not_held_for_a_day),
		cmocka_unit_test(what_came_to_nothing_is_put_off),
		cmocka_unit_test(a_measuring_in_vain_is_not_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
