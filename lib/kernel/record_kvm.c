/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What KVM's debugfs tells of a process, and by what it is known to be that process's: the thread
 * that made the VM, and its descriptor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "kvm_debugfs.h"
#include "record_parts.h"
#include "record_scrub.h"

/* No VMM has more; of one that does nothing is written, since half a sum is none. */
enum { RECORD_VMS_MAX = 256, NUMBER_BYTES_MAX = 64 };

static int copy_number(const struct recorder *r, const char *directory, const char *name)
{
	char path[128], text[NUMBER_BYTES_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	n = sys_read_at(r->sys->rootfd, path, text, sizeof(text));
	return n < 0 ? 0 : record_put(r, path, text, (size_t)n);
}

static int put_thread(const struct recorder *r, const struct process *p, uint64_t tid)
{
	char path[64], comm[64];
	struct text t = TEXT_INIT;

	(void)snprintf(path, sizeof(path), "task/%llu/comm", (unsigned long long)tid);
	if (sys_read_at(p->dirfd, path, comm, sizeof(comm)) <= 0)
		return 0;
	comm[strcspn(comm, "\n")] = '\0';
	text_add(&t, r->scrub ? scrub_comm(comm) : comm);
	text_add(&t, "\n");
	(void)snprintf(path, sizeof(path), "proc/%d/task/%llu/comm", (int)p->pid,
		       (unsigned long long)tid);
	return record_put_text(r, path, &t);
}

/* Among thousands of descriptors it may have been left out. */
static int put_descriptor(const struct recorder *r, const struct process *p, uint64_t fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/fd/%llu", (int)p->pid, (unsigned long long)fd);
	return record_put_link(r, path, "anon_inode:kvm-vm");
}

/* One thread may have made several VMs, and the descriptors were copied before. */
static int unless_there(int err)
{
	return err == -EEXIST ? 0 : err;
}

static int put_vm(const struct recorder *r, const struct process *p,
		  const struct kvm_debugfs_vm *vm)
{
	int e = unless_there(put_thread(r, p, vm->tid));

	if (e == 0)
		e = unless_there(put_descriptor(r, p, vm->fd));
	for (size_t i = 0; e == 0 && i < KVM_DEBUGFS_FILES; i++)
		e = copy_number(r, vm->path, kvm_debugfs_files[i]);
	return e;
}

int record_kvm(const struct recorder *r, const struct process *p)
{
	_cleanup_free_ struct kvm_debugfs_vm *vms = NULL;
	size_t n = 0;
	int e = 0;

	/* Without debugfs, or rights to it, thpd knows nothing either. */
	if (kvm_debugfs_list(r->sys, p, RECORD_VMS_MAX, &vms, &n) < 0)
		return 0;
	for (size_t i = 0; e == 0 && i < n; i++)
		e = put_vm(r, p, &vms[i]);
	return e;
}
