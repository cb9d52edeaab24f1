/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "place.h"

/* Whether a file in the memory of a tmpfs is mapped, as memfd and /dev/shm are, and shared: what
 * the kernel may map by huge pages of shared memory. hugetlb has a file system of its own. */
bool shmem_is_shared(const struct place_request *q);
