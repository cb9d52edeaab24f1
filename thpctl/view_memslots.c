/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_memslots.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"
#include "table.h"

enum column {
	COLUMN_SLOT = 0,
	COLUMN_SPACE,
	COLUMN_GPA,
	COLUMN_SIZE,
	COLUMN_HVA,
	COLUMN_FLAGS,
	COLUMN_HUGE,
	COLUMNS,
};

static const struct table_column columns[COLUMNS] = {
	[COLUMN_SLOT] = {"SLOT", true},	 [COLUMN_SPACE] = {"AS", true},
	[COLUMN_GPA] = {"GPA", true},	 [COLUMN_SIZE] = {"SIZE", true},
	[COLUMN_HVA] = {"HVA", true},	 [COLUMN_FLAGS] = {"FLAGS", false},
	[COLUMN_HUGE] = {"HUGE", false},
};

static void put_flags(struct json_object *slot, char *cell)
{
	struct json_object *flags = field_array(slot, "flags");
	size_t used = 0;

	(void)snprintf(cell, TABLE_CELL_MAX, "-");
	for (size_t i = 0; i < field_array_length(flags) && used < TABLE_CELL_MAX; i++)
		used += (size_t)snprintf(
			cell + used, TABLE_CELL_MAX - used, "%s%s", i > 0 ? "," : "",
			json_object_get_string(json_object_array_get_idx(flags, i)));
}

static void put_huge(struct json_object *slot, bool is_raw, char *cell)
{
	const char *reason = field_text(slot, "reason");
	char bytes[FORMAT_MAX];

	if (field_is_true(slot, "can_be_huge"))
		(void)snprintf(cell, TABLE_CELL_MAX, "yes");
	else if (strcmp(reason, "slot-not-congruent") == 0)
		(void)snprintf(
			cell, TABLE_CELL_MAX, "no, %s off",
			format_bytes(field_u64_or_0(slot, "misaligned_bytes"), is_raw, bytes));
	else if (strcmp(reason, "slot-head-tail") == 0)
		(void)snprintf(cell, TABLE_CELL_MAX, "no, too short");
	else if (strcmp(reason, "sev-or-guest-memfd") == 0)
		(void)snprintf(cell, TABLE_CELL_MAX, "guest-memfd");
	else
		(void)snprintf(cell, TABLE_CELL_MAX, "-");
}

static void fill_row(struct json_object *slot, bool is_raw, struct table_row *ret)
{
	field_cell(slot, "slot", ret->cells[COLUMN_SLOT], TABLE_CELL_MAX);
	field_cell(slot, "address_space", ret->cells[COLUMN_SPACE], TABLE_CELL_MAX);
	field_cell_address(slot, "gpa", ret->cells[COLUMN_GPA], TABLE_CELL_MAX);
	field_cell_bytes(slot, "bytes", is_raw, ret->cells[COLUMN_SIZE], TABLE_CELL_MAX);
	field_cell_address(slot, "hva", ret->cells[COLUMN_HVA], TABLE_CELL_MAX);
	put_flags(slot, ret->cells[COLUMN_FLAGS]);
	put_huge(slot, is_raw, ret->cells[COLUMN_HUGE]);
}

static void print_source(FILE *f, struct json_object *table)
{
	static const char unknown[] =
		"the numbers of slots, whether they are logged or guest-memfd, and those of system "
		"management mode are not known.";
	char age[FORMAT_MAX];

	if (field_is_true(table, "inferred"))
		fprintf(f, "Inferred from QEMU's monitor, at most %s before the last look: %s\n",
			format_wait(field_u64_or_0(table, "age_ns"), age), unknown);
}

static void print_note(FILE *f, struct json_object *slots)
{
	size_t n = field_array_length(slots), n_off = 0;

	for (size_t i = 0; i < n; i++)
		n_off += strcmp(field_text(json_object_array_get_idx(slots, i), "reason"),
				"slot-not-congruent") == 0;
	if (n == 0)
		fputs("The VM has no memslots.\n", f);
	if (n_off > 0)
		fprintf(f,
			"KVM can never map %zu of %zu slots huge (slot-not-congruent; see thpctl "
			"explain).\n",
			n_off, n);
}

bool view_memslots_are_known(struct json_object *table)
{
	return field_is_true(table, "known");
}

int view_memslots_print(FILE *f, struct json_object *table, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(columns, COLUMNS, a->has_legend);
	struct json_object *slots = field_array(table, "memslots");
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(slots); i++) {
		struct table_row row;

		fill_row(json_object_array_get_idx(slots, i), a->is_raw, &row);
		r = table_add(t, &row);
	}
	if (r == 0)
		r = table_print(t, f);
	if (r == 0 && a->has_legend) {
		print_note(f, slots);
		print_source(f, table);
	}
	return r;
}

void view_memslots_print_unknown(FILE *f, struct json_object *table)
{
	char name[TABLE_CELL_MAX], sentence[1024], cure[1024];

	fprintf(f, "thpctl: the memslots of %s are not known: %s\n%s\n",
		format_printable(field_text(table, "name"), name, sizeof(name)),
		format_printable(field_text(table, "sentence"), sentence, sizeof(sentence)),
		format_printable(field_text(table, "cure"), cure, sizeof(cure)));
}
