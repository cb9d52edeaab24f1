/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a made-up process is, and what it may have. */
#include "inventory_bench.h"

#include <string.h>
#include <unistd.h>

#include "hostfacts.h"

static void vm_is_identified(void **state)
{
	struct tree *t = *state;
	struct vm *vm = &t->snapshot.vm;

	put(t, "proc/77/ksm_merging_pages", "12\n");
	put_link(t, "proc/77/fd/9", "anon_inode:kvm-vm");
	put_link(t, "proc/77/fd/10", "/dev/vfio/17");
	put_process(t, "");
	put(t, "proc/77/ksm_merging_pages", "12\n");
	assert_int_equal(vm_identify(&t->sys, &t->process, vm), 0);
	assert_int_equal(vm->pid, 77);
	assert_int_equal(vm->starttime, 5555);
	assert_int_equal(vm->uid, 64055);
	assert_string_equal(vm->name, "vm1");
	assert_string_equal(vm->comm, "qemu-system-x86");
	assert_string_equal(vm->exe, "/usr/bin/qemu-system-x86_64");
	assert_non_null(strstr(vm->cgroup, "/machine.slice/"));
	assert_true(vm->has_kvm && vm->has_vfio);
	assert_false(vm->has_uffd || vm->is_thp_disabled);
	assert_int_equal(vm->ksm_merged_pages, 12);
}

static bool has_sev_with(struct tree *t, const char *link)
{
	int fds = openat(t->process.dirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)unlinkat(fds, "12", 0);
	assert_int_equal(symlinkat(link, fds, "12"), 0);
	(void)close(fds);
	assert_int_equal(vm_refresh(&t->sys, &t->process, &t->snapshot.vm), 0);
	return t->snapshot.vm.has_sev;
}

/* The memory of SEV-SNP is guest_memfd, and nothing of the rest is pinned. */
static void a_guest_of_sev_is_known_by_the_device(void **state)
{
	struct tree *t = *state;

	put_link(t, "proc/77/fd/9", "anon_inode:kvm-vm");
	put_process(t, "");
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), 0);
	assert_false(t->snapshot.vm.has_sev);
	assert_false(has_sev_with(t, "/dev/sev-guest"));
	assert_false(has_sev_with(t, "/opt/dev/sev"));
	assert_true(has_sev_with(t, "/dev/sev"));
	put_link(t, "proc/77/fd/13", "/dev/sev");
	assert_true(has_sev_with(t, "/memfd:[kvm-gmem] (deleted)"));
	assert_false(has_sev_with(t, "anon_inode:[kvm-gmem]"));
	assert_false(has_sev_with(t, "/[kvm-gmem] (deleted)"));
	assert_true(has_sev_with(t, "/dev/null"));
}

static void name_comes_from_qemu_then_comm(void **state)
{
	struct tree *t = *state;
	int fd;

	put_process(t, "");
	put(t, "proc/77/cgroup", "0::/user.slice/x.scope\n");
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), 0);
	assert_string_equal(t->snapshot.vm.name, "qemu-system-x86");
	fd = openat(t->sys.rootfd, "proc/77/cmdline", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "q\0-name\0guest=my\x1b[2Jvm\0", 23), 23);
	(void)close(fd);
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), 0);
	assert_string_equal(t->snapshot.vm.name, "my?[2Jvm");
}

#define PUT_CMDLINE(t, text)                                                                   \
	do {                                                                                   \
		int fd = openat((t)->sys.rootfd, "proc/77/cmdline",                            \
				O_WRONLY | O_TRUNC | O_CLOEXEC);                               \
		assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));                 \
		(void)close(fd);                                                               \
		assert_int_equal(vm_identify(&(t)->sys, &(t)->process, &(t)->snapshot.vm), 0); \
	} while (0)

/* The command line that libvirt gives it; the rest is left out. */
static void a_guest_of_libvirt_is_known_by_its_monitor(void **state)
{
	struct tree *t = *state;
	const struct vm *vm = &t->snapshot.vm;

	put_process(t, "");
	assert_false(vm->is_of_libvirt || vm->has_guest_nodes);
	PUT_CMDLINE(t, "q\0-name\0guest=vm1,debug-threads=on\0-object\0{\"qom-type\":\"secret\"}\0"
		       "-numa\0node,nodeid=0,cpus=0,memdev=ram-node0\0-numa\0type=node,nodeid=1\0"
		       "-numa\0dist,src=0,dst=1,val=20\0"
		       "-chardev\0socket,id=charmonitor,fd=31,server=on,wait=off\0"
		       "-mon\0chardev=charmonitor,id=monitor,mode=control");
	assert_true(vm->is_of_libvirt && vm->has_guest_nodes);
	/* A monitor of an operator's own beside none of libvirt's. */
	PUT_CMDLINE(t, "q\0-chardev\0socket,id=charmonitor2,path=/run/x\0"
		       "-mon\0chardev=charmonitor2,mode=control\0-numa\0node,nodeid=0\0"
		       "-numa\0hmat-lb,initiator=0");
	assert_false(vm->is_of_libvirt || vm->has_guest_nodes);
	PUT_CMDLINE(t, "q\0-name\0chardev=charmonitor\0-mon");
	assert_false(vm->is_of_libvirt);
	/* What is refreshed is not what the command line said. */
	PUT_CMDLINE(t, "q\0--mon\0id=monitor,chardev=charmonitor");
	assert_int_equal(vm_refresh(&t->sys, &t->process, &t->snapshot.vm), 0);
	assert_true(vm->is_of_libvirt);
}

/* A loader is mapped in every program that is not static. */
static void a_static_program_is_told_from_others(void **state)
{
#define CODE(path) "555500000000-555500001000 r-xp 00000000 08:01 77 " path "\n"
	static const struct {
		const char *maps;
		enum answer expected;
	} cases[] = {
		{CODE("/usr/bin/qemu") CODE("/usr/lib/x86_64-linux-gnu/libc.so.6"), ANSWER_NO},
		{CODE("/usr/bin/qemu") CODE("/lib/ld-musl-x86_64.so.1 (deleted)"), ANSWER_NO},
		{CODE("/usr/bin/firecracker"), ANSWER_YES},
		{CODE("/opt/a.so.d/firecracker"), ANSWER_YES},
		{"555500000000-555500001000 r--p 00000000 08:01 77 /lib/libc.so.6\n" CODE(
			 "/usr/bin/firecracker"),
		 ANSWER_YES},
		{"7ffe00000000-7ffe00001000 r-xp 00000000 00:00 0 [vdso]\n", ANSWER_UNKNOWN},
		{"", ANSWER_UNKNOWN},
	};
	struct tree *t = *state;

	put_process(t, "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(t, "proc/77/maps", cases[i].maps);
		assert_int_equal(survey(t, false), 0);
		assert_int_equal(t->snapshot.vm.is_static, cases[i].expected);
	}
}

static void prctl_and_uffd_are_seen(void **state)
{
	struct tree *t = *state;

	put_link(t, "proc/77/fd/11", "anon_inode:[userfaultfd]");
	put_process(t, "");
	put(t, "proc/77/status", "Uid:\t1\t2\t3\t4\nTHP_enabled:\t0\n");
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), 0);
	assert_true(t->snapshot.vm.has_uffd);
	assert_true(t->snapshot.vm.is_thp_disabled);
	assert_true(host_has_userfaultfd(&t->sys));
}

static void allowed_nodes_are_read(void **state)
{
	static const struct {
		const char *lines;
		node_set_t nodes;
	} cases[] = {
		{"Mems_allowed:\t00000000,00000003\nMems_allowed_list:\t0-1\n", 3},
		{"Mems_allowed_list:\t1\n", 2},
		{"Mems_allowed_list:\t0,2-3\nvoluntary_ctxt_switches:\t1\n", 13},
		{"Mems_allowed_list:\t63-1023\n", UINT64_C(1) << 63},
		{"Mems_allowed_list:\t0-4294967295\n", UINT64_MAX},
		{"Mems_allowed_list:\t64\n", 0},
		{"Mems_allowed_list:\t\n", 0},
		{"Mems_allowed_list:", 0},
		{"Mems_allowed_list:\t1-0\n", 0},
		{"Mems_allowed_list:\tx\n", 0},
		{"Mems_allowed_list:\t0 1\n", 0},
		{"Mems_allowed_list:\t99999999999999999999\n", 0},
		{"Mems_allowed_lists:\t1\n", 0},
		{"Mems_allowed:\t1\n", 0},
		{" Mems_allowed_list:\t1\n", 0},
		{"Name:\tMems_allowed_list:\t1\n", 0},
		{"", 0},
	};
	struct tree *t = *state;

	put_process(t, "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm vm;
		char text[256];

		(void)snprintf(text, sizeof(text), "Name:\tq\nUid:\t1\t2\t3\t4\n%s",
			       cases[i].lines);
		put(t, "proc/77/status", text);
		assert_int_equal(vm_identify(&t->sys, &t->process, &vm), 0);
		if (vm.allowed_nodes != cases[i].nodes)
			fail_msg("\"%s\": %llx", cases[i].lines,
				 (unsigned long long)vm.allowed_nodes);
		assert_int_equal(vm.uid, 2);
	}
}

/* Every third node of 1024: where such a list was cut, its last number would be another node. */
static void long_lists_of_nodes_are_read(void **state)
{
	struct tree *t = *state;
	struct vm *vm = &t->snapshot.vm;
	char text[8192] = "Uid:\t1\t2\t3\t4\nMems_allowed_list:\t";
	size_t used = strlen(text);

	put_process(t, "");
	for (int i = 62; i < 1024; i += 3)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%d,", i);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(text + used, sizeof(text) - used, "%d\n", i);
		put(t, "proc/77/status", text);
		assert_int_equal(vm_refresh(&t->sys, &t->process, vm), 0);
		assert_true(vm->allowed_nodes == (UINT64_C(1) << 62 | UINT64_C(1) << i));
	}
	/* Longer than any that there is: not known. */
	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "999,");
	(void)snprintf(text + used, sizeof(text) - used, "1\n");
	put(t, "proc/77/status", text);
	assert_int_equal(vm_refresh(&t->sys, &t->process, vm), 0);
	assert_int_equal(vm->allowed_nodes, 0);
}

/* What was read before does not stay when it is there no more, or cannot be read. */
static void allowed_nodes_are_refreshed(void **state)
{
	struct tree *t = *state;
	struct vm *vm = &t->snapshot.vm;

	put_process(t, "");
	put(t, "proc/77/status", "Uid:\t1\t2\t3\t4\nMems_allowed_list:\t0-1\n");
	assert_int_equal(vm_refresh(&t->sys, &t->process, vm), 0);
	assert_int_equal(vm->allowed_nodes, 3);
	put(t, "proc/77/status", "Uid:\t1\t2\t3\t4\nMems_allowed_list:\t1\n");
	assert_int_equal(vm_refresh(&t->sys, &t->process, vm), 0);
	assert_int_equal(vm->allowed_nodes, 2);
	put(t, "proc/77/status", "Uid:\t1\t2\t3\t4\n");
	assert_int_equal(vm_refresh(&t->sys, &t->process, vm), 0);
	assert_int_equal(vm->allowed_nodes, 0);
}

static void empty_slab_cache_rules_uffd_out(void **state)
{
	static const char file[] = "sys/kernel/slab/userfaultfd_ctx_cache/total_objects";
	static const struct {
		const char *text;
		bool is_ruled_out;
	} cases[] = {{"0\n", true},	    {"0 N0=0 N1=0\n", true},
		     {"21 N0=21\n", false}, {"07\n", false},
		     {"", false},	    {"0", false}};
	struct tree *t = *state;

	put_link(t, "proc/77/fd/11", "anon_inode:[userfaultfd]");
	put_process(t, "");
	assert_false(host_rules_out_userfaultfd(&t->sys)); /* no such file */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		(void)unlinkat(t->sys.rootfd, file, 0);
		put(t, file, cases[i].text);
		assert_int_equal(host_rules_out_userfaultfd(&t->sys), cases[i].is_ruled_out);
		assert_int_equal(host_has_userfaultfd(&t->sys), !cases[i].is_ruled_out);
	}
}

static void vanished_process_is_an_outcome(void **state)
{
	struct tree *t = *state;
	struct process p = PROCESS_INIT;

	put_process(t, "100000000-140000000 rw-p 0 00:00 0\n");
	assert_int_equal(process_open(&t->sys, 78, &p), -ESRCH);
	t->is_dead = true;
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), -ESRCH);
	assert_int_equal(survey(t, false), -ESRCH);
	assert_int_equal(t->snapshot.n_regions, 0);
	assert_false(host_has_userfaultfd(&t->sys));
}

static void size_is_checked_cheaply(void **state)
{
	struct tree *t = *state;

	put_process(t, "");
	assert_false(process_is_smaller_than(&t->sys, 77, 4 * GIB));
	assert_true(process_is_smaller_than(&t->sys, 77, 4 * GIB + 4096));
	assert_true(process_is_smaller_than(&t->sys, 78, 1));
}

#define SCOPE "sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dvm1.scope"

static void headroom_is_the_least_of_all_parents(void **state)
{
	struct tree *t = *state;

	put_process(t, plain);
	assert_int_equal(survey(t, false), 0);
	assert_true(t->snapshot.vm.memcg_headroom_bytes == UINT64_MAX);
	put(t, SCOPE "/libvirt/emulator/memory.max", "max\n");
	put(t, SCOPE "/libvirt/emulator/memory.current", "1000\n");
	put(t, SCOPE "/memory.max", "50000\n");
	put(t, SCOPE "/memory.current", "10000\n");
	put(t, "sys/fs/cgroup/machine.slice/memory.max", "100000\n");
	put(t, "sys/fs/cgroup/machine.slice/memory.current", "70000\n");
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.vm.memcg_headroom_bytes, 30000);
	put(t, "sys/fs/cgroup/machine.slice/memory.current", "170000\n");
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.vm.memcg_headroom_bytes, 0);
	put(t, "proc/77/cgroup", "0::/../outside\n");
	assert_int_equal(survey(t, false), 0);
	assert_true(t->snapshot.vm.memcg_headroom_bytes == UINT64_MAX);
}

static void headroom_of_version_1_is_read(void **state)
{
	struct tree *t = *state;

	put_process(t, plain);
	put(t, "proc/77/cgroup", "5:cpu,memory:/vms/one\n1:name=systemd:/\n0::/\n");
	put(t, "proc/self/mountinfo",
	    "30 24 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	    "31 24 0:41 /vms /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put(t, "sys/fs/cgroup/memory/one/memory.limit_in_bytes", "9223372036854771712\n");
	put(t, "sys/fs/cgroup/memory/one/memory.usage_in_bytes", "5\n");
	assert_int_equal(survey(t, false), 0);
	assert_true(t->snapshot.vm.memcg_headroom_bytes == UINT64_MAX);
	put(t, "sys/fs/cgroup/memory/one/memory.limit_in_bytes", "8192\n");
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.vm.memcg_headroom_bytes, 8187);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(vm_is_identified),
		TREE_TEST(a_guest_of_sev_is_known_by_the_device),
		TREE_TEST(name_comes_from_qemu_then_comm),
		TREE_TEST(a_guest_of_libvirt_is_known_by_its_monitor),
		TREE_TEST(a_static_program_is_told_from_others),
		TREE_TEST(prctl_and_uffd_are_seen),
		TREE_TEST(allowed_nodes_are_read),
		TREE_TEST(long_lists_of_nodes_are_read),
		TREE_TEST(allowed_nodes_are_refreshed),
		TREE_TEST(empty_slab_cache_rules_uffd_out),
		TREE_TEST(vanished_process_is_an_outcome),
		TREE_TEST(size_is_checked_cheaply),
		TREE_TEST(headroom_is_the_least_of_all_parents),
		TREE_TEST(headroom_of_version_1_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
