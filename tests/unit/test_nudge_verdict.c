/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a nudge helped, and what follows from it. */
#include "nudge_bench.h"

static void a_gain_is_told(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	assert_true(h.has_nudged && h.awaits_verdict && !h.verdict.is_known);
	count(&s, 4, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_known);
	assert_false(h.verdict.is_vain);
	assert_int_equal(h.verdict.small_before_bytes, 64 * MIB);
	assert_int_equal(h.verdict.huge_before_bytes, 0);
	assert_int_equal(h.verdict.small_after_bytes, 4 * MIB);
	assert_int_equal(h.verdict.huge_after_bytes, 60 * MIB);
	/* The next samples are of something else. */
	count(&s, 64, NOW + 20 * SECOND);
	assert_false(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	snapshot_clear(&s);
}

static void a_sample_from_before_says_nothing(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s), none = NUDGE_HISTORY_INIT;

	(void)state;
	assert_false(observe(&h, &s));
	count(&s, 64, NOW + 10 * SECOND - 1);
	assert_false(observe(&h, &s));
	s.kvm.read_ns = NOW - SECOND;
	assert_false(observe(&h, &s));
	s.kvm.source = KVM_SOURCE_NONE;
	s.kvm.read_ns = NOW + MINUTE;
	assert_false(observe(&h, &s));
	assert_true(h.awaits_verdict);
	s.kvm.source = KVM_SOURCE_VMM;
	assert_true(observe(&h, &s));
	assert_false(observe(&none, &s));
	snapshot_clear(&s);
}

/* Who tells of memslots changed meanwhile, and with that what is small for ever: nothing came of
 * the nudge, and nothing that can be judged. */
static void what_is_explained_otherwise_is_not_judged(void **state)
{
	static const struct memslot halves[] = {
		{0, 16 * BLOCK, BASE, 0, 0, 0},
		{4096 + (UINT64_C(1) << 32), 16 * BLOCK, BASE + 16 * BLOCK, 0, 1, 0}};
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	tell(&s, halves, 2);
	count(&s, 64, NOW + 10 * SECOND);
	assert_false(observe(&h, &s));
	assert_false(h.awaits_verdict || h.verdict.is_known || h.verdict.is_vain);
	/* As before and after, it was in vain. */
	h = nudged(&s);
	count(&s, 64, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	h = nudged(&s);
	snapshot_forget_memslots(&s);
	assert_false(observe(&h, &s));
	assert_false(h.awaits_verdict || h.verdict.is_known);
	snapshot_clear(&s);
}

/* 60 of 64 MiB were small; a tenth of that is 6 MiB. */
static void a_tenth_is_not_in_vain(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	count(&s, 60, NOW);
	h = nudged(&s);
	count(&s, 54, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	h = nudged(&s);
	s.kvm.read_ns = NOW + 10 * SECOND;
	h.verdict.small_before_bytes = 60 * MIB;
	h.verdict.huge_before_bytes = 4 * MIB;
	s.kvm.pages_4k = 56 * PAGES_OF_MIB;
	s.kvm.pages_2m = 4;
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	snapshot_clear(&s);
}

static void what_was_in_vain_is_not_repeated(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged_in_vain(&s);

	(void)state;
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 1000 * MINUTE, REASON_NUDGED_IN_VAIN);
	h.is_wished = true;
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NONE);
	h.is_wished = false;
	nudge_forget(&h);
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	snapshot_clear(&s);
}

/* Entries that were dropped come back as the guest touches its memory: what counts is their kind.
 */
static void a_guest_that_sleeps_is_waited_for(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s), other = h;

	(void)state;
	count(&s, 64, NOW + 10 * SECOND);
	s.kvm.pages_4k = 16 * PAGES_OF_MIB - 1;
	assert_false(observe(&h, &s));
	assert_true(h.awaits_verdict);
	s.kvm.pages_4k++; /* a quarter came back, and all of it small */
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	s.kvm.pages_4k = 4 * PAGES_OF_MIB;
	s.kvm.pages_2m = 6;
	assert_true(observe(&other, &s));
	assert_false(other.verdict.is_vain);
	snapshot_clear(&s);
}

/* thpd collapsed something between the nudge and the sample. */
static void a_verdict_is_of_the_nudge_alone(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	nudge_forget(&h);
	count(&s, 64, NOW + 10 * SECOND);
	assert_false(observe(&h, &s));
	assert_false(h.verdict.is_vain || h.verdict.is_known);
	assert_true(h.has_nudged);
	snapshot_clear(&s);
}

/* By wish: of what was not small nothing can be gained, nor judged. */
static void a_nudge_without_need_is_not_in_vain(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	count(&s, 0, NOW);
	h = nudged(&s);
	count(&s, 4, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	/* KVM had not a single entry: a sample is one all the same, and none is none. */
	s.kvm.pages_4k = s.kvm.pages_2m = 0;
	h = nudged(&s);
	s.kvm.source = KVM_SOURCE_NONE;
	assert_false(observe(&h, &s));
	s.kvm.source = KVM_SOURCE_VMM;
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	s.kvm.source = KVM_SOURCE_NONE;
	h = nudged(&s);
	assert_false(h.awaits_verdict);
	snapshot_clear(&s);
}

static void impossible_numbers_do_not_wrap(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	s.kvm.pages_4k = UINT64_MAX;
	h = nudged(&s);
	assert_true(h.verdict.small_before_bytes == UINT64_MAX);
	s.kvm.read_ns = UINT64_MAX;
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	h = nudged(&s);
	s.kvm.pages_4k = 0;
	s.kvm.pages_2m = UINT64_MAX;
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	h.nudged_ns = UINT64_MAX;
	check_held(&h, &s, NOW, REASON_NOTHING_TO_NUDGE);
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gain_is_told),
		cmocka_unit_test(a_sample_from_before_says_nothing),
		cmocka_unit_test(what_is_explained_otherwise_is_not_judged),
		cmocka_unit_test(a_tenth_is_not_in_vain),
		cmocka_unit_test(what_was_in_vain_is_not_repeated),
		cmocka_unit_test(a_guest_that_sleeps_is_waited_for),
		cmocka_unit_test(a_verdict_is_of_the_nudge_alone),
		cmocka_unit_test(a_nudge_without_need_is_not_in_vain),
		cmocka_unit_test(impossible_numbers_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
