/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nudge: which slots are toggled, how, and when not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "fake_kvm.h"
#include "registry.h"
#include "toggle.h"

enum { FD = 100, SLOTS = 4, LOG = KVM_MEM_LOG_DIRTY_PAGES, GUEST_MEMFD = 1 << 2 };

static struct registry r;

static int begin(void **state)
{
	(void)state;
	fake_kvm_reset();
	registry_init(&r, fake_ioctl);
	assert_int_equal(registry_add(&r, FD, 0), 0);
	assert_int_equal(fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(fake_set_slot(&r, FD, i, 0, FAKE_SLOT_BYTES), 0);
	fake_kvm.n_calls = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_done(&r);
	return 0;
}

static struct wire_nudged nudge(uint64_t start, uint64_t bytes)
{
	const struct wire_nudge q = {.vm = 0, .start = start, .bytes = bytes};
	struct wire_nudged ret;

	memset(&ret, 0xff, sizeof(ret));
	errno = ENOTTY;
	toggle_nudge(&r, &q, &ret);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ret.vm, 0);
	assert_int_equal(ret.reserved, 0);
	return ret;
}

static struct wire_nudged nudge_all(void)
{
	return nudge(0, UINT64_MAX);
}

static struct wire_slot slot_of(uint32_t i, uint32_t *ret_generation)
{
	struct registry_view v;
	struct wire_slot s = {0};

	assert_int_equal(registry_read(&r, 0, i, 1, &s, &v), 1);
	if (ret_generation)
		*ret_generation = v.generation;
	return s;
}

/* Call i sets slot id as it is, but for the flags. */
static void was_set(unsigned int i, uint32_t id, uint32_t flags)
{
	const struct kvm_userspace_memory_region *m = &fake_kvm.calls[i];

	assert_true(i < fake_kvm.n_calls);
	assert_int_equal(fake_kvm.fds[i], FD);
	assert_int_equal(m->slot, id);
	assert_int_equal(m->flags, flags);
	assert_int_equal(m->memory_size, FAKE_SLOT_BYTES);
	assert_int_equal(m->userspace_addr, fake_hva(id));
	assert_int_equal(m->guest_phys_addr, (id & 0xffff) * FAKE_SLOT_BYTES);
}

static void refused(enum wire_nudge_result result)
{
	struct wire_nudged n = nudge_all();

	assert_int_equal(n.result, result);
	assert_int_equal(n.err, 0);
	assert_int_equal(n.n_toggled, 0);
	assert_int_equal(fake_kvm.n_calls, 0);
}

static void each_slot_is_switched_on_and_off(void **state)
{
	uint32_t before, after;
	struct wire_nudged n;

	(void)state;
	slot_of(0, &before);
	n = nudge_all();
	assert_int_equal(n.result, WIRE_NUDGE_DONE);
	assert_int_equal(n.err, 0);
	assert_int_equal(n.n_toggled, SLOTS);
	assert_int_equal(n.n_passed_over, 0);
	assert_int_equal(n.toggled_bytes, SLOTS * FAKE_SLOT_BYTES);
	assert_true(n.worst_call_ns > 0 && n.worst_call_ns <= n.took_ns);
	assert_int_equal(fake_kvm.n_calls, 2 * SLOTS);
	for (uint32_t i = 0; i < SLOTS; i++) {
		was_set(2 * i, i, LOG);
		was_set(2 * i + 1, i, 0);
		assert_int_equal(slot_of(i, &after).flags, 0);
	}
	assert_int_equal(before, after); /* thpd is not told of what ended as it began */
	assert_int_equal(r.vms[0].logging_bytes, 0);
	assert_int_equal(r.vms[0].bytes, SLOTS * FAKE_SLOT_BYTES);
}

static void only_slots_that_reach_into_the_range_are_touched(void **state)
{
	(void)state;
	assert_int_equal(nudge(fake_hva(1) + 4096, FAKE_SLOT_BYTES).n_toggled, 2);
	was_set(0, 1, LOG);
	was_set(2, 2, LOG);
	fake_kvm.n_calls = 0;
	assert_int_equal(nudge(fake_hva(2), 1).n_toggled, 1);
	was_set(0, 2, LOG);
	assert_int_equal(nudge(fake_hva(SLOTS), FAKE_SLOT_BYTES).result, WIRE_NUDGE_NO_SLOT);
	assert_int_equal(nudge(fake_hva(0) - 4096, 4096).result, WIRE_NUDGE_NO_SLOT);
	assert_int_equal(nudge(fake_hva(0), 0).result, WIRE_NUDGE_NO_SLOT);
	assert_int_equal(fake_kvm.n_calls, 2);
}

static void the_other_address_space_is_toggled_too(void **state)
{
	(void)state;
	fake_set_slot(&r, FD, 0x10001, 0, FAKE_SLOT_BYTES);
	fake_kvm.n_calls = 0;
	assert_int_equal(nudge_all().n_toggled, SLOTS + 1);
	was_set(2 * SLOTS, 0x10001, LOG);
	was_set(2 * SLOTS + 1, 0x10001, 0);
}

static void read_only_and_guest_memfd_are_passed_over(void **state)
{
	struct wire_nudged n;

	(void)state;
	fake_set_slot(&r, FD, 0, KVM_MEM_READONLY, FAKE_SLOT_BYTES);
	fake_set_slot(&r, FD, 2, GUEST_MEMFD, FAKE_SLOT_BYTES);
	fake_kvm.n_calls = 0;
	n = nudge_all();
	assert_int_equal(n.result, WIRE_NUDGE_DONE);
	assert_int_equal(n.n_toggled, 2);
	assert_int_equal(n.n_passed_over, 2);
	assert_int_equal(fake_kvm.n_calls, 4);
	was_set(0, 1, LOG);
	was_set(2, 3, LOG);
	n = nudge(fake_hva(0), FAKE_SLOT_BYTES);
	assert_int_equal(n.result, WIRE_NUDGE_NO_SLOT);
	assert_int_equal(n.n_passed_over, 1);
}

static void it_is_refused_while_the_vmm_logs(void **state)
{
	(void)state;
	fake_set_slot(&r, FD, 2, LOG, FAKE_SLOT_BYTES);
	fake_set_slot(&r, FD, 3, LOG, FAKE_SLOT_BYTES);
	fake_kvm.n_calls = 0;
	refused(WIRE_NUDGE_LOGGING);
	fake_set_slot(&r, FD, 3, 0, FAKE_SLOT_BYTES);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_DONE);
	fake_set_slot(&r, FD, 3, LOG, FAKE_SLOT_BYTES);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_LOGGING);
	fake_set_slot(&r, FD, 3, LOG, 0);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_DONE);
	for (uint32_t i = 0; i < SLOTS; i++)
		fake_set_slot(&r, FD, i, 0, 0);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_NO_SLOT);
	assert_int_equal(r.vms[0].bytes | r.vms[0].logging_bytes, 0);
}

static void the_log_of_a_display_is_passed_over(void **state)
{
	struct wire_nudged n;

	(void)state;
	fake_set_slot(&r, FD, 1, LOG, FAKE_SLOT_BYTES);
	fake_kvm.n_calls = 0;
	n = nudge_all();
	assert_int_equal(n.result, WIRE_NUDGE_DONE);
	assert_int_equal(n.n_toggled, SLOTS - 1);
	assert_int_equal(n.n_passed_over, 1);
	assert_int_equal(fake_kvm.n_calls, 2 * (SLOTS - 1));
	was_set(2, 2, LOG);
	assert_int_equal(slot_of(1, NULL).flags, LOG);
	assert_int_equal(nudge(fake_hva(1), FAKE_SLOT_BYTES).result, WIRE_NUDGE_NO_SLOT);
}

static void it_is_refused_where_it_is_dear(void **state)
{
	(void)state;
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1);
	refused(WIRE_NUDGE_UNCHEAP);
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 2);
	refused(WIRE_NUDGE_UNCHEAP);
}

static void it_is_refused_with_a_ring_or_an_incomplete_table(void **state)
{
	(void)state;
	fake_enable(&r, FD, KVM_CAP_DIRTY_LOG_RING, 4096);
	refused(WIRE_NUDGE_RING);
	registry_add(&r, FD + 1, WIRE_VM_INCOMPLETE);
	refused(WIRE_NUDGE_NO_SLOT);
}

static void a_descriptor_that_is_no_vm_is_forgotten(void **state)
{
	(void)state;
	fake_kvm.not_a_vm = FD;
	refused(WIRE_NUDGE_NO_VM);
	assert_false(registry_knows(&r, FD));
	fake_kvm.not_a_vm = -1;
	refused(WIRE_NUDGE_NO_VM);
}

static void what_cannot_be_switched_on_is_left(void **state)
{
	struct wire_nudged n;

	(void)state;
	fake_kvm_fail(2, 1, ENOMEM);
	n = nudge_all();
	assert_int_equal(n.result, WIRE_NUDGE_FAILED);
	assert_int_equal(n.err, ENOMEM);
	assert_int_equal(n.n_toggled, 1);
	assert_int_equal(n.toggled_bytes, FAKE_SLOT_BYTES);
	assert_int_equal(fake_kvm.n_calls, 3);
	assert_int_equal(slot_of(1, NULL).flags, 0);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_DONE);
}

static void switching_off_is_tried_again(void **state)
{
	struct wire_nudged n;

	(void)state;
	fake_kvm_fail(1, 2, ENOMEM);
	n = nudge(fake_hva(0), FAKE_SLOT_BYTES);
	assert_int_equal(n.result, WIRE_NUDGE_DONE);
	assert_int_equal(fake_kvm.n_calls, 4);
	was_set(0, 0, LOG);
	was_set(3, 0, 0);
	assert_int_equal(slot_of(0, NULL).flags, 0);
}

/* The record says so, and it is tried once more later. */
static void what_cannot_be_switched_off_is_known(void **state)
{
	uint32_t before, after;
	struct wire_nudged n;

	(void)state;
	slot_of(0, &before);
	fake_kvm_fail(3, 100, EINTR);
	n = nudge_all();
	assert_int_equal(n.result, WIRE_NUDGE_FAILED);
	assert_int_equal(n.err, EINTR);
	assert_int_equal(n.n_toggled, 1);
	assert_int_equal(slot_of(1, &after).flags, LOG);
	assert_int_not_equal(before, after);
	fake_kvm.n_calls = 0;
	refused(WIRE_NUDGE_LOGGING);
	fake_kvm_fail(0, 1, ENOMEM);
	toggle_settle(&r, 0);
	assert_int_equal(slot_of(1, NULL).flags, LOG);
	toggle_settle(&r, 0);
	was_set(1, 1, 0);
	assert_int_equal(slot_of(1, NULL).flags, 0);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_DONE);
	fake_kvm.n_calls = 0;
	toggle_settle(&r, 0);
	assert_int_equal(fake_kvm.n_calls, 0);
}

/* It is not for a nudge any more to switch it off. */
static void what_the_vmm_sets_settles_it(void **state)
{
	(void)state;
	fake_kvm_fail(1, 3, EINTR);
	assert_int_equal(nudge_all().result, WIRE_NUDGE_FAILED);
	fake_set_slot(&r, FD, 0, LOG, FAKE_SLOT_BYTES);
	fake_kvm.n_calls = 0;
	toggle_settle(&r, 0);
	assert_int_equal(fake_kvm.n_calls, 0);
	assert_int_equal(slot_of(0, NULL).flags, LOG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_slot_is_switched_on_and_off),
		TEST(only_slots_that_reach_into_the_range_are_touched),
		TEST(the_other_address_space_is_toggled_too),
		TEST(read_only_and_guest_memfd_are_passed_over),
		TEST(it_is_refused_while_the_vmm_logs),
		TEST(the_log_of_a_display_is_passed_over),
		TEST(it_is_refused_where_it_is_dear),
		TEST(it_is_refused_with_a_ring_or_an_incomplete_table),
		TEST(a_descriptor_that_is_no_vm_is_forgotten),
		TEST(what_cannot_be_switched_on_is_left),
		TEST(switching_off_is_tried_again),
		TEST(what_cannot_be_switched_off_is_known),
		TEST(what_the_vmm_sets_settles_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
