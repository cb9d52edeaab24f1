/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A file as `thpctl dax` sees it: opened, looked at, judged, and answered about. */

#include "layout.h"
#include "mapping.h"
#include "piece.h"
#include "storage.h"
#include "sys.h"

/* x86-64's, and what DAX maps by elsewhere with pages of 4 KiB. */
enum { HUGE_BYTES = 2 << 20, GIGANTIC_BYTES = 1 << 30 };

/* A file, all that is known of it, and the judgement. */
struct inspection {
	struct storage storage;
	struct layout layout;
	struct alignment huge, gigantic;
	struct mapping *mappings; /* owned; of who has it mapped now, where that was asked */
	size_t n_mappings;
};

/* 0 or a negative errno with *ret_why. */
int inspect_host(struct sys *ret, const char **ret_why);

void inspection_clear(struct inspection *i);

/* Opens a file or a device without waiting, or a regular file, which can then be read in the
 * ordinary way. An fd, or a negative errno with *ret_why. */
int inspect_open_any(const char *path, int access, const char **ret_why);
int inspect_open(const char *path, int access, const char **ret_why);

/* Fills all but the mappings. 0 or a negative errno with *ret_why. */
int inspect(struct sys *sys, int fd, struct inspection *i, const char **ret_why);

/* What was done to come to the answer; what is 0 is not told. */
struct effort {
	uint64_t searched_bytes, to_move_bytes, moved_bytes, copied_bytes;
	bool is_replaced; /* a copy has taken the file's place */
};

/* The file as it is, and what it took, as JSON (thpd.h, thpd_dax_check). 0 or a negative errno with
 * *ret_why. */
int inspection_answer(const struct inspection *i, const struct effort *e, char **ret_json,
		      const char **ret_why);
