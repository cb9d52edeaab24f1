/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A process, and what else a survey reads, made up below a temporary root. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "inventory.h"
#include "tree.h"

#define GIB (UINT64_C(1) << 30)

/* Guest RAM of a GiB, and nothing else. */
static const char plain[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n";

struct tree {
	char path[TREE_PATH_MAX];
	struct sys sys;
	struct process process;
	struct snapshot snapshot;
	unsigned probes;
	hva_t refused; /* the probe answers EINVAL at this address */
	bool is_dead;
};

static inline int fake_pidfd_open(struct sys *sys, pid_t pid)
{
	(void)sys, (void)pid;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static inline int fake_is_alive(struct sys *sys, int pidfd)
{
	(void)pidfd;
	return !((struct tree *)sys->userdata)->is_dead;
}

static inline ssize_t fake_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start,
				    uint64_t bytes)
{
	struct tree *t = sys->userdata;

	(void)pidfd, (void)pid;
	assert_int_equal(bytes, 4096);
	assert_int_equal(start % (2 << 20), 0);
	t->probes++;
	return start == t->refused ? -EINVAL : (ssize_t)bytes;
}

static inline uint64_t fake_page_bytes(struct sys *sys)
{
	(void)sys;
	return 4096;
}

static inline int fake_release(struct sys *sys, char *buffer, size_t size)
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

static inline void put(struct tree *t, const char *path, const char *text)
{
	tree_put(t->sys.rootfd, path, text);
}

static inline void put_link(struct tree *t, const char *path, const char *target)
{
	tree_put_link(t->sys.rootfd, path, target);
}

static inline int start(void **state)
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

static inline int stop(void **state)
{
	struct tree *t = *state;

	process_close(&t->process);
	snapshot_clear(&t->snapshot);
	sys_close(&t->sys);
	tree_remove(t->path);
	free(t);
	return 0;
}

static inline void put_process(struct tree *t, const char *maps)
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

static inline int survey(struct tree *t, bool want_flags)
{
	struct survey_options o = {.min_region_bytes = 64 << 20, .want_flags = want_flags};

	return region_survey(&t->sys, &t->process, &o, &t->snapshot);
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
