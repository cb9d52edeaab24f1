/* SPDX-License-Identifier: GPL-2.0-or-later */
/* THPD_POPULATE=huge: which memory is populated, and when; on the real kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "born.h"
#include "memstate.h"

#define BLOCK  UINT64_C(2097152)
#define SHARED (PROT_READ | PROT_WRITE), MAP_SHARED

enum {
	BLOCKS = 3,
	MANY = 33 /* two threads' work */,
	PAGE = 4096,
	REGION2 = 0x40a0ae49,
	THREADS = 4,
	ROUNDS = 300
};

static atomic_int interposed = -1; /* starts of threads; -1: are not told */

/* As the library has it (preload.c), which what it starts itself goes through as well. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *argument)
{
	int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	*(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
	if (interposed >= 0) {
		interposed++;
		born_before_thread();
	}
	return next(thread, attributes, start, argument);
}

static memstate_map fresh(uint64_t skew_bytes)
{
	memstate_map m = MEMSTATE_MAP_INIT;

	assert_int_equal(memstate_map_memfd(&m, BLOCKS * BLOCK, skew_bytes), 0);
	return m;
}

static void say_mapped(const memstate_map *m, int prot, int flags)
{
	const struct place_request q = {NULL, m->bytes, prot, flags, m->fd, 0};

	errno = ENOTTY;
	born_mapped(&q, m->addr);
	assert_int_equal(errno, ENOTTY);
}

static int64_t huge_blocks(const memstate_map *m)
{
	return memstate_count_huge(0, m->addr, m->bytes);
}

static void memslot(unsigned long request, const void *start, uint64_t bytes)
{
	struct {
		struct kvm_userspace_memory_region region;
		uint64_t rest[16];
	} slot = {.region = {.userspace_addr = (uintptr_t)start, .memory_size = bytes}};

	born_before_ioctl(request, &slot);
}

static void nothing_happens_without_the_variable(void **state)
{
	memstate_map m = fresh(0);

	(void)state;
	unsetenv("THPD_POPULATE");
	born_init();
	say_mapped(&m, SHARED);
	born_before_thread();
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr, m.bytes);
	assert_int_equal(huge_blocks(&m), 0);
	setenv("THPD_POPULATE", "large", 1);
	born_init();
	say_mapped(&m, SHARED);
	born_before_thread();
	assert_int_equal(huge_blocks(&m), 0);
	memstate_unmap(&m);
	setenv("THPD_POPULATE", "huge", 1);
	setenv("THPD_POPULATE_THREADS", "2", 1);
	born_init();
}

static void it_is_huge_when_a_thread_starts(void **state)
{
	memstate_map m = fresh(0);

	(void)state;
	say_mapped(&m, SHARED);
	assert_int_equal(memstate_count_present(0, m.addr, m.bytes), 0);
	errno = ENOTTY;
	born_before_thread();
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

static void it_is_populated_once(void **state)
{
	memstate_map m = fresh(0);

	(void)state;
	say_mapped(&m, SHARED);
	born_before_thread();
	assert_int_equal(
		fallocate(m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m.bytes), 0);
	born_before_thread();
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr, m.bytes);
	assert_int_equal(memstate_count_present(0, m.addr, m.bytes), 0);
	memstate_unmap(&m);
}

static void *start_of_another(void *unused)
{
	born_before_thread();
	return unused;
}

static void only_the_thread_that_mapped_counts(void **state)
{
	memstate_map m = fresh(0);
	pthread_t thread;

	(void)state;
	say_mapped(&m, SHARED);
	assert_int_equal(pthread_create(&thread, NULL, start_of_another, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(huge_blocks(&m), 0);
	born_before_thread();
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

static void the_child_of_a_fork_fills_nothing(void **state)
{
	memstate_map m = fresh(0);
	int status;
	pid_t pid;

	(void)state;
	say_mapped(&m, SHARED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		born_before_thread();
		_exit(memstate_count_present(0, m.addr, m.bytes) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	born_before_thread();
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

static void *memslot_of(void *m)
{
	memslot(KVM_SET_USER_MEMORY_REGION, ((memstate_map *)m)->addr, PAGE);
	return NULL;
}

static void a_memslot_of_any_thread_counts(void **state)
{
	memstate_map m = fresh(0);
	pthread_t thread;

	(void)state;
	say_mapped(&m, SHARED);
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr, 0);
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr - BLOCK, BLOCK);
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr + m.bytes, BLOCK);
	memslot(KVM_CREATE_VCPU, m.addr, m.bytes);
	born_before_ioctl(KVM_SET_USER_MEMORY_REGION, NULL);
	assert_int_equal(huge_blocks(&m), 0);
	assert_int_equal(pthread_create(&thread, NULL, memslot_of, &m), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
	m = fresh(0);
	say_mapped(&m, SHARED);
	memslot(REGION2, m.addr, m.bytes);
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

/* What a VMM has mapped may still wait for its policy when other memory becomes a memslot. */
static void the_helpers_are_no_threads_of_the_vmm(void **state)
{
	memstate_map slot = MEMSTATE_MAP_INIT, later = MEMSTATE_MAP_INIT;

	(void)state;
	assert_int_equal(memstate_map_memfd(&slot, MANY * BLOCK, 0), 0);
	assert_int_equal(memstate_map_memfd(&later, MANY * BLOCK, 0), 0);
	say_mapped(&slot, SHARED);
	say_mapped(&later, SHARED);
	interposed = 0;
	memslot(KVM_SET_USER_MEMORY_REGION, slot.addr, slot.bytes);
	assert_true(interposed > 0);
	interposed = -1;
	assert_int_equal(huge_blocks(&slot), MANY);
	assert_int_equal(memstate_count_present(0, later.addr, later.bytes), 0);
	born_before_thread();
	assert_int_equal(huge_blocks(&later), MANY);
	memstate_unmap(&slot);
	memstate_unmap(&later);
}

/* A database shares such with its children, in a script that starts a VMM or elsewhere. */
static void memory_without_a_file_waits_for_kvm(void **state)
{
	memstate_map m = MEMSTATE_MAP_INIT;

	(void)state;
	assert_int_equal(memstate_map_shared_anon(&m, BLOCKS * BLOCK, 0), 0);
	say_mapped(&m, SHARED | MAP_ANONYMOUS);
	born_before_thread();
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr + m.bytes, BLOCK);
	assert_int_equal(memstate_count_present(0, m.addr, m.bytes), 0);
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr + BLOCK, PAGE);
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

/* The kernel looks at neither descriptor nor offset. */
static void memory_without_a_file_has_no_offset(void **state)
{
	const struct place_request q = {NULL, BLOCKS * BLOCK, SHARED | MAP_ANONYMOUS, 0, PAGE};
	memstate_map m = MEMSTATE_MAP_INIT;

	(void)state;
	assert_int_equal(memstate_map_shared_anon(&m, q.bytes, 0), 0);
	born_mapped(&q, m.addr);
	memslot(KVM_SET_USER_MEMORY_REGION, m.addr, m.bytes);
	assert_int_equal(huge_blocks(&m), BLOCKS);
	memstate_unmap(&m);
}

static void is_left_alone(memstate_map *m, int prot, int flags)
{
	say_mapped(m, prot, flags);
	born_before_thread();
	memslot(KVM_SET_USER_MEMORY_REGION, m->addr, m->bytes);
	assert_int_equal(memstate_count_present(0, m->addr, m->bytes), 0);
	memstate_unmap(m);
}

static void other_memory_is_left_alone(void **state)
{
	memstate_map m = fresh(0);

	(void)state;
	is_left_alone(&m, SHARED | MAP_NORESERVE);
	m = fresh(0);
	is_left_alone(&m, PROT_READ, MAP_SHARED);
	m = fresh(0);
	is_left_alone(&m, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	m = fresh(PAGE);
	is_left_alone(&m, SHARED);
	assert_int_equal(memstate_map_anon(&m, BLOCKS * BLOCK, 0), 0);
	is_left_alone(&m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	assert_int_equal(memstate_map_shared_anon(&m, BLOCKS * BLOCK, 0), 0);
	is_left_alone(&m, SHARED | MAP_ANONYMOUS | MAP_NORESERVE);
	assert_int_equal(memstate_map_shared_anon(&m, BLOCKS * BLOCK, 0), 0);
	is_left_alone(&m, SHARED | MAP_ANONYMOUS | MAP_HUGETLB);
	assert_int_equal(memstate_map_shared_anon(&m, BLOCKS * BLOCK, PAGE), 0);
	is_left_alone(&m, SHARED | MAP_ANONYMOUS);
}

static void what_is_gone_is_forgotten(void **state)
{
	memstate_map m = fresh(0), other = fresh(0);
	struct place_request over = {m.addr, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0};

	(void)state;
	say_mapped(&m, SHARED);
	born_mapped(&over, MAP_FAILED);
	born_unmapped(m.addr + m.bytes, BLOCK);
	born_mapped(&over, m.addr + m.bytes - PAGE);
	born_before_thread();
	assert_int_equal(huge_blocks(&m), 0);
	say_mapped(&m, SHARED);
	say_mapped(&other, SHARED);
	born_unmapped(m.addr, PAGE);
	born_before_thread();
	assert_int_equal(huge_blocks(&m), 0);
	assert_int_equal(huge_blocks(&other), BLOCKS);
	memstate_unmap(&m);
	memstate_unmap(&other);
}

static void a_full_table_costs_only_those_that_do_not_fit(void **state)
{
	memstate_map m[70];
	size_t n = sizeof(m) / sizeof(*m), huge = 0;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		m[i] = fresh(0);
		say_mapped(&m[i], SHARED);
	}
	born_before_thread();
	for (size_t i = 0; i < n; i++) {
		huge += huge_blocks(&m[i]) == BLOCKS;
		memstate_unmap(&m[i]);
	}
	assert_int_equal(huge, 64);
}

/* Everybody maps and starts a thread while the others do: each finds his own, nobody another's. */
static void *map_and_start(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		memstate_map m = MEMSTATE_MAP_INIT;
		const struct place_request q = {NULL, BLOCK, SHARED, -1, 0};
		struct place_request mine = q;

		if (memstate_map_memfd(&m, BLOCK, 0) < 0)
			return "no memory";
		mine.fd = m.fd;
		born_mapped(&mine, m.addr);
		if (i % 3 == 0)
			born_unmapped(m.addr, m.bytes);
		born_before_thread();
		if ((memstate_count_present(0, m.addr, BLOCK) > 0) != (i % 3 != 0))
			return "missed, or not forgotten";
		memstate_unmap(&m);
	}
	return unused;
}

static void threads_at_once(void **state)
{
	pthread_t threads[THREADS];
	void *complaint;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, map_and_start, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &complaint), 0);
		if (complaint)
			fail_msg("%s", (char *)complaint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_happens_without_the_variable), /* sets it in the end */
		cmocka_unit_test(it_is_huge_when_a_thread_starts),
		cmocka_unit_test(it_is_populated_once),
		cmocka_unit_test(only_the_thread_that_mapped_counts),
		cmocka_unit_test(the_child_of_a_fork_fills_nothing),
		cmocka_unit_test(a_memslot_of_any_thread_counts),
		cmocka_unit_test(the_helpers_are_no_threads_of_the_vmm),
		cmocka_unit_test(memory_without_a_file_waits_for_kvm),
		cmocka_unit_test(memory_without_a_file_has_no_offset),
		cmocka_unit_test(other_memory_is_left_alone),
		cmocka_unit_test(what_is_gone_is_forgotten),
		cmocka_unit_test(a_full_table_costs_only_those_that_do_not_fit),
		cmocka_unit_test(threads_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
