/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_show.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"
#include "table.h"

static const struct table_column vm_columns[] = {{"FIELD", false}, {"VALUE", false}};
static const struct table_column policy_columns[] = {
	{"KEY", false}, {"VALUE", false}, {"ORIGIN", false}};
static const struct table_column region_columns[] = {
	{"START", true},  {"SIZE", true},  {"BACKING", false},
	{"OFFSET", true}, {"FITS", false}, {"FILE", false},
};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* Whatever field the daemon knows, in its order and under its name. */
static int add_field(struct table *t, const char *key, struct json_object *vm,
		     struct json_object *value, bool is_raw)
{
	struct table_row row;

	if (json_object_is_type(value, json_type_object) ||
	    json_object_is_type(value, json_type_array))
		return 0;
	(void)format_printable(key, row.cells[0], TABLE_CELL_MAX);
	if (ends_with(key, "_bytes"))
		field_cell_bytes(vm, key, is_raw, row.cells[1], TABLE_CELL_MAX);
	else if (json_object_is_type(value, json_type_boolean))
		(void)snprintf(row.cells[1], TABLE_CELL_MAX, "%s",
			       json_object_get_boolean(value) ? "yes" : "no");
	else
		field_cell(vm, key, row.cells[1], TABLE_CELL_MAX);
	return table_add(t, &row);
}

static int add_fields(struct table *t, struct json_object *vm, bool is_raw)
{
	json_object_object_foreach(vm, key, value)
	{
		int r = add_field(t, key, vm, value, is_raw);

		if (r < 0)
			return r;
	}
	return 0;
}

static int print_vm(FILE *f, struct json_object *vm, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(vm_columns, 2, a->has_legend);
	int r = t ? 0 : -ENOMEM;

	if (r == 0 && vm)
		r = add_fields(t, vm, a->is_raw);
	return r < 0 ? r : table_print(t, f);
}

static int print_policy(FILE *f, struct json_object *policy, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(policy_columns, 3, a->has_legend);
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(policy); i++) {
		struct json_object *entry = json_object_array_get_idx(policy, i);
		struct table_row row;

		field_cell(entry, "key", row.cells[0], TABLE_CELL_MAX);
		field_cell(entry, "value", row.cells[1], TABLE_CELL_MAX);
		field_cell(entry, "origin", row.cells[2], TABLE_CELL_MAX);
		r = table_add(t, &row);
	}
	return r < 0 ? r : table_print(t, f);
}

/* "yes", or how far address and file offset are apart. */
static void put_fit(struct json_object *region, bool is_raw, char *cell)
{
	char bytes[FORMAT_MAX];
	uint64_t off;

	if (field_is_true(region, "congruent"))
		(void)snprintf(cell, TABLE_CELL_MAX, "yes");
	else if (field_u64(region, "misaligned_bytes", &off) && off > 0)
		(void)snprintf(cell, TABLE_CELL_MAX, "no, %s off",
			       format_bytes(off, is_raw, bytes));
	else
		(void)snprintf(cell, TABLE_CELL_MAX, "no");
}

static int print_regions(FILE *f, struct json_object *regions, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(region_columns, 6, a->has_legend);
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(regions); i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);
		struct table_row row;

		field_cell_address(region, "start", row.cells[0], TABLE_CELL_MAX);
		field_cell_bytes(region, "bytes", a->is_raw, row.cells[1], TABLE_CELL_MAX);
		field_cell(region, "backing", row.cells[2], TABLE_CELL_MAX);
		field_cell_bytes(region, "file_offset", a->is_raw, row.cells[3], TABLE_CELL_MAX);
		put_fit(region, a->is_raw, row.cells[4]);
		field_cell(region, "path", row.cells[5], TABLE_CELL_MAX);
		r = table_add(t, &row);
	}
	return r < 0 ? r : table_print(t, f);
}

int view_show_print(FILE *f, struct json_object *show, const struct args *a)
{
	int r = print_vm(f, field_object(show, "vm"), a);

	if (r == 0) {
		fputs(a->has_legend ? "\nPolicy\n" : "\n", f);
		r = print_policy(f, field_array(show, "policy"), a);
	}
	if (r == 0) {
		fputs(a->has_legend ? "\nGuest memory\n" : "\n", f);
		r = print_regions(f, field_array(show, "regions"), a);
	}
	return r;
}
