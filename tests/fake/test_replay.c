/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host is recorded, and thpd says of the record what it says of the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "cleanup.h"
#include "kvm_debugfs.h"
#include "model_kernel.h"
#include "record.h"
#include "tree.h"

enum { VMM = 77, OTHER = 78, HELPER_THREAD = 90 };

#define GUEST UINT64_C(0x7f0000000000)
#define BLOCK UINT64_C(0x200000)

/* A host as it is, and what was recorded of it. */
struct desk {
	struct model *host, *replay;
	struct sys sys; /* of the host, or of the replay once there is one */
	char path[TREE_PATH_MAX];
	int dirfd;
};

static int root_of(const struct model *m)
{
	int fd = open(model_root(m), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void put(struct desk *d, const char *path, const char *text)
{
	_cleanup_close_ int fd = root_of(d->host);

	tree_put(fd, path, text);
}

static void put_thread(struct desk *d, int pid, int tid, const char *comm)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", pid, tid);
	put(d, path, comm);
}

static void put_descriptor(struct desk *d, int fd, const char *target)
{
	_cleanup_close_ int root = root_of(d->host);
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/fd/%d", VMM, fd);
	tree_put_link(root, path, target);
}

static void put_number(struct desk *d, const char *vm, const char *name, const char *text)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s/%s", vm, name);
	put(d, path, text);
}

static void put_vm(struct desk *d, const char *vm)
{
	put_number(d, vm, "pages_4k", "12\n");
	put_number(d, vm, "pages_2m", "34\n");
	put_number(d, vm, "pages_1g", "5\n");
	put_number(d, vm, "nx_lpage_splits", "6\n");
	put_number(d, vm, "mmu_cache_miss", "7\n");
}

static void spawn(struct desk *d, pid_t pid)
{
	const struct model_vm vm = {
		.pid = pid, .comm = "customer", .exe = "/usr/bin/customer", .has_kvm = true};
	const struct model_map ram = {.start = GUEST, .bytes = 8 * BLOCK, .backing = MODEL_MEMFD};

	(void)model_spawn(d->host, &vm);
	model_mmap(d->host, pid, &ram);
	put_thread(d, pid, pid, "customer\n");
}

/* Two VMMs; a VM of each is at descriptor 11. */
static int start(void **state)
{
	const struct model_options o = MODEL_OPTIONS_INIT;
	struct desk *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	d->host = model_new(&o);
	assert_int_equal(model_open_sys(d->host, &d->sys), 0);
	spawn(d, VMM);
	spawn(d, OTHER);
	d->dirfd = tree_open(d->path, "replay");
	*state = d;
	return 0;
}

static int stop(void **state)
{
	struct desk *d = *state;

	sys_close(&d->sys);
	d->host = model_free(d->host);
	d->replay = model_free(d->replay);
	(void)close_fd(d->dirfd);
	tree_remove(d->path);
	free(d);
	return 0;
}

static void assert_recorded(struct desk *d, const char *path, const char *expected)
{
	char text[256];

	if (sys_read_at(d->dirfd, path, text, sizeof(text)) < 0)
		fail_msg("%s was not recorded", path);
	assert_string_equal(text, expected);
}

static void assert_not_recorded(struct desk *d, const char *path)
{
	struct stat st;

	if (fstatat(d->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fail_msg("%s was recorded", path);
}

static void record(struct desk *d)
{
	const pid_t pid = VMM;
	const struct record_options o = {.pids = &pid, .n_pids = 1, .scrub = true};

	assert_int_equal(host_record(&d->sys, d->dirfd, &o), 0);
}

static void replay(struct desk *d)
{
	const struct model_options o = MODEL_OPTIONS_INIT;

	record(d);
	/* The probe asks the kernel of this process, which is no process of the model: so the
	 * record has no pages, and a replay of it has a process only where there are some. */
	assert_not_recorded(d, "proc/77/thpd-pages");
	tree_put(d->dirfd, "proc/77/thpd-pages", "");
	d->replay = model_new(&o);
	assert_int_equal(model_load_tree(d->replay, d->path), 0);
	sys_close(&d->sys);
	assert_int_equal(model_open_sys(d->replay, &d->sys), 0);
}

static int read_counts(struct desk *d, struct kvm_counts *ret)
{
	struct process p = PROCESS_INIT;
	int r;

	assert_int_equal(process_open(&d->sys, VMM, &p), 0);
	r = kvm_debugfs_read(&d->sys, &p, ret);
	process_close(&p);
	return r;
}

static void assert_counts(struct desk *d, uint64_t vms)
{
	struct kvm_counts c = {0};

	assert_int_equal(read_counts(d, &c), 0);
	assert_int_equal(c.source, KVM_SOURCE_DEBUGFS);
	assert_int_equal(c.pages_4k, vms * 12);
	assert_int_equal(c.pages_2m, vms * 34);
	assert_int_equal(c.pages_1g, vms * 5);
	assert_int_equal(c.nx_splits, vms * 6);
}

static void the_record_has_kvms_counts(void **state)
{
	put_vm(*state, "77-11");
	assert_counts(*state, 1);
	replay(*state);
	assert_counts(*state, 1);
}

static void several_vms_are_several_in_the_record(void **state)
{
	put_thread(*state, VMM, HELPER_THREAD, "customer's\n");
	put_descriptor(*state, 40, "anon_inode:kvm-vm");
	put_descriptor(*state, 41, "anon_inode:kvm-vm");
	put_vm(*state, "77-11");
	put_vm(*state, "90-40");
	put_vm(*state, "90-41");
	assert_counts(*state, 3);
	replay(*state);
	assert_counts(*state, 3);
}

/* What comes after thousands of descriptors is not copied but for the VM's. */
static void a_vm_among_thousands_of_descriptors_is_found(void **state)
{
	for (int i = 0; i < 4200; i++)
		put_descriptor(*state, 100 + i, "socket:[1]");
	put_descriptor(*state, 9000, "anon_inode:kvm-vm");
	put_vm(*state, "77-9000");
	put_vm(*state, "77-11");
	replay(*state);
	assert_counts(*state, 2);
}

static void only_what_thpd_reads_is_recorded(void **state)
{
	put_vm(*state, "77-11");
	put_vm(*state, "78-11");
	put_number(*state, "77-11", "vcpu0", "secret\n");
	put(*state, "sys/kernel/debug/kvm/exits", "1\n");
	record(*state);
	assert_recorded(*state, "sys/kernel/debug/kvm/77-11/pages_4k", "12\n");
	assert_recorded(*state, "sys/kernel/debug/kvm/77-11/nx_lpage_splits", "6\n");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/77-11/mmu_cache_miss");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/77-11/vcpu0");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/78-11");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/exits");
	assert_recorded(*state, "proc/77/task/77/comm", "vmm\n");
}

/* Nobody but the kernel can make them; they lead nowhere all the same, and not to another one. */
static void names_that_kvm_does_not_give_are_not_followed(void **state)
{
	static const char *const names[] = {"077-11", "77-011", "77-11.", "77-11-", "+77-11"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_vm(*state, names[i]);
	put_vm(*state, "77-11");
	assert_counts(*state, 1);
	replay(*state);
	assert_counts(*state, 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s", names[i]);
		assert_not_recorded(*state, path);
	}
}

static void links_are_not_followed(void **state)
{
	_cleanup_close_ int root = root_of(((struct desk *)*state)->host);

	put_vm(*state, "77-11");
	put(*state, "secret", "77\n");
	assert_int_equal(unlinkat(root, "sys/kernel/debug/kvm/77-11/pages_2m", 0), 0);
	tree_put_link(root, "sys/kernel/debug/kvm/77-11/pages_2m", "../../../../../secret");
	record(*state);
	assert_recorded(*state, "sys/kernel/debug/kvm/77-11/pages_4k", "12\n");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/77-11/pages_2m");
}

/* That thpd cannot read it is what the record is for. */
static void what_is_no_number_is_recorded_as_it_is(void **state)
{
	struct kvm_counts c;

	put_vm(*state, "77-11");
	put_number(*state, "77-11", "pages_2m", "many\n");
	put_number(*state, "77-11", "pages_1g",
		   "1111111111111111111111111111111111111111111111111111111111111111111111\n");
	replay(*state);
	assert_int_equal(read_counts(*state, &c), -EINVAL);
	assert_recorded(*state, "sys/kernel/debug/kvm/77-11/pages_2m", "many\n");
	assert_not_recorded(*state, "sys/kernel/debug/kvm/77-11/pages_1g");
}

static void of_too_many_vms_none_is_recorded(void **state)
{
	struct kvm_counts c;

	for (int i = 0; i < 257; i++) {
		char name[32];

		put_descriptor(*state, 100 + i, "anon_inode:kvm-vm");
		(void)snprintf(name, sizeof(name), "77-%d", 100 + i);
		put_vm(*state, name);
	}
	assert_counts(*state, 257);
	replay(*state);
	assert_int_equal(read_counts(*state, &c), -ENOENT);
}

static void a_host_without_debugfs_is_recorded(void **state)
{
	struct kvm_counts c;

	replay(*state);
	assert_int_equal(read_counts(*state, &c), -ENOENT);
}

int main(void)
{
#define DESK_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		DESK_TEST(the_record_has_kvms_counts),
		DESK_TEST(several_vms_are_several_in_the_record),
		DESK_TEST(a_vm_among_thousands_of_descriptors_is_found),
		DESK_TEST(only_what_thpd_reads_is_recorded),
		DESK_TEST(names_that_kvm_does_not_give_are_not_followed),
		DESK_TEST(links_are_not_followed),
		DESK_TEST(what_is_no_number_is_recorded_as_it_is),
		DESK_TEST(of_too_many_vms_none_is_recorded),
		DESK_TEST(a_host_without_debugfs_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
