/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A table of text, by libsmartcols. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The widest table has a column for each NUMA node. */
enum { TABLE_CELL_MAX = 200, TABLE_COLUMNS_MAX = 72 };

struct table_column {
	const char *name;
	bool is_right;
};

/* One line: a text for every column. */
struct table_row {
	char cells[TABLE_COLUMNS_MAX][TABLE_CELL_MAX];
};

struct table;

/* NULL if memory is short. */
struct table *table_new(const struct table_column *columns, size_t n_columns, bool has_legend);
struct table *table_free(struct table *t);
int table_add(struct table *t, const struct table_row *row); /* 0 or a negative errno */
int table_print(struct table *t, FILE *f);		     /* nothing if it has no lines */

static inline void table_freep(struct table **t)
{
	*t = table_free(*t);
}
