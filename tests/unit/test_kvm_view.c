/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KVM maps, beside what the host maps: the share, and what is found wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kvm_view.h"

#define SECOND UINT64_C(1000000000)
#define MIB    (UINT64_C(1) << 20)

enum { PAGES_OF_MIB = 256 };

/* 1000 MiB resident, 900 of them huge on the host; KVM maps 400 MiB, of which 198 are huge, and did
 * so ten seconds ago: just enough for kvm-small-under-huge-host in each respect but the last. */
static const struct kvm_counts small_now = {
	.source = KVM_SOURCE_DEBUGFS,
	.read_ns = 110 * SECOND,
	.pages_4k = UINT64_C(202) * PAGES_OF_MIB,
	.pages_2m = 99,
};

static struct snapshot begin(struct totals *t)
{
	struct snapshot s = SNAPSHOT_INIT;

	*t = (struct totals){.resident_bytes = 1000 * MIB, .huge_bytes = 900 * MIB};
	s.kvm = s.kvm_before = small_now;
	s.kvm_before.read_ns = 100 * SECOND;
	return s;
}

static void assert_finding(const struct kvm_view *v, size_t i, enum reason reason, uint64_t mib)
{
	assert_true(i < v->n_findings);
	assert_string_equal(reason_slug(v->findings[i].reason), reason_slug(reason));
	assert_int_equal(v->findings[i].bytes, mib * MIB);
}

static size_t findings_of(const struct snapshot *s, const struct totals *t)
{
	return kvm_view_of(s, t).n_findings;
}

static void the_share_is_of_what_kvm_maps(void **state)
{
	struct totals t = {.resident_bytes = 1};
	struct snapshot s = SNAPSHOT_INIT;
	struct kvm_view v;

	(void)state;
	s.kvm = (struct kvm_counts){
		.source = KVM_SOURCE_QMP, .pages_4k = 512, .pages_2m = 1, .pages_1g = 1};
	v = kvm_view_of(&s, &t);
	assert_true(v.is_known);
	assert_int_equal(v.mapped_bytes, (1024 + 2 + 2) * MIB);
	assert_int_equal(v.huge_bytes, (1024 + 2) * MIB);
	assert_int_equal(v.coverage_bp, 9980); /* rounded down */
}

static void a_log_for_life_is_told(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v;

	(void)state;
	s.vm.is_logged_for_life = ANSWER_YES;
	s.is_migrating = ANSWER_YES; /* it outlives that */
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_DIRTY_LOGGING_FOR_LIFE, 202);
	/* It needs no counters. */
	s.kvm = s.kvm_before = (struct kvm_counts){.source = KVM_SOURCE_NONE};
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_DIRTY_LOGGING_FOR_LIFE, 1000);
	s.vm.is_logged_for_life = ANSWER_UNKNOWN;
	s.is_migrating = ANSWER_NO;
	assert_int_equal(findings_of(&s, &t), 0);
}

/* Of a Firecracker whose configuration is not known, KVM's own counters say a little. */
static void a_log_for_life_is_suspected(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v;

	(void)state;
	strcpy(s.vm.comm, "firecracker");
	s.kvm.pages_2m = s.kvm_before.pages_2m = 0;
	s.kvm.pages_4k = s.kvm_before.pages_4k = UINT64_C(400) * PAGES_OF_MIB;
	t.huge_bytes = 950 * MIB;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_DIRTY_LOGGING_SUSPECTED, 400);
	assert_true(kvm_view_has(&v, REASON_DIRTY_LOGGING_SUSPECTED));
	assert_false(kvm_view_has(&v, REASON_KVM_SMALL_UNDER_HUGE_HOST));
	s.kvm_before.pages_2m = 1; /* under a log nothing is huge */
	v = kvm_view_of(&s, &t);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 400);
	s.kvm_before.pages_2m = 0;
	s.vm.is_logged_for_life = ANSWER_NO;
	v = kvm_view_of(&s, &t);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 400);
	s.vm.is_logged_for_life = ANSWER_UNKNOWN;
	s.are_memslots_known = true; /* their flags say */
	v = kvm_view_of(&s, &t);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 400);
	s.are_memslots_known = false;
	strcpy(s.vm.comm, "qemu-system-x86");
	v = kvm_view_of(&s, &t);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 400);
}

static void nothing_mapped_is_no_share(void **state)
{
	struct totals t = {.resident_bytes = 1};
	struct snapshot s = SNAPSHOT_INIT;
	struct kvm_view v = kvm_view_of(&s, &t);

	(void)state;
	assert_false(v.is_known);
	s.kvm.source = KVM_SOURCE_DEBUGFS;
	v = kvm_view_of(&s, &t);
	assert_true(v.is_known);
	assert_int_equal(v.mapped_bytes, 0);
	assert_int_equal(v.coverage_bp, 0);
	assert_int_equal(v.n_findings, 0);
}

/* Of a snapshot from a file. */
static void numbers_that_cannot_be_do_not_wrap(void **state)
{
	struct totals t = {.resident_bytes = 1};
	struct snapshot s = SNAPSHOT_INIT;
	struct kvm_view v;

	(void)state;
	s.kvm = (struct kvm_counts){.source = KVM_SOURCE_QMP,
				    .pages_4k = UINT64_MAX,
				    .pages_2m = UINT64_MAX,
				    .pages_1g = UINT64_MAX,
				    .nx_splits = UINT64_MAX};
	v = kvm_view_of(&s, &t);
	assert_true(v.huge_bytes == UINT64_MAX && v.mapped_bytes == UINT64_MAX);
	assert_int_equal(v.coverage_bp, 10000);
	s.kvm.pages_2m = s.kvm.pages_1g = UINT64_C(1) << 33;
	s.kvm.pages_4k = 0;
	assert_true(kvm_view_of(&s, &t).huge_bytes > UINT64_C(1) << 63);
	s.kvm.pages_2m = 0;
	s.kvm.pages_1g = UINT64_C(1) << 34;
	assert_true(kvm_view_of(&s, &t).huge_bytes == UINT64_MAX);
}

static void small_under_a_huge_host(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v = kvm_view_of(&s, &t);

	(void)state;
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 202);
}

static void a_host_that_is_not_huge_is_not_blamed_on_kvm(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);

	(void)state;
	t.huge_bytes = 900 * MIB - 1;
	assert_int_equal(findings_of(&s, &t), 0);
	t = (struct totals){0};
	assert_int_equal(findings_of(&s, &t), 0);
}

static void half_is_not_small(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);

	(void)state;
	s.kvm.pages_2m = 101;
	assert_int_equal(findings_of(&s, &t), 0);
	s = begin(&t);
	s.kvm_before.pages_2m = 101;
	assert_int_equal(findings_of(&s, &t), 0);
}

static void little_says_nothing(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);

	(void)state;
	s.kvm.pages_4k = UINT64_C(250) * PAGES_OF_MIB;
	s.kvm.pages_2m = 0;
	assert_int_equal(findings_of(&s, &t), 1);
	s.kvm.pages_4k--;
	assert_int_equal(findings_of(&s, &t), 0);
	s.kvm = small_now;
	s.kvm_before.pages_2m = 0; /* 202 MiB */
	assert_int_equal(findings_of(&s, &t), 0);
}

static void one_sample_is_no_proof(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);

	(void)state;
	assert_false(kvm_view_of(&s, &t).lacks_sample);
	s.kvm_before.read_ns++;
	assert_int_equal(findings_of(&s, &t), 0);
	assert_true(kvm_view_of(&s, &t).lacks_sample);
	s = begin(&t);
	s.kvm_before.source = KVM_SOURCE_NONE;
	assert_int_equal(findings_of(&s, &t), 0);
	assert_true(kvm_view_of(&s, &t).lacks_sample);
}

/* One that says nothing is no reason to wait for another. */
static void a_second_sample_is_wanted_only_where_it_decides(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);

	(void)state;
	s.kvm_before.pages_2m = 202; /* it was huge then */
	assert_false(kvm_view_of(&s, &t).lacks_sample);
	s.kvm_before.source = KVM_SOURCE_NONE;
	t.huge_bytes = 900 * MIB - 1;
	assert_false(kvm_view_of(&s, &t).lacks_sample);
	t.huge_bytes = 900 * MIB;
	s.is_migrating = ANSWER_YES;
	assert_false(kvm_view_of(&s, &t).lacks_sample);
	s.is_migrating = ANSWER_UNKNOWN;
	s.kvm.nx_splits = 101;
	assert_false(kvm_view_of(&s, &t).lacks_sample);
	s.kvm.nx_splits = 0;
	assert_true(kvm_view_of(&s, &t).lacks_sample);
	s.kvm.source = KVM_SOURCE_NONE;
	assert_false(kvm_view_of(&s, &t).lacks_sample);
}

/* A log is what makes it small, and that is said in its place. */
static void a_migration_is_the_reason(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v;

	(void)state;
	s.is_migrating = ANSWER_YES;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_DIRTY_LOGGING_ON, 202);
	s.is_migrating = ANSWER_NO;
	v = kvm_view_of(&s, &t);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 202);
}

static void code_of_the_guest_is_split(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v;

	(void)state;
	s.kvm.nx_splits = 24; /* 48 MiB of 1000 */
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 202);
	s.kvm.nx_splits = 25;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 2);
	assert_finding(&v, 0, REASON_NX_SPLIT, 50);
	assert_finding(&v, 1, REASON_KVM_SMALL_UNDER_HUGE_HOST, 152);
	s.kvm.nx_splits = 101; /* all that is small */
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_NX_SPLIT, 202);
}

/* The guest may have executed it once: whatever is small for whatever reason but its place. */
static void what_could_be_huge_has_been_small_for_long(void **state)
{
	struct totals t;
	struct snapshot s = begin(&t);
	struct kvm_view v;

	(void)state;
	for (unsigned int splits = 0; splits <= 101; splits += 25) {
		s.kvm.nx_splits = splits;
		v = kvm_view_of(&s, &t);
		assert_true(v.is_small_for_long);
		assert_int_equal(v.curable_bytes, 202 * MIB);
	}
	s.kvm_before.read_ns++;
	v = kvm_view_of(&s, &t);
	assert_false(v.is_small_for_long);
	assert_int_equal(v.curable_bytes, 202 * MIB);
	s = (struct snapshot)SNAPSHOT_INIT;
	v = kvm_view_of(&s, &t);
	assert_false(v.is_small_for_long);
	assert_int_equal(v.curable_bytes, 0);
}

static void a_new_sample_makes_the_last_one_the_one_before(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;
	struct kvm_counts second = small_now;

	(void)state;
	kvm_view_take(&s, &small_now);
	assert_int_equal(s.kvm.pages_2m, 99);
	assert_int_equal(s.kvm_before.source, KVM_SOURCE_NONE);
	second.pages_2m = 7;
	kvm_view_take(&s, &second);
	assert_int_equal(s.kvm.pages_2m, 7);
	assert_int_equal(s.kvm_before.pages_2m, 99);
	kvm_view_take(&s, &(struct kvm_counts){.source = KVM_SOURCE_NONE});
	assert_int_equal(s.kvm.source, KVM_SOURCE_NONE);
	assert_int_equal(s.kvm_before.source, KVM_SOURCE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_share_is_of_what_kvm_maps),
		cmocka_unit_test(a_log_for_life_is_told),
		cmocka_unit_test(a_log_for_life_is_suspected),
		cmocka_unit_test(nothing_mapped_is_no_share),
		cmocka_unit_test(numbers_that_cannot_be_do_not_wrap),
		cmocka_unit_test(small_under_a_huge_host),
		cmocka_unit_test(a_host_that_is_not_huge_is_not_blamed_on_kvm),
		cmocka_unit_test(half_is_not_small),
		cmocka_unit_test(little_says_nothing),
		cmocka_unit_test(one_sample_is_no_proof),
		cmocka_unit_test(a_second_sample_is_wanted_only_where_it_decides),
		cmocka_unit_test(a_migration_is_the_reason),
		cmocka_unit_test(code_of_the_guest_is_split),
		cmocka_unit_test(what_could_be_huge_has_been_small_for_long),
		cmocka_unit_test(a_new_sample_makes_the_last_one_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
