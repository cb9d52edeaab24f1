/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* THPD_POPULATE=huge: guest memory that is huge before the guest runs. What the VMM does is told
 * here; none of it fails, and errno stays. */

#include "place.h"

/* Reads the environment; before that, and without the variable, the others do nothing. */
void born_init(void);

/* Memory was mapped at got, or is about to be unmapped. */
void born_mapped(const struct place_request *q, void *got);
void born_unmapped(const void *addr, size_t bytes);

/* The caller is about to start a thread, or to make this ioctl. */
void born_before_thread(void);
void born_before_ioctl(unsigned long request, const void *argument);
