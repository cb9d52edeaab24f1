/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Identity and regions of made-up processes below a temporary root. */
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

#include "backing.h"
#include "hostfacts.h"
#include "inventory.h"
#include "memcg.h"
#include "tree.h"

#define GIB (UINT64_C(1) << 30)

struct tree {
	char path[TREE_PATH_MAX];
	struct sys sys;
	struct process process;
	struct snapshot snapshot;
	unsigned probes;
	hva_t refused; /* the probe answers EINVAL at this address */
	bool is_dead;
};

static int fake_pidfd_open(struct sys *sys, pid_t pid)
{
	(void)sys, (void)pid;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int fake_is_alive(struct sys *sys, int pidfd)
{
	(void)pidfd;
	return !((struct tree *)sys->userdata)->is_dead;
}

static ssize_t fake_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes)
{
	struct tree *t = sys->userdata;

	(void)pidfd, (void)pid;
	assert_int_equal(bytes, 4096);
	assert_int_equal(start % (2 << 20), 0);
	t->probes++;
	return start == t->refused ? -EINVAL : (ssize_t)bytes;
}

static uint64_t fake_page_bytes(struct sys *sys)
{
	(void)sys;
	return 4096;
}

static int fake_release(struct sys *sys, char *buffer, size_t size)
{
	(void)sys;
	(void)snprintf(buffer, size, "6.18.0-test");
	return 0;
}

static const struct sys_ops fake_ops = {
	.pidfd_open = fake_pidfd_open,
	.pidfd_is_alive = fake_is_alive,
	.collapse = fake_collapse,
	.page_bytes = fake_page_bytes,
	.release = fake_release,
};

static void put(struct tree *t, const char *path, const char *text)
{
	tree_put(t->sys.rootfd, path, text);
}

static void put_link(struct tree *t, const char *path, const char *target)
{
	tree_put_link(t->sys.rootfd, path, target);
}

static int start(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	t->sys = (struct sys){
		.rootfd = tree_open(t->path, "tree"),
		.kpageflags_fd = -EBADF,
		.ops = &fake_ops,
		.userdata = t,
	};
	t->process = (struct process)PROCESS_INIT;
	t->snapshot = (struct snapshot)SNAPSHOT_INIT;
	t->snapshot.geometry = (struct mmu_geometry){12, 9, 18};
	t->snapshot.host.features = FEATURE_ELIGIBILITY_PROBE | FEATURE_COLLAPSE;
	*state = t;
	return 0;
}

static int stop(void **state)
{
	struct tree *t = *state;

	process_close(&t->process);
	snapshot_clear(&t->snapshot);
	sys_close(&t->sys);
	tree_remove(t->path);
	free(t);
	return 0;
}

static void put_process(struct tree *t, const char *maps)
{
	put(t, "proc/77/stat",
	    "77 (qemu-system-x86) S 1 2 3 0 -1 4194560 901 11 0 0 1 2 3 4 20 0 1 0 5555 6 7 9 "
	    "94000 "
	    "95000 140000 0 0\n");
	put(t, "proc/77/statm", "1048576 20 3 4 0 6 0\n");
	put(t, "proc/77/status", "Name:\tq\nUid:\t0\t64055\t0\t0\nTHP_enabled:\t1\n");
	put(t, "proc/77/comm", "qemu-system-x86\n");
	put(t, "proc/77/cgroup",
	    "0::/machine.slice/machine-qemu\\x2d1\\x2dvm1.scope/libvirt/emulator\n");
	put(t, "proc/77/cmdline", "");
	put(t, "proc/77/ksm_merging_pages", "0\n");
	put(t, "proc/77/maps", maps);
	put_link(t, "proc/77/exe", "/usr/bin/qemu-system-x86_64");
	put_link(t, "proc/77/fd/3", "anon_inode:[eventfd]");
	put(t, "proc/self/mountinfo",
	    "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	    "25 24 0:23 / /dev/shm rw,relatime shared:4 - tmpfs tmpfs rw\n"
	    "26 24 0:6 / /dev rw - devtmpfs udev rw\n"
	    "27 24 0:30 / /dev/hugepages rw - hugetlbfs hugetlbfs rw\n"
	    "28 24 259:1 / /pmem rw - xfs /dev/pmem0 rw,attr2,dax=always,inode64\n"
	    "29 24 259:2 / /old rw - ext4 /dev/pmem1 rw,dax=never\n"
	    "30 24 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	assert_int_equal(process_open(&t->sys, 77, &t->process), 0);
	assert_int_equal(vm_identify(&t->sys, &t->process, &t->snapshot.vm), 0);
}

static int survey(struct tree *t, bool want_flags)
{
	struct survey_options o = {.min_region_bytes = 64 << 20, .want_flags = want_flags};

	return region_survey(&t->sys, &t->process, &o, &t->snapshot);
}

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

static const struct region *region_at(const struct tree *t, hva_t start)
{
	for (size_t i = 0; i < t->snapshot.n_regions; i++)
		if (t->snapshot.regions[i].start == start)
			return &t->snapshot.regions[i];
	return NULL;
}

static void backings_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum backing backing;
		bool obeys_size_knob;
	} cases[] = {
		{"rw-p 00000000 00:00 0", BACKING_ANON, false},
		{"rw-p 00000000 00:00 0    [anon:guest ram]", BACKING_ANON, false},
		{"rw-s 00000000 00:01 5    /memfd:pc.ram (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    /dev/zero (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    [anon_shmem:x]", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    /SYSV00000000 (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:17 5    /dev/shm/guest", BACKING_SHMEM, false},
		{"rw-s 00000000 00:17 5    /dev/shm/guest (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:17 5    /anywhere/else", BACKING_SHMEM, false},
		{"rw-s 00000000 00:0f 5    /anon_hugepage (deleted)", BACKING_HUGETLB, false},
		{"rw-s 00000000 00:1e 5    /dev/hugepages/g", BACKING_HUGETLB, false},
		{"rw-s 00000000 103:01 5   /pmem/g", BACKING_FSDAX, false},
		{"rw-s 00000000 103:02 5   /old/g", BACKING_FILE, false},
		{"rw-s 00000000 08:01 5    /var/g", BACKING_FILE, false},
		{"rw-p 00000000 08:01 5    /memfd:forged", BACKING_FILE, false},
		{"rw-s 00000000 00:06 5    /dev/dax0.0", BACKING_DEVDAX, false},
		{"rw-s 00000000 00:06 5    /dev/nvidia0", BACKING_SPECIAL, false},
		{"rw-s 00000000 00:01 5    /secretmem (deleted)", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    anon_inode:[guest_memfd]", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    [guest_memfd]", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    /dmabuf:", BACKING_FILE, false},
	};
	struct tree *t = *state;
	char maps[4096] = "";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(maps);

		(void)snprintf(maps + n, sizeof(maps) - n, "%llx-%llx %s\n",
			       (unsigned long long)((i + 1) * 2 * GIB),
			       (unsigned long long)((i + 1) * 2 * GIB + GIB / 2), cases[i].line);
	}
	put_process(t, maps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct region *r = region_at(t, (i + 1) * 2 * GIB);

		if (!r || r->backing != cases[i].backing ||
		    r->is_unlinked_or_memfd != cases[i].obeys_size_knob)
			fail_msg("%s: taken for %s", cases[i].line,
				 backing_name(r ? r->backing : 0));
		/* Memory that is never touched is not even asked about. */
		assert_int_equal(r->eligibility == ELIGIBILITY_YES,
				 r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
					 r->backing == BACKING_FILE);
	}
}

static void only_large_data_is_guest_ram(void **state)
{
	struct tree *t = *state;

	put_process(t, "100000000-104000000 rw-p 00000000 00:00 0\n"
		       "200000000-203fff000 rw-p 00000000 00:00 0\n"
		       "300000000-340000000 r--p 00000000 00:00 0\n"
		       "400000000-440000000 rwxp 00000000 00:00 0\n"
		       "500000000-540000000 ---p 00000000 00:00 0\n"
		       "600000000-640000000 rw-p 00000000 00:00 0 [heap]\n"
		       "700000000-740000000 rw-p 00000000 00:00 0 [stack]\n"
		       "not a line\n"
		       "800000000-840000000 rw-p 00000000 00:00 0\n"
		       "840000000-880000000 rw-p 00000000 00:00 0\n"
		       "100000000-140000000 rw-p 00000000 00:00 0\n");
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, 3);
	assert_non_null(region_at(t, 0x100000000));
	assert_non_null(region_at(t, 0x800000000));
	assert_non_null(region_at(t, 0x840000000));
	assert_int_equal(snapshot_validate(&t->snapshot, NULL), 0);
}

static const char misaligned[] =
	"7f00001ff000-7f00401ff000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n";

/* Why it is refused is known from its address: no walk of 13 ms per GiB for that. */
static void misaligned_region_needs_no_smaps(void **state)
{
	struct tree *t = *state;

	put_process(t, misaligned);
	put(t, "proc/77/smaps",
	    "7f00001ff000-7f00401ff000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
	    "VmFlags: rd wr nh\n");
	t->refused = 0x7f0000200000;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.regions[0].eligibility, ELIGIBILITY_NO);
	assert_false(t->snapshot.regions[0].are_flags_known);
	assert_int_equal(region_misalignment(&t->snapshot.regions[0], &t->snapshot.geometry),
			 0x1ff000);
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.regions[0].are_flags_known);
}

static const char plain[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n";
static const char plain_smaps[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
				  "Rss:    4 kB\n"
				  "VmFlags: rd wr nh\n";

static void smaps_is_read_on_a_hint_only(void **state)
{
	struct tree *t = *state;
	struct snapshot *s = &t->snapshot;

	put_process(t, plain);
	put(t, "proc/77/smaps", plain_smaps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->probes, 1);
	assert_false(s->regions[0].are_flags_known);
	t->refused = 0x100000000;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(s->regions[0].eligibility, ELIGIBILITY_NO);
	assert_true(s->regions[0].are_flags_known);
	assert_int_equal(s->regions[0].flags, VMA_FLAG_NH);
	t->refused = 0;
	s->host.is_uffd_seen = true;
	assert_int_equal(survey(t, false), 0);
	assert_true(s->regions[0].are_flags_known);
	s->host.is_uffd_seen = false;
	s->host.features = 0;
	t->probes = 0;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->probes, 0);
	assert_int_equal(s->regions[0].eligibility, ELIGIBILITY_UNKNOWN);
	assert_true(s->regions[0].are_flags_known);
}

static void unreadable_smaps_leaves_flags_unknown(void **state)
{
	struct tree *t = *state;

	put_process(t, plain);
	assert_int_equal(survey(t, true), 0);
	assert_int_equal(t->snapshot.n_regions, 1);
	assert_false(t->snapshot.regions[0].are_flags_known);
}

static const char devdax[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
			     "200000000-280000000 rw-s 00000000 00:06 5 /dev/dax0.0\n";

static void gigabyte_device_dax_is_never_walked(void **state)
{
	struct tree *t = *state;

	put_process(t, devdax);
	put(t, "proc/77/smaps", plain_smaps);
	put(t, "sys/bus/dax/devices/dax0.0/align", "1073741824\n");
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.vm.has_device_dax_1g);
	assert_false(t->snapshot.regions[0].are_flags_known);
	assert_int_equal(t->snapshot.regions[1].backing, BACKING_DEVDAX);
	put(t, "sys/bus/dax/devices/dax0.0/align", "2097152\n");
	assert_int_equal(survey(t, true), 0);
	assert_false(t->snapshot.vm.has_device_dax_1g);
	assert_true(t->snapshot.regions[0].are_flags_known);
}

static void device_dax_of_unknown_alignment_counts_as_gigabyte(void **state)
{
	struct tree *t = *state;

	put_process(t, devdax);
	put(t, "proc/77/smaps", plain_smaps);
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.vm.has_device_dax_1g);
	assert_false(t->snapshot.regions[0].are_flags_known);
}

static void too_many_regions_are_cut(void **state)
{
	struct tree *t = *state;
	size_t n = SNAPSHOT_REGIONS_MAX + 5, size = n * 64;
	char *maps = malloc(size);
	size_t used = 0;

	assert_non_null(maps);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(maps + used, size - used,
					 "%llx-%llx rw-p 00000000 00:00 0\n",
					 (unsigned long long)((2 * i + 1) << 26),
					 (unsigned long long)((2 * i + 2) << 26));
	put_process(t, maps);
	free(maps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, SNAPSHOT_REGIONS_MAX);
	assert_true(t->snapshot.is_truncated);
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

static void knobs_of_a_recorded_host_are_read(void **state)
{
#define THP "sys/kernel/mm/transparent_hugepage/"
	struct tree *t = *state;
	struct mmu_geometry g;
	struct host h = {0};

	assert_int_equal(host_read_geometry(&t->sys, &g), -EOPNOTSUPP);
	put(t, THP "hpage_pmd_size", "2097152\n");
	assert_int_equal(host_read_geometry(&t->sys, &g), 0);
	assert_int_equal(g.pmd_order, 9);
	assert_int_equal(g.pud_order, 18);
	assert_int_equal(host_read_knobs(&t->sys, &g, &h), 0);
	assert_int_equal(h.shmem_global, SHMEM_KNOB_ABSENT);
	assert_int_equal(h.cpus, 0);
	put(t, THP "enabled", "always [madvise] never\n");
	put(t, THP "shmem_enabled", "always within_size advise never [deny] force\n");
	put(t, THP "hugepages-2048kB/shmem_enabled", "always [inherit] within_size advise never\n");
	put(t, "sys/kernel/mm/ksm/run", "1\n");
	put(t, "sys/devices/system/cpu/online", "0-3,8,10-11\n");
	assert_int_equal(host_read_knobs(&t->sys, &g, &h), 0);
	assert_string_equal(h.thp_enabled, "madvise");
	assert_int_equal(h.shmem_global, SHMEM_KNOB_DENY);
	assert_int_equal(h.shmem_block, SHMEM_KNOB_INHERIT);
	assert_true(h.is_ksm_running);
	assert_int_equal(h.cpus, 7);
	assert_string_equal(h.kernel_release, "6.18.0-test");
}

static void free_blocks_are_counted_per_node(void **state)
{
	struct tree *t = *state;
	struct host h = {0};

	put(t, "proc/meminfo",
	    "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\nX\n");
	put(t, "proc/buddyinfo",
	    "Node 0, zone      DMA      1      0      0      0      0      0      0      0      0  "
	    "    2      3 \n"
	    "Node 0, zone   Normal      0      0      0      0      0      0      0      0      0  "
	    "    1      0 \n"
	    "Node 1, zone   Normal      5      0      0      0      0      0      0      0      0  "
	    "    0      1 \n"
	    "Node x, zone\nnonsense\n");
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, &h), 0);
	assert_int_equal(h.mem_total_bytes, 1000 * 1024);
	assert_int_equal(h.mem_available_bytes, 500 * 1024);
	assert_int_equal(h.n_nodes, 2);
	assert_int_equal(h.nodes[0].free_block_bytes, (3 + 3 * 2) * (2 << 20));
	assert_int_equal(h.nodes[0].free_bytes, (3 + 3 * 2) * (2 << 20) + 4096);
	assert_int_equal(h.nodes[1].id, 1);
	assert_int_equal(h.nodes[1].free_block_bytes, 4 << 20);
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, &h), 0);
	assert_int_equal(h.n_nodes, 2);
}

/* Node 0: 14 MiB free in the zone DMA, 12 of them in blocks; 100 blocks and a page in DMA32. Node
 * 1: 3 blocks. */
#define FREE_ZONES                                        \
	"Node 0, zone      DMA 0 0 0 0 0 0 0 0 2 0 3 \n"  \
	"Node 0, zone    DMA32 1 0 0 0 0 0 0 0 0 0 50 \n" \
	"Node 1, zone   Normal 0 0 0 0 0 0 0 0 0 1 1 \n"

static void read_zones(struct tree *t, struct host *h, const char *zoneinfo)
{
	put(t, "proc/buddyinfo", FREE_ZONES);
	put(t, "proc/zoneinfo", zoneinfo);
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, h), 0);
}

static void what_zones_keep_is_not_free(void **state)
{
	struct tree *t = *state;
	struct host h = {0};

	/* 3500 of 3584 free pages are kept; of DMA32 a page less than two blocks, and the page is
	 * there; of Normal nothing but what is for the zone above, which has no memory. */
	read_zones(t, &h,
		   "Node 0, zone      DMA\n"
		   "  per-node stats\n"
		   "      nr_low 7\n"
		   "  pages free     3584\n"
		   "        boost    0\n"
		   "        min      1\n"
		   "        low      500\n"
		   "        high     1000\n"
		   "        managed  3840\n"
		   "        protection: (0, 2000, 3000)\n"
		   "  pagesets\n"
		   "    cpu: 0\n"
		   "              low  999999\n"
		   "Node 0, zone    DMA32\n"
		   "        low      1024\n"
		   "        protection: (0, 0, 1)\n"
		   "Node 0, zone   Normal\n"
		   "        low      999999\n"
		   "        protection: (0, 0, 0)\n"
		   "Node 1, zone    DMA32\n"
		   "        low      999999\n"
		   "        protection: (0, 0, 0)\n"
		   "Node 1, zone   Normal\n"
		   "        low      511\n"
		   "        protection: (0, 0, 0)\n");
	assert_int_equal(h.nodes[0].free_block_bytes, 98 * (2 << 20));
	assert_int_equal(h.nodes[0].free_bytes, (14 << 20) + 100 * (2 << 20) + 4096);
	assert_int_equal(h.nodes[1].free_block_bytes, 2 * (2 << 20));
}

static void zones_that_tell_nothing_keep_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"Node 0, zone",
		"Node 0, zone      DMA\n",
		"Node 0, zone      DMA\n        protection: (0, 0\n",
		"Node 0, zone      DMA\n        low x\n        protection: x\n",
		"Node 7, zone      DMA\n        low 5000\n        protection: (0, 5000)\n",
		"Node 0, zone     DMAX\n        low 5000\n        protection: (0, 5000)\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct host h = {0};

		read_zones(*state, &h, texts[i]);
		assert_int_equal(h.nodes[0].free_block_bytes, 106 * (2 << 20));
		assert_int_equal(h.nodes[1].free_block_bytes, 3 * (2 << 20));
	}
}

static void a_zone_may_keep_all_there_is(void **state)
{
	struct host h = {0};

	read_zones(*state, &h,
		   "Node 0, zone    DMA32\n        low 1\n"
		   "        protection: (0, 18446744073709551615)\n");
	assert_int_equal(h.nodes[0].free_block_bytes, 6 * (2 << 20));
}

int main(void)
{
#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TREE_TEST(vm_is_identified),
		TREE_TEST(name_comes_from_qemu_then_comm),
		TREE_TEST(prctl_and_uffd_are_seen),
		TREE_TEST(allowed_nodes_are_read),
		TREE_TEST(long_lists_of_nodes_are_read),
		TREE_TEST(allowed_nodes_are_refreshed),
		TREE_TEST(empty_slab_cache_rules_uffd_out),
		TREE_TEST(vanished_process_is_an_outcome),
		TREE_TEST(size_is_checked_cheaply),
		TREE_TEST(backings_are_told_apart),
		TREE_TEST(only_large_data_is_guest_ram),
		TREE_TEST(misaligned_region_needs_no_smaps),
		TREE_TEST(smaps_is_read_on_a_hint_only),
		TREE_TEST(unreadable_smaps_leaves_flags_unknown),
		TREE_TEST(gigabyte_device_dax_is_never_walked),
		TREE_TEST(device_dax_of_unknown_alignment_counts_as_gigabyte),
		TREE_TEST(too_many_regions_are_cut),
		TREE_TEST(headroom_is_the_least_of_all_parents),
		TREE_TEST(headroom_of_version_1_is_read),
		TREE_TEST(knobs_of_a_recorded_host_are_read),
		TREE_TEST(free_blocks_are_counted_per_node),
		TREE_TEST(what_zones_keep_is_not_free),
		TREE_TEST(zones_that_tell_nothing_keep_nothing),
		TREE_TEST(a_zone_may_keep_all_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
