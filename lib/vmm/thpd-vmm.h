/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the authors of VMMs: thpd is told of the VM's memslots, may ask what KVM maps, and may have
 * KVM map anew what it maps by small pages. thpd-vmm(3). C99 and C++ clean.
 *
 * Nothing here starts a thread, but for thpd_vmm_populate(), or fails because no thpd is there: it
 * is looked for again now and then. The functions may be called by any thread; a child of fork()
 * may only call thpd_vmm_free(). Errors are negative errno values, and errno is left as it was,
 * unless it says otherwise. */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define THPD_VMM_API __attribute__((visibility("default")))

struct thpd_vmm;

/* The socket of thpd is that of the environment's THPD_VMM_SOCKET, else /run/thpd/vmm. 0, -ENOMEM,
 * -EMFILE, -ENFILE or -ENAMETOOLONG. */
THPD_VMM_API int thpd_vmm_new(struct thpd_vmm **ret);

/* thpd forgets the VMs. NULL is allowed; returns NULL. */
THPD_VMM_API struct thpd_vmm *thpd_vmm_free(struct thpd_vmm *v);

/* To be polled for input (POLLIN), by whatever event loop; thpd_vmm_dispatch() is due then. */
THPD_VMM_API int thpd_vmm_fd(const struct thpd_vmm *v);

/* Does what is due and never waits, but for one nudge: a few ioctls of KVM. */
THPD_VMM_API void thpd_vmm_dispatch(struct thpd_vmm *v);

/* A VM, just made by KVM_CREATE_VM, without a slot; before it is closed it has to be removed. 0;
 * -EEXIST, -ENOSPC: 16 are there, or another VM's number is the same. */
THPD_VMM_API int thpd_vmm_add(struct thpd_vmm *v, int vm_fd);
THPD_VMM_API void thpd_vmm_remove(struct thpd_vmm *v, int vm_fd);

/* Makes an ioctl of a VM: KVM_SET_USER_MEMORY_REGION, KVM_SET_USER_MEMORY_REGION2 and
 * KVM_ENABLE_CAP have to be made by this, for a nudge not to come in between and for thpd to know;
 * others may. Returns what ioctl() does, with errno. */
THPD_VMM_API int thpd_vmm_ioctl(struct thpd_vmm *v, int vm_fd, unsigned long request,
				void *argument);

/* Fills what is empty in the whole 2 MiB blocks of a writable shared mapping of tmpfs memory, whose
 * addresses agree with its file offsets modulo 2 MiB, by huge pages; no byte changes. threads: 0:
 * as many as are of use; they are joined before it returns. 0: all of it is huge. Else what was not
 * made huge is used as ever, and this is why: -ENOMEM no huge page is free; -EBUSY the cgroup is
 * full; -EINVAL the kernel does not do it; -EAGAIN some pages are held by others; -EFAULT the file
 * ends before, or its file system is full. */
THPD_VMM_API int thpd_vmm_populate(void *start, uint64_t bytes, unsigned int threads);

#ifdef __cplusplus
}
#endif
