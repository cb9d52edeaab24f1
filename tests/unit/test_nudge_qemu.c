/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When QEMU is told to measure its guest's dirty rate: each thing that speaks against it does, and
 * so does not to know. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nudge_qemu.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static const struct kvm_counts counted = {.source = KVM_SOURCE_QMP},
			       not_counted = {.source = KVM_SOURCE_NONE};

/* Nothing speaks against it. */
static struct qemu_state ready(void)
{
	return (struct qemu_state){
		.has_kvm = ANSWER_YES,
		.is_running = ANSWER_YES,
		.is_migrating = ANSWER_NO,
		.is_measuring = ANSWER_NO,
		.has_vhost = ANSWER_NO,
		.has_vfio = ANSWER_NO,
		.has_dirty_ring = ANSWER_NO,
		.measured_ago_ns = UINT64_MAX,
	};
}

static void check(const struct qemu_state *q, const struct kvm_counts *counts, bool is_wished,
		  enum reason expected)
{
	assert_string_equal(reason_slug(nudge_qemu_held(q, counts, is_wished)),
			    reason_slug(expected));
}

/* A wish is no way around a guard. */
static void check_guard(const struct qemu_state *q, enum reason expected)
{
	check(q, &counted, false, expected);
	check(q, &counted, true, expected);
}

static void with_nothing_against_it_it_is_told(void **state)
{
	const struct qemu_state q = ready();

	(void)state;
	check_guard(&q, REASON_NONE);
}

#define CHECK_ANSWER(member, good, bad, reason)          \
	do {                                             \
		struct qemu_state q = ready();           \
		q.member = bad;                          \
		check_guard(&q, reason);                 \
		q.member = ANSWER_UNKNOWN;               \
		check_guard(&q, REASON_MONITOR_UNCLEAR); \
		q.member = good;                         \
		check_guard(&q, REASON_NONE);            \
	} while (0)

static void each_guard_holds_and_so_does_not_to_know(void **state)
{
	(void)state;
	CHECK_ANSWER(has_kvm, ANSWER_YES, ANSWER_NO, REASON_KVM_NOT_COUNTED);
	CHECK_ANSWER(is_running, ANSWER_YES, ANSWER_NO, REASON_VM_NOT_RUNNING);
	CHECK_ANSWER(is_migrating, ANSWER_NO, ANSWER_YES, REASON_DIRTY_LOGGING_ON);
	CHECK_ANSWER(is_measuring, ANSWER_NO, ANSWER_YES, REASON_DIRTY_LOGGING_ON);
	CHECK_ANSWER(has_vhost, ANSWER_NO, ANSWER_YES, REASON_VHOST_DEVICE);
	CHECK_ANSWER(has_vfio, ANSWER_NO, ANSWER_YES, REASON_VFIO_DEVICE);
	CHECK_ANSWER(has_dirty_ring, ANSWER_NO, ANSWER_YES, REASON_DIRTY_RING);
}

static void what_cannot_be_measured_is_not_done(void **state)
{
	const struct qemu_state q = ready();

	(void)state;
	check(&q, &not_counted, false, REASON_KVM_NOT_COUNTED);
	check(&q, &not_counted, true, REASON_KVM_NOT_COUNTED);
}

/* Also one that thpd knows nothing of. */
static void qemu_remembers_when_it_measured(void **state)
{
	struct qemu_state q = ready();

	(void)state;
	q.measured_ago_ns = 0;
	check_guard(&q, REASON_MEASURED_LATELY);
	q.measured_ago_ns = 10 * MINUTE - 1;
	check_guard(&q, REASON_MEASURED_LATELY);
	q.measured_ago_ns = 10 * MINUTE;
	check(&q, &counted, true, REASON_NONE);
	check(&q, &counted, false, REASON_MEASURED_LATELY);
	q.measured_ago_ns = 24 * HOUR - 1;
	check(&q, &counted, false, REASON_MEASURED_LATELY);
	q.measured_ago_ns = 24 * HOUR;
	check_guard(&q, REASON_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_nothing_against_it_it_is_told),
		cmocka_unit_test(each_guard_holds_and_so_does_not_to_know),
		cmocka_unit_test(what_cannot_be_measured_is_not_done),
		cmocka_unit_test(qemu_remembers_when_it_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
