/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library in a VMM records of its VMs and memslots, and what it does over forks and in
 * signal handlers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_kvm.h"
#include "registry.h"

enum { FD = 100, MANY = 5000, ALL = WIRE_VM_MANUAL_PROTECT | WIRE_VM_INITIALLY_SET };

static struct registry r;
static struct wire_slot slots[WIRE_TABLE_MAX];

static int begin(void **state)
{
	(void)state;
	fake_kvm_reset();
	registry_init(&r, fake_ioctl);
	assert_int_equal(registry_add(&r, FD, 0), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_done(&r);
	return 0;
}

static struct registry_view view(uint32_t vm)
{
	struct registry_view v;

	registry_read(&r, vm, 0, WIRE_TABLE_MAX, slots, &v);
	return v;
}

static int set(uint32_t id, uint32_t flags)
{
	return fake_set_slot(&r, FD, id, flags, FAKE_SLOT_BYTES);
}

/* --- slots ----------------------------------------------------------------------------------- */

static void slots_are_recorded_in_order(void **state)
{
	static const uint32_t ids[] = {7, 3, 0x10003, 0, 0x10000, 9};
	static const uint32_t sorted[] = {0, 3, 7, 9, 0x10000, 0x10003};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(set(ids[i], KVM_MEM_READONLY), 0);
	assert_int_equal(view(0).total, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(registry_key(&slots[i]), sorted[i]);
		assert_int_equal(slots[i].hva, fake_hva(sorted[i]));
		assert_int_equal(slots[i].gpa, (sorted[i] & 0xffff) * FAKE_SLOT_BYTES);
		assert_int_equal(slots[i].bytes, FAKE_SLOT_BYTES);
		assert_int_equal(slots[i].flags, KVM_MEM_READONLY);
	}
}

static void slots_are_changed_and_deleted(void **state)
{
	struct kvm_userspace_memory_region m = {
		.slot = 2, .guest_phys_addr = 1 << 30, .memory_size = 4096, .userspace_addr = 8192};

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(set(i, 0), 0);
	assert_int_equal(registry_ioctl(&r, FD, KVM_SET_USER_MEMORY_REGION, &m), 0);
	assert_int_equal(set(3, KVM_MEM_LOG_DIRTY_PAGES), 0);
	assert_int_equal(fake_set_slot(&r, FD, 1, 0, 0), 0);
	assert_int_equal(view(0).total, 4);
	assert_int_equal(slots[1].slot, 2);
	assert_int_equal(slots[1].gpa, 1 << 30);
	assert_int_equal(slots[1].bytes, 4096);
	assert_int_equal(slots[1].hva, 8192);
	assert_int_equal(slots[2].flags, KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(slots[3].slot, 4);
}

static void the_newer_ioctl_is_recorded_with_the_flags_the_protocol_knows(void **state)
{
	struct {
		struct kvm_userspace_memory_region m;
		uint64_t rest[16];
	} region2 = {.m = {.flags = 1 << 2 | 1 << 9, .memory_size = 4096}};

	(void)state;
	assert_int_equal(registry_ioctl(&r, FD, FAKE_SET_REGION2, &region2), 0);
	assert_int_equal(view(0).total, 1);
	assert_int_equal(slots[0].flags, 1 << 2);
	assert_int_equal(view(0).flags, WIRE_VM_INCOMPLETE);
}

static void what_the_kernel_refuses_is_not_recorded(void **state)
{
	uint32_t generation;

	(void)state;
	assert_int_equal(set(1, 0), 0);
	generation = view(0).generation;
	fake_kvm_fail(0, 2, EEXIST);
	assert_int_equal(set(2, 0), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(fake_set_slot(&r, FD, 1, 0, 0), -1);
	assert_int_equal(view(0).total, 1);
	assert_int_equal(view(0).generation, generation);
}

/* In an order that is neither up nor down; then every second one goes. */
static void thousands_of_slots_are_recorded(void **state)
{
	struct registry_view v;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(set(i * 7919 % MANY, 0), 0);
	for (uint32_t i = 0; i < MANY; i += 2)
		assert_int_equal(fake_set_slot(&r, FD, i, 0, 0), 0);
	v = view(0);
	assert_int_equal(v.total, MANY / 2);
	assert_int_equal(v.flags, 0);
	for (uint32_t i = 0; i < v.total; i++)
		assert_int_equal(slots[i].slot, 2 * i + 1);
	assert_int_equal(registry_read(&r, 0, v.total - 3, 64, slots, &v), 3);
	assert_int_equal(slots[2].slot, MANY - 1);
	assert_int_equal(registry_read(&r, 0, v.total, 64, slots, &v), 0);
}

static void a_table_that_cannot_grow_is_incomplete_and_no_error(void **state)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	for (uint32_t i = 0; i < 128; i++)
		assert_int_equal(set(i, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	assert_int_equal(set(128, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(view(0).flags, WIRE_VM_INCOMPLETE);
	assert_int_equal(view(0).total, 128);
	assert_int_equal(set(129, 0), 0);
	assert_int_equal(view(0).flags, WIRE_VM_INCOMPLETE);
}

static void an_unknown_address_space_makes_it_incomplete(void **state)
{
	(void)state;
	assert_int_equal(set(0x20001, 0), 0);
	assert_int_equal(view(0).flags, WIRE_VM_INCOMPLETE);
	assert_int_equal(view(0).total, 0);
}

/* --- VMs ------------------------------------------------------------------------------------- */

static void capabilities_are_recorded(void **state)
{
	(void)state;
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1);
	assert_int_equal(view(0).flags, WIRE_VM_MANUAL_PROTECT);
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	assert_int_equal(view(0).flags, ALL);
	fake_enable(&r, FD, KVM_CAP_SPLIT_IRQCHIP, 3);
	assert_int_equal(view(0).flags, ALL);
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0);
	assert_int_equal(view(0).flags, 0);
	fake_enable(&r, FD, KVM_CAP_DIRTY_LOG_RING, 4096);
	assert_int_equal(view(0).flags, WIRE_VM_DIRTY_RING);
}

static void the_other_ring_is_one_too(void **state)
{
	(void)state;
	fake_enable(&r, FD, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, 4096);
	assert_int_equal(view(0).flags, WIRE_VM_DIRTY_RING);
}

static void there_is_room_for_sixteen_vms_and_each_is_another(void **state)
{
	uint64_t birth = view(0).birth;

	(void)state;
	assert_int_equal(registry_add(&r, FD, 0), -EEXIST);
	for (int i = 1; i < WIRE_VMS_MAX; i++)
		assert_int_equal(registry_add(&r, FD + i, 0), 0);
	assert_int_equal(registry_add(&r, FD + WIRE_VMS_MAX, 0), -ENOSPC);
	assert_false(registry_knows(&r, FD + WIRE_VMS_MAX));
	set(1, 0);
	registry_remove(&r, FD);
	assert_int_equal(view(0).birth, 0);
	assert_int_equal(registry_add(&r, FD, 0), 0);
	assert_int_not_equal(view(0).birth, birth);
	assert_int_equal(view(0).total, 0);
}

static void a_range_of_descriptors_is_removed(void **state)
{
	(void)state;
	for (int i = 1; i < 4; i++)
		assert_int_equal(registry_add(&r, FD + i, 0), 0);
	registry_remove_range(&r, FD + 1, FD + 2);
	assert_true(registry_knows(&r, FD));
	assert_false(registry_knows(&r, FD + 1));
	assert_false(registry_knows(&r, FD + 2));
	assert_true(registry_knows(&r, FD + 3));
	registry_remove_range(&r, 0, UINT32_MAX);
	assert_false(registry_knows(&r, FD) || registry_knows(&r, FD + 3));
	assert_false(registry_knows(&r, -1));
}

static void one_that_came_otherwise_makes_all_uncertain(void **state)
{
	(void)state;
	assert_int_equal(registry_add(&r, FD + 1, WIRE_VM_INCOMPLETE), 0);
	assert_int_equal(view(0).flags, WIRE_VM_INCOMPLETE);
	assert_int_equal(view(1).flags, WIRE_VM_INCOMPLETE);
}

static void other_descriptors_are_asked_and_not_recorded(void **state)
{
	(void)state;
	assert_int_equal(fake_set_slot(&r, FD + 1, 0, 0, 4096), 0);
	assert_int_equal(fake_kvm.n_calls, 1);
	assert_int_equal(fake_kvm.fds[0], FD + 1);
	assert_int_equal(view(0).total, 0);
}

static void every_change_is_announced(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t n;

	(void)state;
	registry_tell(&r, fd, NULL, NULL);
	assert_int_equal(read(fd, &n, sizeof(n)), -1);
	set(1, 0);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	fake_enable(&r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	registry_add(&r, FD + 1, 0);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	registry_remove(&r, FD + 1);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	n = UINT64_MAX - 1; /* as much as it holds */
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	errno = ENOTTY;
	registry_add(&r, FD + 1, 0);
	registry_remove(&r, FD + 1);
	set(2, 0);
	assert_int_equal(errno, ENOTTY);
	close(fd);
}

/* --- forks, signals, threads ----------------------------------------------------------------- */

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static atomic_int n_forgotten;

static void forget(void *userdata)
{
	(void)userdata;
	n_forgotten++;
}

static void the_child_of_a_fork_records_nothing(void **state)
{
	pid_t pid;

	(void)state;
	registry_tell(&r, -1, forget, NULL);
	pid = fork();
	if (pid == 0) {
		int bad = n_forgotten != 1;

		bad |= registry_knows(&r, FD) ? 2 : 0;
		bad |= set(1, 0) != 0 ? 4 : 0; /* as it came */
		bad |= fake_kvm.n_calls != 1 ? 8 : 0;
		bad |= registry_add(&r, FD, 0) != 0 || registry_knows(&r, FD) ? 16 : 0;
		_exit(bad);
	}
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(n_forgotten, 0);
	assert_true(registry_knows(&r, FD));
	assert_int_equal(view(0).total, 0);
}

/* vfork() shares the memory: what the child closes is not closed here. */
static void the_child_of_a_vfork_changes_nothing(void **state)
{
	pid_t pid = vfork();

	(void)state;
	if (pid == 0) {
		registry_remove(&r, FD);
		set(1, 0);
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
	assert_true(registry_knows(&r, FD));
	assert_int_equal(view(0).total, 0);
	assert_int_equal(fake_kvm.n_calls, 1);
}

static void the_child_of_a_clone_is_not_kept_waiting(void **state)
{
	pid_t pid;

	(void)state;
	assert_non_null(registry_hold(&r, 0));
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		registry_remove(&r, FD);
		_exit(registry_knows(&r, FD) ? 0 : 1);
	}
	registry_release(&r);
	assert_int_equal(status_of(pid), 0);
}

static atomic_bool is_over;

static void *fork_all_the_time(void *userdata)
{
	int *n_bad = userdata;

	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		int status = -1;

		if (pid == 0)
			_exit(registry_knows(&r, FD));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			++*n_bad;
	}
	is_over = true;
	return NULL;
}

static void forks_and_changes_at_once_harm_neither(void **state)
{
	pthread_t thread;
	int n_bad = 0;
	uint32_t i = 0;

	(void)state;
	is_over = false;
	assert_int_equal(pthread_create(&thread, NULL, fork_all_the_time, &n_bad), 0);
	for (; !is_over; i++)
		assert_int_equal(set(i % MANY, 0), 0);
	pthread_join(thread, NULL);
	assert_int_equal(n_bad, 0);
	assert_int_equal(view(0).total, i < MANY ? i : MANY);
}

static atomic_int n_handled;

static void close_in_a_handler(int signal)
{
	(void)signal;
	registry_remove(&r, FD);
	n_handled++;
}

static void raise_it(void)
{
	fake_kvm.during = NULL;
	raise(SIGUSR1);
	assert_int_equal(n_handled, 0);
}

static void a_signal_waits_for_the_call_under_way(void **state)
{
	(void)state;
	signal(SIGUSR1, close_in_a_handler);
	n_handled = 0;
	fake_kvm.during = raise_it;
	assert_int_equal(set(1, 0), 0);
	assert_int_equal(n_handled, 1);
	assert_false(registry_knows(&r, FD));
	signal(SIGUSR1, SIG_DFL);
}

/* Who comes first has it first: one that takes it again and again lets the other in. */
static atomic_int n_waiting;

static void *wait_for_it(void *userdata)
{
	n_waiting = 1;
	assert_non_null(registry_hold(&r, 0));
	*(int *)userdata = 1;
	registry_release(&r);
	return NULL;
}

static void whoever_waits_is_next(void **state)
{
	int was_in = 0;
	pthread_t thread;

	(void)state;
	n_waiting = 0;
	assert_non_null(registry_hold(&r, 0));
	assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &was_in), 0);
	while (!n_waiting || atomic_load(&r.lock.next) - atomic_load(&r.lock.serves) < 2)
		sched_yield();
	registry_release(&r);
	assert_non_null(registry_hold(&r, 0));
	assert_int_equal(was_in, 1);
	registry_release(&r);
	pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slots_are_recorded_in_order),
		TEST(slots_are_changed_and_deleted),
		TEST(the_newer_ioctl_is_recorded_with_the_flags_the_protocol_knows),
		TEST(what_the_kernel_refuses_is_not_recorded),
		TEST(thousands_of_slots_are_recorded),
		TEST(a_table_that_cannot_grow_is_incomplete_and_no_error),
		TEST(an_unknown_address_space_makes_it_incomplete),
		TEST(capabilities_are_recorded),
		TEST(the_other_ring_is_one_too),
		TEST(there_is_room_for_sixteen_vms_and_each_is_another),
		TEST(a_range_of_descriptors_is_removed),
		TEST(one_that_came_otherwise_makes_all_uncertain),
		TEST(other_descriptors_are_asked_and_not_recorded),
		TEST(every_change_is_announced),
		TEST(the_child_of_a_fork_records_nothing),
		TEST(the_child_of_a_vfork_changes_nothing),
		TEST(the_child_of_a_clone_is_not_kept_waiting),
		TEST(forks_and_changes_at_once_harm_neither),
		TEST(a_signal_waits_for_the_call_under_way),
		TEST(whoever_waits_is_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
