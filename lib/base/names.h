/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words of an enum: words[i] names value i. */

#include <stddef.h>

/* "unknown" for a value beyond the table; never NULL. */
const char *name_of(const char *const *words, size_t n_words, unsigned int value);

/* The value that is named so, or -ENOENT. */
int name_find(const char *const *words, size_t n_words, const char *name);
