/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A reason as it is shown wherever one is: what it is, and what helps. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A reason's sentence and its cure, indented; nothing of what is "". */
void view_reason_words(FILE *f, const char *sentence, const char *cure);

struct reason_sum {
	const char *slug, *sentence, *cure; /* not owned */
	uint64_t bytes;
	bool is_inferred; /* from what QEMU's monitor tells of memslots */
};

/* A paragraph of it. */
void view_reason_print(FILE *f, const struct reason_sum *sum, bool is_raw);
