/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A virtual machine as the host sees it: a VMM process. Every text here came from a hostile
 * process: bounded, printable ASCII only (vm_sanitize). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node_set.h"
#include "storage.h"

enum { VM_TEXT_MAX = 128 };

struct vm {
	pid_t pid;
	uint64_t starttime; /* field 22 of /proc/PID/stat: with pid the identity of the process */
	uid_t uid;
	char name[VM_TEXT_MAX]; /* machine name in the cgroup, else QEMU's -name, else comm */
	char uuid[37];		/* QEMU's -uuid, or "" */
	char comm[16];
	char exe[256];	  /* link target of /proc/PID/exe, or "" */
	char cgroup[256]; /* path in the unified or the memory hierarchy, or "" */
	bool has_kvm;	  /* holds an anon_inode:kvm-vm fd */
	bool has_uffd;	  /* holds a userfaultfd */
	bool has_vfio;	  /* holds /dev/vfio/ or /dev/iommu */
	bool has_sev;	  /* holds /dev/sev and no guest_memfd: the guest is one of SEV or SEV-ES,
			     all of whose memory KVM has pinned */
	bool has_device_dax_1g; /* some VMA is device-dax with 1 GiB alignment: smaps must not be
				   read */
	bool is_restored;	/* started to take over another VM's memory, or an image's */
	bool is_of_libvirt;	/* QEMU was given libvirt's monitor */
	bool has_guest_nodes;	/* QEMU was told of several nodes of the guest */
	enum answer is_static;	/* no shared object is in it: it loads no library */
	enum answer is_logged_for_life; /* it was told to let KVM log all that the guest writes
					   (Firecracker: track_dirty_pages) */
	bool is_thp_disabled;	   /* PR_SET_THP_DISABLE (THP_enabled: 0 in /proc/PID/status) */
	node_set_t allowed_nodes;  /* where it may have memory (cpuset.mems); 0: not known */
	node_set_t bound_nodes;	   /* where its VMM was told to bind its memory; 0: nowhere */
	uint64_t age_ns;	   /* of the process, at the last survey; UINT64_MAX: not known */
	uint64_t ksm_merged_pages; /* /proc/PID/ksm_merging_pages; 0 if unreadable */
	uint64_t memcg_headroom_bytes; /* smallest max - current over the cgroup and its parents;
					  UINT64_MAX = no limit or unknown */
};

/* Copies text into dst (size bytes), replacing what is not printable ASCII by '?', always
 * terminated. */
void vm_sanitize(char *dst, size_t size, const char *text);
