/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A KVM that remembers what memslots it was told of, in the order of the calls, and fails where it
 * is told to. One a test program. */

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "registry.h"

enum { FAKE_CALLS = 512, FAKE_SET_REGION2 = 0x40a0ae49 };

static struct {
	struct kvm_userspace_memory_region calls[FAKE_CALLS];
	int fds[FAKE_CALLS];
	unsigned int n_calls;		   /* of memslots, the failed ones too */
	unsigned int fail_from, n_failing; /* calls, by their number */
	int error;
	int not_a_vm;	      /* this descriptor */
	int stats_fd;	      /* is handed out as a duplicate */
	void (*during)(void); /* a memslot's call */
} fake_kvm = {.not_a_vm = -1, .stats_fd = -1};

static inline int fake_failure(int error)
{
	errno = error;
	return -1;
}

static inline int fake_set_region(int fd, const struct kvm_userspace_memory_region *m)
{
	unsigned int i = fake_kvm.n_calls++;

	if (i < FAKE_CALLS) {
		fake_kvm.calls[i] = *m;
		fake_kvm.fds[i] = fd;
	}
	if (fake_kvm.during)
		fake_kvm.during();
	if (i >= fake_kvm.fail_from && i - fake_kvm.fail_from < fake_kvm.n_failing)
		return fake_failure(fake_kvm.error);
	return 0;
}

static inline int fake_ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
	case FAKE_SET_REGION2:
		return fake_set_region(fd, argument);
	case KVM_CHECK_EXTENSION:
		return fd == fake_kvm.not_a_vm ? fake_failure(ENOTTY) : 1;
	case KVM_GET_STATS_FD:
		return fake_kvm.stats_fd < 0 ? fake_failure(ENOTTY) : dup(fake_kvm.stats_fd);
	default:
		return 0;
	}
}

static inline void fake_kvm_reset(void)
{
	memset(&fake_kvm, 0, sizeof(fake_kvm));
	fake_kvm.not_a_vm = fake_kvm.stats_fd = -1;
}

/* From now on: the n calls after the next `after` ones. */
static inline void fake_kvm_fail(unsigned int after, unsigned int n, int error)
{
	fake_kvm.fail_from = fake_kvm.n_calls + after;
	fake_kvm.n_failing = n;
	fake_kvm.error = error;
}

/* By the registry, as a VMM: slot `id` (its upper half is the address space) of 2 MiB at gpa and
 * hva id * 2 MiB and 1 TiB above. */
enum { FAKE_SLOT_BYTES = 2 << 20 };

static inline uint64_t fake_hva(uint32_t id)
{
	return (UINT64_C(1) << 40) + (uint64_t)id * FAKE_SLOT_BYTES;
}

static inline int fake_set_slot(struct registry *r, int fd, uint32_t id, uint32_t flags,
				uint64_t bytes)
{
	struct kvm_userspace_memory_region m = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = (uint64_t)(id & UINT16_MAX) * FAKE_SLOT_BYTES,
		.memory_size = bytes,
		.userspace_addr = fake_hva(id),
	};

	return registry_ioctl(r, fd, KVM_SET_USER_MEMORY_REGION, &m);
}

static inline int fake_enable(struct registry *r, int fd, uint32_t cap, uint64_t argument)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {argument}};

	return registry_ioctl(r, fd, KVM_ENABLE_CAP, &c);
}
