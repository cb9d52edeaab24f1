/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: KVM makes a directory TID-FD for each VM, after the thread that created it
 * and the file descriptor that it got (KERNEL.md 5.1). Threads end, and their ids are given to
 * others; so a directory is a process's only if it has both such a thread and, at that number, a
 * VM. Nothing is ever written there: a 0 would reset a counter. */
#include "kvm_debugfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "parse.h"

#define KVM_DIRECTORY "sys/kernel/debug/kvm"

/* A host has one entry for each VM and some 50 files of its own; and half a sum is none. */
enum { ENTRIES_MAX = 65536 };

const char *const kvm_debugfs_files[KVM_DEBUGFS_FILES] = {
	"pages_4k",
	"pages_2m",
	"pages_1g",
	"nx_lpage_splits",
};

/* So that no number of bytes overflows. */
#define PAGES_MAX (UINT64_MAX >> 30)

/* Only as the kernel writes it: what is read later is named by the numbers. */
static bool parse_name(const char *name, struct kvm_debugfs_vm *ret)
{
	struct scanner s = {.at = name, .end = name + strlen(name)};
	static const char head[] = KVM_DIRECTORY "/";

	if (!scan_u64(&s, &ret->tid) || !scan_char(&s, '-') || !scan_u64(&s, &ret->fd))
		return false;
	(void)snprintf(ret->path, sizeof(ret->path), "%s%llu-%llu", head,
		       (unsigned long long)ret->tid, (unsigned long long)ret->fd);
	return strcmp(ret->path + sizeof(head) - 1, name) == 0;
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

static int take_entry(const char *name, const struct process *p, size_t max,
		      struct kvm_debugfs_vm **vms, size_t *n)
{
	struct kvm_debugfs_vm vm;

	if (!parse_name(name, &vm) || !has_thread(p, vm.tid) || !holds_vm(p, vm.fd))
		return 0;
	return *n < max ? ARRAY_APPEND(vms, n, &vm) : -E2BIG;
}

int kvm_debugfs_list(struct sys *sys, const struct process *p, size_t max,
		     struct kvm_debugfs_vm **ret, size_t *ret_n)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_free_ struct kvm_debugfs_vm *vms = NULL;
	struct dirent *entry;
	size_t n = 0;
	int r = sys_opendir_at(sys->rootfd, KVM_DIRECTORY, &dir);

	for (int i = 0; r == 0 && (entry = readdir(dir)); i++)
		r = i < ENTRIES_MAX ? take_entry(entry->d_name, p, max, &vms, &n) : -E2BIG;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(vms);
	*ret_n = n;
	return 0;
}

static int add_number(int rootfd, const char *directory, const char *name, uint64_t *sum)
{
	char path[96];
	uint64_t value;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	r = sys_read_number_at(rootfd, path, &value);
	if (r < 0)
		return r;
	if (value > PAGES_MAX - *sum)
		return -ERANGE;
	*sum += value;
	return 0;
}

static int add_vm(int rootfd, const struct kvm_debugfs_vm *vm, struct kvm_counts *counts)
{
	/* As kvm_debugfs_files[]. */
	uint64_t *const sums[KVM_DEBUGFS_FILES] = {&counts->pages_4k, &counts->pages_2m,
						   &counts->pages_1g, &counts->nx_splits};
	int r = 0;

	for (size_t i = 0; r == 0 && i < KVM_DEBUGFS_FILES; i++)
		r = add_number(rootfd, vm->path, kvm_debugfs_files[i], sums[i]);
	return r;
}

int kvm_debugfs_read(struct sys *sys, const struct process *p, struct kvm_counts *ret)
{
	struct kvm_counts counts = {.source = KVM_SOURCE_DEBUGFS};
	_cleanup_free_ struct kvm_debugfs_vm *vms = NULL;
	size_t n = 0;
	int r = kvm_debugfs_list(sys, p, ENTRIES_MAX, &vms, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_vm(sys->rootfd, &vms[i], &counts);
	if (r < 0)
		return r;
	if (n == 0)
		return -ENOENT;
	counts.read_ns = sys->ops->now_ns(sys);
	*ret = counts;
	return 0;
}
