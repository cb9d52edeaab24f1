/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: KVM makes a directory TID-FD for each VM, after the thread that created it
 * and the file descriptor that it got (KERNEL.md 5.1). Threads end, and their ids are given to
 * others; so a directory is a process's only if it has both such a thread and, at that number, a
 * VM. Nothing is ever written there: a 0 would reset a counter. */
#include "kvm_debugfs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bits.h"
#include "cleanup.h"
#include "parse.h"

static const char kvm_directory[] = "sys/kernel/debug/kvm";

/* A host has one entry for each VM and some 50 files of its own; and half a sum is none. */
enum { ENTRIES_MAX = 65536 };

/* So that no number of bytes overflows. */
#define PAGES_MAX (UINT64_MAX >> 30)

static bool parse_name(const char *name, uint64_t *ret_tid, uint64_t *ret_fd)
{
	struct scanner s = {.at = name, .end = name + strlen(name)};

	return scan_u64(&s, ret_tid) && scan_char(&s, '-') && scan_u64(&s, ret_fd) && s.at == s.end;
}

static bool has_thread(const struct process *p, uint64_t tid)
{
	_cleanup_close_ int fd = -EBADF;
	char path[48];

	(void)snprintf(path, sizeof(path), "task/%llu", (unsigned long long)tid);
	fd = sys_open_directory_at(p->dirfd, path);
	return fd >= 0;
}

static bool holds_vm(const struct process *p, uint64_t fd)
{
	char path[48], target[64];

	(void)snprintf(path, sizeof(path), "fd/%llu", (unsigned long long)fd);
	return sys_readlink_at(p->dirfd, path, target, sizeof(target)) > 0 &&
	       strcmp(target, "anon_inode:kvm-vm") == 0;
}

static int add_number(int dirfd, const char *directory, const char *name, uint64_t *sum)
{
	char path[300];
	uint64_t value;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	r = sys_read_number_at(dirfd, path, &value);
	if (r < 0)
		return r;
	if (value > PAGES_MAX - *sum)
		return -ERANGE;
	*sum += value;
	return 0;
}

static int add_vm(int dirfd, const char *directory, struct kvm_counts *counts)
{
	const struct {
		const char *name;
		uint64_t *sum;
	} files[] = {
		{"pages_4k", &counts->pages_4k},
		{"pages_2m", &counts->pages_2m},
		{"pages_1g", &counts->pages_1g},
		{"nx_lpage_splits", &counts->nx_splits},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
		r = add_number(dirfd, directory, files[i].name, files[i].sum);
	return r;
}

static int take_entry(int dirfd, const char *name, const struct process *p,
		      struct kvm_counts *counts)
{
	uint64_t tid, fd;
	int r;

	if (!parse_name(name, &tid, &fd) || !has_thread(p, tid) || !holds_vm(p, fd))
		return 0;
	r = add_vm(dirfd, name, counts);
	if (r == 0)
		counts->source = KVM_SOURCE_DEBUGFS;
	return r;
}

int kvm_debugfs_read(struct sys *sys, const struct process *p, struct kvm_counts *ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct kvm_counts counts = {.source = KVM_SOURCE_NONE};
	struct dirent *entry;
	int r = sys_opendir_at(sys->rootfd, kvm_directory, &dir);

	for (int n = 0; r == 0 && (entry = readdir(dir)); n++)
		r = n < ENTRIES_MAX ? take_entry(dirfd(dir), entry->d_name, p, &counts) : -E2BIG;
	if (r < 0)
		return r;
	if (counts.source == KVM_SOURCE_NONE)
		return -ENOENT;
	counts.read_ns = sys->ops->now_ns(sys);
	*ret = counts;
	return 0;
}
