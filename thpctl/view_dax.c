/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_dax.h"

#include <errno.h>
#include <string.h>

#include "checks.h"
#include "field.h"
#include "format.h"
#include "table.h"

enum column { COLUMN_OFFSET = 0, COLUMN_SIZE, COLUMN_STATE, COLUMN_OFF_BY, COLUMN_NOTES, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[COLUMN_OFFSET] = {"OFFSET", true}, [COLUMN_SIZE] = {"SIZE", true},
	[COLUMN_STATE] = {"STATE", false},  [COLUMN_OFF_BY] = {"OFF-BY", true},
	[COLUMN_NOTES] = {"NOTES", false},
};

static void fill_row(struct json_object *piece, bool is_raw, struct table_row *ret)
{
	bool is_unwritten = field_is_true(piece, "unwritten");
	bool is_shared = field_is_true(piece, "shared");

	field_cell_address(piece, "offset", ret->cells[COLUMN_OFFSET], TABLE_CELL_MAX);
	field_cell_bytes(piece, "bytes", is_raw, ret->cells[COLUMN_SIZE], TABLE_CELL_MAX);
	field_cell(piece, "state", ret->cells[COLUMN_STATE], TABLE_CELL_MAX);
	field_cell_bytes(piece, "off_by_bytes", is_raw, ret->cells[COLUMN_OFF_BY], TABLE_CELL_MAX);
	(void)snprintf(ret->cells[COLUMN_NOTES], TABLE_CELL_MAX, "%s%s%s",
		       is_unwritten ? "unwritten" : "", is_unwritten && is_shared ? ", " : "",
		       is_shared ? "shared" : "");
}

static int print_pieces(FILE *f, struct json_object *report, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(columns, COLUMNS, a->has_legend);
	struct json_object *pieces = field_array(report, "pieces");
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(pieces); i++) {
		struct table_row row = {0};

		fill_row(json_object_array_get_idx(pieces, i), a->is_raw, &row);
		r = table_add(t, &row);
	}
	return r < 0 ? r : table_print(t, f);
}

static void print_share(FILE *f, struct json_object *report, const char *key, bool is_raw)
{
	struct json_object *sums = field_object(report, key);
	uint64_t size = field_u64_or_0(report, "size_bytes");
	char share[FORMAT_MAX], unit[FORMAT_MAX];

	fprintf(f, "Aligned in pieces of %s: %s of the file.\n",
		format_bytes(field_u64_or_0(sums, "unit_bytes"), is_raw, unit),
		format_share(field_u64_or_0(sums, "aligned_bytes"), size, share));
}

/* What processes make of it. */
static void print_mappings(FILE *f, struct json_object *report, bool is_raw)
{
	struct json_object *mappings = field_array(report, "mappings");

	for (size_t i = 0; i < field_array_length(mappings); i++) {
		struct json_object *m = json_object_array_get_idx(mappings, i);
		char start[FORMAT_MAX], bytes[FORMAT_MAX], huge[FORMAT_MAX];

		field_cell_address(m, "start", start, sizeof(start));
		field_cell_bytes(m, "bytes", is_raw, bytes, sizeof(bytes));
		field_cell_bytes(m, "huge_bytes", is_raw, huge, sizeof(huge));
		fprintf(f, "Mapped by process %llu at %s: %s, %s of it huge.\n",
			(unsigned long long)field_u64_or_0(m, "pid"), start, bytes, huge);
	}
}

static void print_probe(FILE *f, struct json_object *report, bool is_raw)
{
	struct json_object *probe = field_object(report, "probe");
	char tried[FORMAT_MAX], huge[FORMAT_MAX];

	if (probe)
		fprintf(f,
			"Mapped by thpctl itself: %s of %s came by one fault for each huge page.\n",
			format_bytes(field_u64_or_0(probe, "huge_bytes"), is_raw, huge),
			format_bytes(field_u64_or_0(probe, "tried_bytes"), is_raw, tried));
}

static void print_effort(FILE *f, struct json_object *report, bool is_raw)
{
	uint64_t to_move = field_u64_or_0(report, "to_move_bytes");
	uint64_t moved = field_u64_or_0(report, "moved_bytes");
	char all[FORMAT_MAX], done[FORMAT_MAX], copied[FORMAT_MAX];

	if (to_move == 0)
		return;
	format_bytes(field_u64_or_0(report, "copied_bytes"), is_raw, copied);
	if (field_is_true(report, "replaced"))
		fprintf(f,
			"Copied: %s. The copy has taken the file's place, with another inode "
			"number.\n",
			copied);
	else if (moved == 0)
		fprintf(f, "To move: %s.\n", format_bytes(to_move, is_raw, all));
	else
		fprintf(f, "Moved: %s of %s, %s of it copied.\n", format_bytes(moved, is_raw, done),
			format_bytes(to_move, is_raw, all), copied);
}

static void print_device(FILE *f, struct json_object *report, const struct args *a)
{
	char size[FORMAT_MAX], address[FORMAT_MAX], align[FORMAT_MAX];

	field_cell_address(report, "address", address, sizeof(address));
	fprintf(f, "%s at %s, mapped by pages of %s.\n",
		format_bytes(field_u64_or_0(report, "size_bytes"), a->is_raw, size), address,
		format_bytes(field_u64_or_0(report, "align_bytes"), a->is_raw, align));
	print_mappings(f, report, a->is_raw);
	if (!a->has_legend)
		return;
	fputc('\n', f);
	checks_print(f, report, false);
}

int view_dax_print(FILE *f, struct json_object *report, const struct args *a)
{
	int r;

	if (!field_array(report, "pieces")) {
		print_device(f, report, a);
		return 0;
	}
	r = print_pieces(f, report, a);

	if (r < 0 || !a->has_legend)
		return r;
	fputc('\n', f);
	print_share(f, report, "huge", a->is_raw);
	print_share(f, report, "gigantic", a->is_raw);
	print_mappings(f, report, a->is_raw);
	print_probe(f, report, a->is_raw);
	print_effort(f, report, a->is_raw);
	fputc('\n', f);
	checks_print(f, report, false);
	return 0;
}
