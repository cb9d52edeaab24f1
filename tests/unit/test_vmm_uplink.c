/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library's connection tells thpd, and when, and that it waits for nobody. */
#include "uplink_bench.h"

#include <sys/timerfd.h>
#include <time.h>

enum { HUGE_TABLE = 20000 };

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void thpd_is_found_when_it_appears(void **state)
{
	(void)state;
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_int_equal(b.u.wait_s, 2);
	assert_false(is_due(0));
	b.listener = listen_at(b.path);
	meet();
}

static void waiting_grows_to_its_bound(void **state)
{
	struct itimerspec left;

	(void)state;
	for (int i = 0; i < 6; i++) {
		const struct itimerspec now = {.it_value = {0, 1}};

		assert_int_equal(timerfd_settime(b.u.timer_fd, 0, &now, NULL), 0);
		step();
	}
	assert_int_equal(b.u.wait_s, UPLINK_WAIT_MAX_S);
	assert_int_equal(timerfd_gettime(b.u.timer_fd, &left), 0);
	assert_true(left.it_value.tv_sec >= UPLINK_WAIT_MAX_S / 2);
}

static void all_is_told_again_to_the_next_one(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	part();
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	set(1);
	meet();
	welcome();
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 2);
}

static void nothing_is_told_before_the_welcome(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	meet();
	set(0);
	expect_nothing();
	welcome();
	assert_int_equal(expect(WIRE_VM).vm.flags, 0);
	assert_int_equal(expect_table(0, NULL), 1);
	expect_nothing();
}

/* --- tables ---------------------------------------------------------------------------------- */

static void a_long_table_comes_in_parts(void **state)
{
	union wire_message m;

	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < 2 * WIRE_SLOTS_MAX + 1; i++)
		set(i);
	expect(WIRE_VM);
	for (uint32_t i = 0; i < 3; i++) {
		m = expect(WIRE_SLOTS);
		assert_int_equal(m.slots.first, i * WIRE_SLOTS_MAX);
		assert_int_equal(m.slots.n, i < 2 ? WIRE_SLOTS_MAX : 1);
		assert_int_equal(m.slots.total, 2 * WIRE_SLOTS_MAX + 1);
	}
	assert_int_equal(m.slots.slots[0].hva, fake_hva(2 * WIRE_SLOTS_MAX));
	expect_nothing();
}

static void an_empty_table_is_told_too(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 0);
	set(0);
	assert_int_equal(expect_table(0, NULL), 1);
	fake_set_slot(&b.r, FD, 0, 0, 0);
	assert_int_equal(expect_table(0, NULL), 0);
}

static void many_changes_are_told_in_few_tables(void **state)
{
	uint64_t start = now_ms();
	uint32_t n_tables = 0, total;

	(void)state;
	registry_add(&b.r, FD, 0);
	expect(WIRE_VM);
	for (uint32_t i = 0; i < 300; i++) {
		set(i);
		settle();
	}
	do {
		total = expect_table(0, NULL);
		n_tables++;
	} while (total < 300);
	assert_true(n_tables <= (now_ms() - start) / 100 + 1);
	expect_nothing();
}

static void a_slow_reader_costs_one_message(void **state)
{
	uint32_t n_begun;

	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < HUGE_TABLE; i++)
		set(i);
	settle();
	assert_true(b.u.out_bytes > 0);
	assert_int_equal(b.u.state, UPLINK_UP);
	set(HUGE_TABLE);
	settle();
	assert_true(b.u.out_bytes > 0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, &n_begun), HUGE_TABLE + 1);
	assert_true(n_begun > 1);
	expect_nothing();
}

/* The end of one that reads nothing is noticed, and does not keep the processor busy. */
static void a_slow_reader_may_vanish(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < HUGE_TABLE; i++)
		set(i);
	settle();
	part();
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_false(is_due(0));
}

/* --- VMs ------------------------------------------------------------------------------------- */

static void vms_come_change_and_go(void **state)
{
	union wire_message m;

	(void)state;
	registry_add(&b.r, FD, 0);
	registry_add(&b.r, FD + 1, 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 0);
	assert_int_equal(expect_table(0, NULL), 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 1);
	assert_int_equal(expect_table(1, NULL), 0);
	fake_enable(&b.r, FD + 1, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	m = expect(WIRE_VM);
	assert_int_equal(m.vm.vm, 1);
	assert_int_equal(m.vm.flags, WIRE_VM_MANUAL_PROTECT | WIRE_VM_INITIALLY_SET);
	registry_remove(&b.r, FD);
	assert_int_equal(expect(WIRE_VM_GONE).vm_gone.vm, 0);
	expect_nothing();
}

static void another_vm_in_its_place_is_another(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	registry_remove(&b.r, FD);
	registry_add(&b.r, FD, 0);
	assert_int_equal(expect(WIRE_VM_GONE).vm_gone.vm, 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 0);
	assert_int_equal(expect_table(0, NULL), 0);
}

/* --- questions ------------------------------------------------------------------------------- */

static void questions_are_answered_by_their_serial(void **state)
{
	union wire_message m = {0};

	(void)state;
	registry_add(&b.r, FD, 0);
	fake_enable(&b.r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	say(&m, WIRE_COUNT, sizeof(m.count), 77);
	m = expect(WIRE_COUNTS);
	assert_int_equal(m.header.serial, 77);
	assert_int_equal(m.counts.err, ENOTTY);
	ask_nudge(0, 78);
	m = expect(WIRE_NUDGED);
	assert_int_equal(m.header.serial, 78);
	assert_int_equal(m.nudged.result, WIRE_NUDGE_DONE);
	assert_int_equal(m.nudged.n_toggled, 1);
	ask_nudge(1, 79);
	assert_int_equal(expect(WIRE_NUDGED).nudged.result, WIRE_NUDGE_NO_VM);
	expect_nothing();
}

/* More of them than are answered in one go. */
static void many_questions_are_all_answered(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		ask_nudge(0, i);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(expect(WIRE_NUDGED).header.serial, i);
}

static void what_a_nudge_left_on_is_settled_by_the_next_question(void **state)
{
	union wire_message m = {0};

	(void)state;
	registry_add(&b.r, FD, 0);
	fake_enable(&b.r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	set(0);
	fake_kvm_fail(1, 3, EINTR);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	ask_nudge(0, 1);
	m = expect(WIRE_NUDGED);
	assert_int_equal(m.nudged.result, WIRE_NUDGE_FAILED);
	assert_int_equal(m.nudged.err, EINTR);
	assert_int_equal(expect(WIRE_SLOTS).slots.slots[0].flags, KVM_MEM_LOG_DIRTY_PAGES);
	m = (union wire_message){0};
	say(&m, WIRE_COUNT, sizeof(m.count), 2);
	expect(WIRE_COUNTS);
	assert_int_equal(expect(WIRE_SLOTS).slots.slots[0].flags, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITHOUT(thpd_is_found_when_it_appears),
		TEST_WITHOUT(waiting_grows_to_its_bound),
		TEST_MET(all_is_told_again_to_the_next_one),
		TEST(nothing_is_told_before_the_welcome),
		TEST_MET(a_long_table_comes_in_parts),
		TEST_MET(an_empty_table_is_told_too),
		TEST_MET(many_changes_are_told_in_few_tables),
		TEST_MET(a_slow_reader_costs_one_message),
		TEST_MET(a_slow_reader_may_vanish),
		TEST_MET(vms_come_change_and_go),
		TEST_MET(another_vm_in_its_place_is_another),
		TEST_MET(questions_are_answered_by_their_serial),
		TEST_MET(many_questions_are_all_answered),
		TEST_MET(what_a_nudge_left_on_is_settled_by_the_next_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
