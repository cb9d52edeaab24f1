/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's counts in a made-up debugfs below a temporary root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "kvm_debugfs.h"
#include "tree.h"

struct tree {
	char path[TREE_PATH_MAX];
	struct sys sys;
	struct process process;
	struct kvm_counts counts;
};

static void put(struct tree *t, const char *vm, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s/%s", vm, name);
	tree_put(t->sys.rootfd, path, text);
}

static void put_vm(struct tree *t, const char *vm)
{
	put(t, vm, "pages_4k", "12\n");
	put(t, vm, "pages_2m", "34\n");
	put(t, vm, "pages_1g", "5\n");
	put(t, vm, "nx_lpage_splits", "6\n");
}

static void put_thread(struct tree *t, const char *tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/77/task/%s", tid);
	tree_put_directory(t->sys.rootfd, path);
}

static void put_fd(struct tree *t, const char *fd, const char *target)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/77/fd/%s", fd);
	tree_put_link(t->sys.rootfd, path, target);
}

/* Process 77 with a second thread, and VMs at the descriptors 9 and 10. */
static int start(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	t->sys = (struct sys)SYS_INIT;
	t->sys.ops = &sys_real_ops;
	t->sys.rootfd = tree_open(t->path, "kvm");
	t->process = (struct process)PROCESS_INIT;
	t->process.pid = 77;
	put_thread(t, "77");
	put_thread(t, "78");
	put_fd(t, "8", "/dev/kvm");
	put_fd(t, "9", "anon_inode:kvm-vm");
	put_fd(t, "10", "anon_inode:kvm-vm");
	t->process.dirfd = openat(t->sys.rootfd, "proc/77", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return 0;
}

static int stop(void **state)
{
	struct tree *t = *state;

	process_close(&t->process);
	sys_close(&t->sys);
	tree_remove(t->path);
	free(t);
	return 0;
}

static int read_counts(struct tree *t)
{
	t->counts = (struct kvm_counts){.source = KVM_SOURCE_MAX};
	return kvm_debugfs_read(&t->sys, &t->process, &t->counts);
}

static void assert_counts(struct tree *t, uint64_t small, uint64_t large, uint64_t gigantic,
			  uint64_t splits)
{
	assert_int_equal(read_counts(t), 0);
	assert_int_equal(t->counts.source, KVM_SOURCE_DEBUGFS);
	assert_true(t->counts.read_ns > 0);
	assert_int_equal(t->counts.pages_4k, small);
	assert_int_equal(t->counts.pages_2m, large);
	assert_int_equal(t->counts.pages_1g, gigantic);
	assert_int_equal(t->counts.nx_splits, splits);
}

static void assert_unknown(struct tree *t, int err)
{
	assert_int_equal(read_counts(t), err);
	assert_int_equal(t->counts.source, KVM_SOURCE_MAX); /* not touched */
}

static void without_debugfs_nothing_is_known(void **state)
{
	assert_unknown(*state, -ENOENT);
}

static void a_vm_of_the_process_is_read(void **state)
{
	put_vm(*state, "77-9");
	assert_counts(*state, 12, 34, 5, 6);
}

/* Cloud Hypervisor makes its VM in another thread than the first. */
static void a_vm_of_another_thread_is_read(void **state)
{
	put_vm(*state, "78-10");
	assert_counts(*state, 12, 34, 5, 6);
}

static void several_are_summed(void **state)
{
	put_vm(*state, "77-9");
	put_vm(*state, "78-10");
	assert_counts(*state, 24, 68, 10, 12);
}

static void vms_of_others_are_not_its_own(void **state)
{
	put_vm(*state, "76-9");
	put_vm(*state, "7-9");
	assert_unknown(*state, -ENOENT);
	put_vm(*state, "77-9");
	assert_counts(*state, 12, 34, 5, 6);
}

/* The thread that made it ended; another process's thread has its id now. */
static void a_thread_without_the_vm_is_not_believed(void **state)
{
	put_vm(*state, "77-8");
	put_vm(*state, "77-11");
	assert_unknown(*state, -ENOENT);
}

static void other_names_are_passed_over(void **state)
{
	static const char *const names[] = {
		"77-9x", "77-",	  "-9",	   "77",    "77-9-1",
		"77 -9", "x77-9", "+77-9", "77--9", "99999999999999999999999-9",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_vm(*state, names[i]);
	assert_unknown(*state, -ENOENT);
}

static void what_is_no_number_is_not_known(void **state)
{
	put_vm(*state, "77-9");
	put(*state, "77-9", "pages_2m", "many\n");
	assert_unknown(*state, -EINVAL);
	put(*state, "77-9", "pages_2m", "-1\n");
	assert_unknown(*state, -EINVAL);
}

/* As on arm64, where KVM has the directory, and others of its files. */
static void counters_that_are_missing_are_not_zero(void **state)
{
	put(*state, "77-9", "pages_4k", "12\n");
	assert_unknown(*state, -ENOENT);
}

static void half_a_sum_is_none(void **state)
{
	put_vm(*state, "77-9");
	put(*state, "78-10", "pages_4k", "1\n");
	assert_unknown(*state, -ENOENT);
}

static void sums_do_not_wrap(void **state)
{
	put_vm(*state, "77-9");
	put(*state, "77-9", "pages_1g", "17179869184\n"); /* 2^34 */
	assert_unknown(*state, -ERANGE);
	put(*state, "77-9", "pages_1g", "17179869183\n");
	assert_counts(*state, 12, 34, UINT64_C(17179869183), 6);
	put_vm(*state, "78-10");
	assert_unknown(*state, -ERANGE);
}

int main(void)
{
#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TREE_TEST(without_debugfs_nothing_is_known),
		TREE_TEST(a_vm_of_the_process_is_read),
		TREE_TEST(a_vm_of_another_thread_is_read),
		TREE_TEST(several_are_summed),
		TREE_TEST(vms_of_others_are_not_its_own),
		TREE_TEST(a_thread_without_the_vm_is_not_believed),
		TREE_TEST(other_names_are_passed_over),
		TREE_TEST(what_is_no_number_is_not_known),
		TREE_TEST(counters_that_are_missing_are_not_zero),
		TREE_TEST(half_a_sum_is_none),
		TREE_TEST(sums_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
