/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How KVM maps a VM's memory, by its binary statistics (Linux 5.14). */

#include <stddef.h>
#include <stdint.h>

#include "registry.h"

struct kvm_stats {
	uint64_t pages_4k, pages_2m, pages_1g, nx_splits;
};

/* Out of the whole file. 0; -EPROTO: it is none; -ENOENT: pages are not counted there. */
int kvm_stats_parse(const void *bytes, size_t n, struct kvm_stats *ret);

/* Of a VM, now. 0; -ENOENT: there is no such VM, or pages are not counted there; else what KVM
 * said. errno stays. */
int kvm_stats_read(struct registry *r, uint32_t vm, struct kvm_stats *ret);
