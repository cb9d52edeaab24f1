/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

/* What a printing function writes, malloc'ed. */
#define CAPTURE(call)                                     \
	({                                                \
		char *text_ = NULL;                       \
		size_t size_;                             \
		FILE *f = open_memstream(&text_, &size_); \
		assert_non_null(f);                       \
		call;                                     \
		(void)fclose(f);                          \
		text_;                                    \
	})
