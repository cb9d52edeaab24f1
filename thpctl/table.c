/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>

struct table {
	struct libscols_table *scols;
	size_t n_columns;
};

struct table *table_free(struct table *t)
{
	if (t)
		scols_unref_table(t->scols);
	free(t);
	return NULL;
}

struct table *table_new(const struct table_column *columns, size_t n_columns, bool has_legend)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->n_columns = n_columns;
	t->scols = scols_new_table();
	if (!t->scols)
		return table_free(t);
	for (size_t i = 0; i < n_columns; i++)
		if (!scols_table_new_column(t->scols, columns[i].name, 0,
					    columns[i].is_right ? SCOLS_FL_RIGHT : 0))
			return table_free(t);
	(void)scols_table_enable_noheadings(t->scols, !has_legend);
	/* Whole cells: what is cut off at the edge of a terminal nobody can read or copy. */
	(void)scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
	return t;
}

int table_add(struct table *t, const struct table_row *row)
{
	struct libscols_line *line = scols_table_new_line(t->scols, NULL);

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_columns; i++)
		if (scols_line_set_data(line, i, row->cells[i]) < 0)
			return -ENOMEM;
	return 0;
}

int table_print(struct table *t, FILE *f)
{
	if (scols_table_get_nlines(t->scols) == 0)
		return 0;
	(void)scols_table_set_stream(t->scols, f);
	return scols_print_table(t->scols);
}
