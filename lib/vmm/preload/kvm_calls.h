/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the VMM asks of KVM, and which descriptors it closes, on their way to the kernel: thpd is
 * told of VMs and memslots by a thread that begins with the first VM. THPD_VMM=off: by none. */

#include <pthread.h>
#include <stdbool.h>

#include "registry.h"

typedef int kvm_thread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* How ioctls are made and threads started; reads the environment. Before that nothing is told. */
void kvm_calls_init(registry_ask *ask, kvm_thread_create *create);

/* The VMM tells thpd by itself (thpd-vmm.h), from now on: the thread ends, and nothing is told any
 * more by it. errno stays. */
void kvm_calls_yield(void);

/* Makes the ioctl. */
int kvm_calls_ioctl(int fd, unsigned long request, void *argument);

/* The descriptor is about to be closed, or replaced. false: it is one of the library's own, which
 * the VMM has not opened and cannot mean. */
bool kvm_calls_may_close(int fd);

/* All from first to last are about to be closed. The first of the library's own in there; -1. */
int kvm_calls_before_close_range(unsigned int first, unsigned int last);
