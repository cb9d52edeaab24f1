/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One value of the configuration: every type fits in a uint64_t between its text and its field. */

#include <stddef.h>
#include <stdint.h>

#include "config_key.h"

#define KIB	    (UINT64_C(1) << 10)
#define MIB	    (UINT64_C(1) << 20)
#define GIB	    (UINT64_C(1) << 30)
#define TIB	    (UINT64_C(1) << 40)
#define NS_PER_MS   UINT64_C(1000000)
#define NS_PER_S    (1000 * NS_PER_MS)
#define NS_PER_MIN  (60 * NS_PER_S)
#define NS_PER_HOUR (60 * NS_PER_MIN)
#define NS_PER_DAY  (24 * NS_PER_HOUR)

/* Not for KEY_TYPE_GLOB, KEY_TYPE_PATHS and KEY_TYPE_MONITOR, here and below. 0, -EINVAL, -ERANGE.
 */
int value_parse(enum key_type type, const char *text, uint64_t *ret);
/* Text that value_parse() reads back, in the largest unit without a remainder. */
void value_format(enum key_type type, uint64_t value, char *buffer, size_t size);

void value_store(enum key_type type, uint64_t value, void *field);
uint64_t value_load(enum key_type type, const void *field);

/* "a size such as 4096, 64M or 1G": static. */
const char *value_form(enum key_type type);
