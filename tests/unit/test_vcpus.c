/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads of vCPUs, of made-up processes below a temporary root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot.h"
#include "tree.h"
#include "vcpus.h"

struct tree {
	char path[TREE_PATH_MAX];
	struct sys sys;
	struct process process;
	struct vcpu *list;
	size_t n;
};

static void put(struct tree *t, const char *path, const char *text)
{
	tree_put(t->sys.rootfd, path, text);
}

static void put_thread(struct tree *t, int tid, const char *file, const char *text)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "proc/77/task/%d/%s", tid, file);
	put(t, path, text);
}

/* A thread with a name that ran on a CPU last. */
static void put_vcpu(struct tree *t, int tid, const char *comm, const char *cpu)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "%d (%s) S 1 2 3 0 -1 4194560 901 11 0 0 1 2 3 4 20 0 1 0 5555 6 7 9 94000 "
		       "95000 140000 0 0 0 0 0 0 0 0 0 -1 %s 0 0\n",
		       tid, comm, cpu);
	put_thread(t, tid, "stat", text);
	(void)snprintf(text, sizeof(text), "%s\n", comm);
	put_thread(t, tid, "comm", text);
}

static void put_node(struct tree *t, int node, const char *cpus)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", node);
	put(t, path, cpus);
}

static void open_process(struct tree *t)
{
	tree_put_directory(t->sys.rootfd, "proc/77");
	t->process.dirfd = openat(t->sys.rootfd, "proc/77", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->process.dirfd >= 0);
}

static int start(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	t->sys = (struct sys)SYS_INIT;
	t->sys.rootfd = tree_open(t->path, "vcpus");
	t->process = (struct process)PROCESS_INIT;
	t->process.pid = 77;
	open_process(t);
	put_node(t, 0, "0-3\n");
	put_node(t, 1, "4-7\n");
	*state = t;
	return 0;
}

static int stop(void **state)
{
	struct tree *t = *state;

	free(t->list);
	process_close(&t->process);
	sys_close(&t->sys);
	tree_remove(t->path);
	free(t);
	return 0;
}

static void read_all(struct tree *t)
{
	free(t->list);
	t->list = NULL;
	t->n = SIZE_MAX;
	assert_int_equal(vcpus_read(&t->sys, &t->process, true, &t->list, &t->n), 0);
}

static const struct vcpu *find(const struct tree *t, pid_t tid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].tid == tid)
			return &t->list[i];
	return NULL;
}

static void everything_is_read(void **state)
{
	struct tree *t = *state;
	const struct vcpu *v;

	put_vcpu(t, 81, "CPU 0/KVM", "5");
	put_thread(t, 81, "status",
		   "Name:\tCPU 0/KVM\nCpus_allowed:\tff\nCpus_allowed_list:\t4-5,7\n"
		   "Mems_allowed_list:\t0\n");
	put_thread(t, 81, "schedstat", "123456789 5 6\n");
	put_thread(t, 81, "sched",
		   "CPU 0/KVM (81, #threads: 5)\n-----\nnr_switches   :  3\n"
		   "numa_pages_migrated                          :                  4242\n");
	read_all(t);
	assert_int_equal(t->n, 1);
	v = &t->list[0];
	assert_int_equal(v->tid, 81);
	assert_int_equal(v->node, 1);
	assert_int_equal(v->allowed, 1 << 1);
	assert_int_equal(v->ran_ns, 123456789);
	assert_int_equal(v->migrated_pages, 4242);
	assert_int_equal(v->busy_bp, VCPU_BUSY_UNKNOWN);
	assert_int_equal(v->migrated_pages_per_s, 0);
	free(t->list);
	assert_int_equal(vcpus_read(&t->sys, &t->process, false, &t->list, &t->n), 0);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].ran_ns, 123456789);
	assert_int_equal(t->list[0].migrated_pages, 0); /* not asked for */
}

static void what_is_missing_stays_unknown(void **state)
{
	struct tree *t = *state;
	const struct vcpu *v;

	put_vcpu(t, 81, "vcpu3", "2");
	put_vcpu(t, 82, "vcpu4", "");
	put_thread(t, 82, "status", "Cpus_allowed_list\n");
	put_thread(t, 82, "schedstat", "");
	put_thread(t, 82, "sched", "numa_pages_migrated : 7\n"); /* no line of its own */
	put_vcpu(t, 83, "vcpu5", "1");
	put_thread(t, 83, "status", "");
	put_thread(t, 83, "schedstat", "x 1 2\n");
	put_thread(t, 83, "sched", "a\nnuma_pages_migrated\n");
	read_all(t);
	assert_int_equal(t->n, 3);
	for (size_t i = 0; i < t->n; i++) {
		v = &t->list[i];
		assert_int_equal(v->allowed, 0);
		assert_int_equal(v->ran_ns, 0);
		assert_int_equal(v->migrated_pages, 0);
	}
	assert_int_equal(find(t, 81)->node, 0);
	assert_int_equal(find(t, 83)->node, 0);
}

/* "stat" of Linux before 2.2.8, and of a recorded host that was cut. */
static void short_stat_leaves_the_node_unknown(void **state)
{
	struct tree *t = *state;

	put_vcpu(t, 81, "vcpu0", "2");
	put_thread(t, 81, "stat",
		   "81 (vcpu0) S 1 2 3 0 -1 4194560 901 11 0 0 1 2 3 4 20 0 1 0 5555 6 7 9 94000 "
		   "95000 140000 0 0\n");
	read_all(t);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].node, -1);
}

static void names_of_vcpus_are_known(void **state)
{
	static const struct {
		const char *comm;
		bool is_vcpu;
	} cases[] = {
		{"CPU 0/KVM", true},
		{"CPU 12/KVM", true},
		{"CPU 1234567/KV", false},
		{"vcpu0", true},
		{"vcpu255", true},
		{"fc_vcpu 0", true},
		{"fc_vcpu 31", true},
		{"crosvm_vcpu0", true},
		{"crosvm_vcpu123", true},
		{"CPU /KVM", false},
		{"CPU 0/TCG", false},
		{"CPU 0/KVM)", false},
		{"CPU 0/KVM ", false},
		{" CPU 0/KVM", false},
		{"CPU 0 /KVM", false},
		{"CPU -1/KVM", false},
		{"CPU 0", false},
		{"cpu 0/KVM", false},
		{"vcpu", false},
		{"vcpu 0", false},
		{"vcpu0x", false},
		{"vcpu_0", false},
		{"fc_vcpu", false},
		{"fc_vcpu0", false},
		{"fc_vcpu  0", false},
		{"crosvm_vcpu", false},
		{"crosvm_vcpu 0", false},
		{"qemu-system-x86", false},
		{"vhost-77", false},
		{"IO iothread0", false},
		{"KVM", false},
		{"kvm-pit/77", false},
	};
	struct tree *t = *state;
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_vcpu(t, 100 + (int)i, cases[i].comm, "4");
		n += cases[i].is_vcpu;
	}
	read_all(t);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!find(t, 100 + (pid_t)i) == cases[i].is_vcpu)
			fail_msg("\"%s\" is %staken for a vCPU", cases[i].comm,
				 cases[i].is_vcpu ? "not " : "");
	assert_int_equal(t->n, n);
}

/* A VMM names its threads as it likes; comm ends at the first newline, stat's at the last
 * parenthesis. Whatever it does, it tells of itself alone, and what is read is in bounds. */
static void hostile_names_are_survived(void **state)
{
	static const char *const names[] = {
		"CPU 0/KVM\n) R 1", /* 15 characters, and stat's name runs over two lines */
		"vcpu0\n\n\n\n\n\n\n\n\n\n",
		"\nCPU 0/KVM",
		")))))))))))))))",
		"(((((((((((((((",
		") R 1 1 1 1 1 1",
		"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
		"",
		"\xff\xfe\x80vcpu0",
		"%s%n%s%n%s%n%s",
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_vcpu(t, 100 + (int)i, names[i], "6");
	put_vcpu(t, 200, "vcpu0", "1");
	read_all(t);
	assert_non_null(find(t, 100)); /* the rest of its name is not looked at */
	assert_int_equal(find(t, 100)->node, 1);
	assert_non_null(find(t, 101));
	assert_int_equal(find(t, 101)->node, 1);
	assert_non_null(find(t, 200));
	assert_int_equal(find(t, 200)->node, 0);
	assert_int_equal(t->n, 3);
}

/* Linux writes "Name:" first, and lets no newline into it; another line may be named alike. */
static void lines_are_found_by_their_beginning(void **state)
{
	struct tree *t = *state;

	put_vcpu(t, 81, "vcpu0", "0");
	put_thread(t, 81, "status",
		   "Name:\tCpus_allowed_list:\t0-3\nX-Cpus_allowed_list:\t0-3\n"
		   "Cpus_allowed_list:\t4\n");
	read_all(t);
	assert_int_equal(find(t, 81)->allowed, 1 << 1);
}

static void threads_that_ended_are_left_out(void **state)
{
	struct tree *t = *state;

	put_vcpu(t, 81, "vcpu0", "0");
	put_thread(t, 82, "comm", "vcpu1\n"); /* no stat any more */
	put_thread(t, 83, "stat", "83 (vcpu2) S");
	put_vcpu(t, 84, "vcpu3", "0");
	put_thread(t, 84, "stat", "");
	put_vcpu(t, 85, "vcpu4", "0");
	put_thread(t, 85, "comm", "");
	put_vcpu(t, 86, "vcpu5", "0");
	put_thread(t, 86, "stat", "86 (vcpu5) S 1 2 3");
	put_vcpu(t, 87, "vcpu6", "18446744073709551616");
	put(t, "proc/77/task/x/comm", "vcpu9\n");
	put(t, "proc/77/task/-5/comm", "vcpu9\n");
	put(t, "proc/77/task/99999999999/comm", "vcpu9\n");
	put(t, "proc/77/task/8", "vcpu9\n"); /* no directory */
	read_all(t);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].tid, 81);
}

static void no_threads_is_no_error(void **state)
{
	struct tree *t = *state;

	assert_int_equal(vcpus_read(&t->sys, &t->process, true, &t->list, &t->n), -ESRCH);
	assert_null(t->list);
	put_vcpu(t, 77, "qemu-system-x86", "0");
	read_all(t);
	assert_int_equal(t->n, 0);
	assert_null(t->list);
}

static void huge_numbers_are_no_cpus(void **state)
{
	static const char *const cpus[] = {
		"8", "8191", "8192", "65536", "4294967296", "18446744073709551615",
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		put_vcpu(t, 100 + (int)i, "vcpu0", cpus[i]);
		put_thread(t, 100 + (int)i, "schedstat", "18446744073709551615 0 0\n");
		put_thread(t, 100 + (int)i, "sched",
			   "x\nnuma_pages_migrated : 18446744073709551616\n");
	}
	put_vcpu(t, 200, "vcpu0", "0");
	put_thread(t, 200, "status",
		   "x\nCpus_allowed_list:\t8192-4294967295,18446744073709551615\n");
	read_all(t);
	assert_int_equal(t->n, ARRAY_SIZE(cpus) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		assert_int_equal(find(t, 100 + (pid_t)i)->node, -1);
		assert_true(find(t, 100 + (pid_t)i)->ran_ns == UINT64_MAX);
		assert_int_equal(find(t, 100 + (pid_t)i)->migrated_pages, 0);
	}
	assert_int_equal(find(t, 200)->allowed, 0);
}

static void lists_of_cpus_are_survived(void **state)
{
	static const struct {
		const char *list;
		node_set_t nodes;
	} cases[] = {
		{"0-4294967295", 3},
		{"0-18446744073709551615", 3},
		{"0,4", 3},
		{"3-4", 3},
		{"7", 2},
		{"7-4", 0}, /* no range */
		{"0-", 0},
		{"-3", 0},
		{"", 0},
		{"x", 0},
		{"4,x", 2},
		{"4,,0", 2},
		{"4 0", 2},
		{"99999999999999999999", 0},
		{"5-99999999999999999999", 0},
	};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[128];

		(void)snprintf(line, sizeof(line), "a\nCpus_allowed_list:\t%s\nb\n", cases[i].list);
		put_vcpu(t, 100 + (int)i, "vcpu0", "0");
		put_thread(t, 100 + (int)i, "status", line);
	}
	read_all(t);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (find(t, 100 + (pid_t)i)->allowed != cases[i].nodes)
			fail_msg("\"%s\": nodes %llx", cases[i].list,
				 (unsigned long long)find(t, 100 + (pid_t)i)->allowed);
}

static void nodes_are_of_any_shape(void **state)
{
	struct tree *t = *state;

	put_node(t, 0, "\n"); /* memory alone */
	put_node(t, 1, "");
	put_node(t, 2, "0-1,4-5,8191-4294967295\n");
	put_node(t, 63, "2\n");
	put_node(t, 64, "3\n"); /* in no set of nodes */
	for (int i = 0; i < 4; i++) {
		char cpu[16];

		(void)snprintf(cpu, sizeof(cpu), "%d", i == 0 ? 5 : i);
		put_vcpu(t, 100 + i, "vcpu0", cpu);
	}
	put_vcpu(t, 104, "vcpu0", "8191");
	put_thread(t, 103, "status", "a\nCpus_allowed_list:\t0-3\n");
	read_all(t);
	assert_int_equal(find(t, 100)->node, 2);
	assert_int_equal(find(t, 101)->node, 2);
	assert_int_equal(find(t, 102)->node, 63);
	assert_int_equal(find(t, 103)->node, -1);
	assert_int_equal(find(t, 104)->node, 2);
	assert_true(find(t, 103)->allowed == (UINT64_C(1) << 63 | 1 << 2));
}

static void without_nodes_nothing_is_claimed(void **state)
{
	struct tree *t = *state;

	assert_int_equal(unlinkat(t->sys.rootfd, "sys/devices/system/node/node0/cpulist", 0), 0);
	assert_int_equal(unlinkat(t->sys.rootfd, "sys/devices/system/node/node1/cpulist", 0), 0);
	put_vcpu(t, 81, "vcpu0", "0");
	put_thread(t, 81, "status", "a\nCpus_allowed_list:\t0-7\n");
	read_all(t);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].node, -1);
	assert_int_equal(t->list[0].allowed, 0);
}

static void files_that_are_too_long_are_unknown(void **state)
{
	enum { LONG = 20000 };
	struct tree *t = *state;
	char *text = malloc(LONG + 1);

	assert_non_null(text);
	memset(text, '\n', LONG);
	memcpy(text, "a\nCpus_allowed_list:\t0\nnuma_pages_migrated:5", 44);
	text[LONG] = '\0';
	put_vcpu(t, 81, "vcpu0", "0");
	put_thread(t, 81, "status", text);
	put_thread(t, 81, "schedstat", text);
	put_thread(t, 81, "sched", text);
	put_vcpu(t, 82, "vcpu0", "0");
	put_thread(t, 82, "comm", text);
	put_vcpu(t, 83, "vcpu0", "0");
	put_thread(t, 83, "stat", text);
	read_all(t);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].allowed, 0);
	assert_int_equal(t->list[0].migrated_pages, 0);
	free(text);
}

static int open_tasks(struct tree *t)
{
	int dir = openat(t->process.dirfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(dir >= 0);
	return dir;
}

/* One more name of the thread 81. */
static void put_link(int dir, const char *prefix, int number)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%s%d", prefix, number);
	assert_int_equal(symlinkat("81", dir, path), 0);
}

static void vcpus_are_bounded(void **state)
{
	struct tree *t = *state;
	int dir;

	put_vcpu(t, 81, "vcpu0", "0");
	dir = open_tasks(t);
	for (int i = 0; i < SNAPSHOT_VCPUS_MAX + 5; i++)
		put_link(dir, "", 1000 + i);
	(void)close(dir);
	read_all(t);
	assert_int_equal(t->n, SNAPSHOT_VCPUS_MAX);
}

/* So many entries that the vCPUs among them may not all be found: what is read is bounded all the
 * same. One in nine is a vCPU, whatever the order in which they come. */
static void threads_are_bounded(void **state)
{
	enum { THREADS = 5 * SNAPSHOT_VCPUS_MAX, VCPUS = THREADS / 9 };
	struct tree *t = *state;
	int dir;

	put_vcpu(t, 81, "vcpu0", "0");
	dir = open_tasks(t);
	for (int i = 0; i < THREADS; i++)
		put_link(dir, i % 9 == 0 ? "" : "x", 1000 + i);
	(void)close(dir);
	read_all(t);
	assert_true(t->n > VCPUS / 2 && t->n < VCPUS * 9 / 10);
}

/* This very process has one thread, and no vCPU. */
static void a_real_process_is_read(void **state)
{
	struct tree *t = *state;
	struct sys sys;
	struct process p = PROCESS_INIT;
	char comm[32] = "";
	int fd;

	assert_int_equal(sys_open_host(&sys), 0);
	assert_int_equal(process_open(&sys, getpid(), &p), 0);
	assert_int_equal(vcpus_read(&sys, &p, true, &t->list, &t->n), 0);
	assert_int_equal(t->n, 0);
	fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, comm, sizeof(comm) - 1) > 0);
	assert_int_equal(write(fd, "CPU 7/KVM", 9), 9);
	assert_int_equal(vcpus_read(&sys, &p, true, &t->list, &t->n), 0);
	assert_int_equal(write(fd, comm, strcspn(comm, "\n")), strcspn(comm, "\n"));
	(void)close(fd);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->list[0].tid, getpid());
	if (access("/sys/devices/system/node/node0/cpulist", R_OK) == 0) {
		assert_true(t->list[0].node >= 0);
		assert_true(node_set_has(t->list[0].allowed, t->list[0].node));
	}
	if (access("/proc/self/schedstat", R_OK) == 0)
		assert_true(t->list[0].ran_ns > 0);
	process_close(&p);
	sys_close(&sys);
}

int main(void)
{
#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TREE_TEST(everything_is_read),
		TREE_TEST(what_is_missing_stays_unknown),
		TREE_TEST(short_stat_leaves_the_node_unknown),
		TREE_TEST(names_of_vcpus_are_known),
		TREE_TEST(hostile_names_are_survived),
		TREE_TEST(lines_are_found_by_their_beginning),
		TREE_TEST(threads_that_ended_are_left_out),
		TREE_TEST(no_threads_is_no_error),
		TREE_TEST(huge_numbers_are_no_cpus),
		TREE_TEST(lists_of_cpus_are_survived),
		TREE_TEST(nodes_are_of_any_shape),
		TREE_TEST(without_nodes_nothing_is_claimed),
		TREE_TEST(files_that_are_too_long_are_unknown),
		TREE_TEST(vcpus_are_bounded),
		TREE_TEST(threads_are_bounded),
		TREE_TEST(a_real_process_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
