/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_plan.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"
#include "table.h"
#include "view_kvm.h"

enum column { COLUMN_ID = 0, COLUMN_KIND, COLUMN_START, COLUMN_SIZE, COLUMN_GAIN, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[COLUMN_ID] = {"ID", true},	  [COLUMN_KIND] = {"KIND", false},
	[COLUMN_START] = {"START", true}, [COLUMN_SIZE] = {"SIZE", true},
	[COLUMN_GAIN] = {"GAIN", true},
};

static void fill_row(struct json_object *action, bool is_raw, struct table_row *ret)
{
	field_cell(action, "id", ret->cells[COLUMN_ID], TABLE_CELL_MAX);
	field_cell(action, "kind", ret->cells[COLUMN_KIND], TABLE_CELL_MAX);
	field_cell_address(action, "start", ret->cells[COLUMN_START], TABLE_CELL_MAX);
	field_cell_bytes(action, "bytes", is_raw, ret->cells[COLUMN_SIZE], TABLE_CELL_MAX);
	field_cell_bytes(action, "gain_bytes", is_raw, ret->cells[COLUMN_GAIN], TABLE_CELL_MAX);
}

static void print_kind(FILE *f, struct json_object *actions, const char *kind, const char *words,
		       bool is_raw)
{
	char text[FORMAT_MAX];
	uint64_t bytes = 0;
	size_t n = 0;

	for (size_t i = 0; i < field_array_length(actions); i++) {
		struct json_object *action = json_object_array_get_idx(actions, i);

		if (strcmp(field_text(action, "kind"), kind) == 0) {
			bytes += field_u64_or_0(action, "bytes");
			n++;
		}
	}
	if (n > 0)
		fprintf(f, "%zu to %s: %s %s.\n", n, kind, format_bytes(bytes, is_raw, text),
			words);
}

/* What would pay, but may not start now: *why* is the host's reason, if it has one. */
static void print_deferred(FILE *f, struct json_object *plan, uint64_t deferred, bool is_raw)
{
	const char *why = field_text(plan, "copies_held");
	char text[FORMAT_MAX], slug[FORMAT_MAX];

	(void)format_bytes(deferred, is_raw, text);
	if (*why && strcmp(why, "none") != 0)
		fprintf(f, "Not copied as things are: %s (%s; see thpctl explain).\n", text,
			format_printable(why, slug, sizeof(slug)));
	else
		fprintf(f, "Left for later by the budget: %s.\n", text);
}

static void print_notes(FILE *f, struct json_object *plan, struct json_object *actions, bool is_raw)
{
	uint64_t deferred = field_u64_or_0(plan, "deferred_copy_bytes");
	char text[FORMAT_MAX];
	const char *mode = field_text(plan, "mode");

	if (field_is_true(plan, "paused"))
		fputs("Nothing is planned: the VM is paused (thpctl resume).\n", f);
	else if (*mode && strcmp(mode, "full") != 0)
		fprintf(f, "Nothing is planned: its policy says Mode=%s.\n",
			format_printable(mode, text, sizeof(text)));
	else if (field_array_length(actions) == 0 && deferred == 0)
		fputs("Nothing to do: no memory is left that its policy allows to be made huge "
		      "now.\n",
		      f);
	print_kind(f, actions, "remap", "mapped huge in place", is_raw);
	print_kind(f, actions, "place", "moved to another node, within [Budget]", is_raw);
	print_kind(f, actions, "populate", "given huge pages, within [Budget]", is_raw);
	print_kind(f, actions, "copy", "copied into huge pages, within [Budget]", is_raw);
	if (deferred > 0)
		print_deferred(f, plan, deferred, is_raw);
	view_kvm_print_nudge(f, plan);
}

int view_plan_print(FILE *f, struct json_object *plan, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(columns, COLUMNS, a->has_legend);
	struct json_object *actions = field_array(plan, "actions");
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(actions); i++) {
		struct table_row row;

		fill_row(json_object_array_get_idx(actions, i), a->is_raw, &row);
		r = table_add(t, &row);
	}
	if (r == 0)
		r = table_print(t, f);
	if (r == 0 && a->has_legend)
		print_notes(f, plan, actions, a->is_raw);
	return r;
}
