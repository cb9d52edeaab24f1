/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bits.h"
#include "vm.h"

/* Near its limit a memory cgroup reclaims the guest's own memory before a charge fails (KERNEL
 * B19). */
#define COPY_HEADROOM_BYTES (UINT64_C(64) << 20)

/* What copies in this VM may charge at a time. */
static inline uint64_t headroom_for_copy(const struct vm *vm)
{
	return vm->memcg_headroom_bytes == UINT64_MAX
		       ? UINT64_MAX
		       : sat_sub_u64(vm->memcg_headroom_bytes, COPY_HEADROOM_BYTES);
}
