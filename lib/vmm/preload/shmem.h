/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "place.h"

/* What the kernel may map by huge pages of shared memory: a file in the memory of a tmpfs, as memfd
 * and /dev/shm are, mapped shared; or shared memory without a file. hugetlb is neither. */
bool shmem_is_shared(const struct place_request *q);

/* Without a file. The kernel looks at neither descriptor nor offset then. */
bool shmem_is_anonymous(const struct place_request *q);

/* Of shared memory, where in its file the mapping starts. */
uint64_t shmem_offset(const struct place_request *q);
