/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names.h"

#include <errno.h>
#include <string.h>

const char *name_of(const char *const *words, size_t n_words, unsigned int value)
{
	return value < n_words && words[value] ? words[value] : "unknown";
}

int name_find(const char *const *words, size_t n_words, const char *name)
{
	for (size_t i = 0; i < n_words; i++)
		if (words[i] && strcmp(words[i], name) == 0)
			return (int)i;
	return -ENOENT;
}
