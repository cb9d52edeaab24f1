/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What thpctl prints of the daemon's JSON. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "choice.h"
#include "document.h"
#include "capture.h"
#include "field.h"
#include "progress.h"
#include "view_explain.h"
#include "view_memslots.h"
#include "view_plan.h"
#include "view_show.h"
#include "view_status.h"

static const struct args plain = {.has_legend = true};
static const struct args bare = {.has_legend = false, .is_raw = true};

static inline struct json_object *parse(const char *text)
{
	struct json_object *o = document_parse(text);

	assert_non_null(o);
	return o;
}

static inline void assert_row(const char *vm, const char *const *expected)
{
	struct json_object *o = parse(vm);
	struct table_row row;

	view_status_row(o, &plain, 1000000000, &row);
	for (size_t i = 0; i < STATUS_COLUMNS; i++)
		assert_string_equal(row.cells[i], expected[i]);
	(void)json_object_put(o);
}
