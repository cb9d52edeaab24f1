/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_status.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"

enum column {
	COLUMN_NAME = 0,
	COLUMN_PID,
	COLUMN_RAM,
	COLUMN_RESIDENT,
	COLUMN_BACKING,
	COLUMN_HUGE,
	COLUMN_KVM,
	COLUMN_REMAPPABLE,
	COLUMN_COPYABLE,
	COLUMN_HELD_BACK,
	COLUMN_BARRED,
	COLUMN_LAST_ACTION,
};

const struct table_column view_status_columns[STATUS_COLUMNS] = {
	[COLUMN_NAME] = {"NAME", false},	[COLUMN_PID] = {"PID", true},
	[COLUMN_RAM] = {"RAM", true},		[COLUMN_RESIDENT] = {"RESIDENT", true},
	[COLUMN_BACKING] = {"BACKING", false},	[COLUMN_HUGE] = {"HOST-HUGE%", true},
	[COLUMN_KVM] = {"KVM-HUGE%", true},	[COLUMN_REMAPPABLE] = {"REMAPPABLE", true},
	[COLUMN_COPYABLE] = {"COPYABLE", true}, [COLUMN_HELD_BACK] = {"HELD-BACK", true},
	[COLUMN_BARRED] = {"BARRED", false},	[COLUMN_LAST_ACTION] = {"LAST-ACTION", false},
};

/* Reasons of memory that is not barred: something else can be done about it, or nothing need be. */
static bool is_reason_of_bar(const char *slug)
{
	static const char *const others[] = {
		"pte-mapped-folio", "small-folios",   "sparse",	    "never-touched", "swapped",
		"lost-pages",	    "not-looked-yet", "table-full", "paused",	     "policy-off",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(slug, others[i]) == 0)
			return false;
	return true;
}

const char *view_status_main_bar(struct json_object *vm)
{
	struct json_object *reasons = field_object(vm, "reasons");
	uint64_t most = 0, barred = field_u64_or_0(vm, "barred_bytes");
	const char *main_slug = "";

	if (!reasons || barred == 0)
		return "";
	json_object_object_foreach(reasons, slug, value)
	{
		uint64_t bytes = field_u64_or_0(reasons, slug);

		(void)value;
		if (bytes > most && bytes <= barred && is_reason_of_bar(slug)) {
			most = bytes;
			main_slug = slug;
		}
	}
	return main_slug;
}

/* Before the first look every sum is 0, which says nothing. */
static bool is_measured(struct json_object *vm)
{
	uint64_t cycles;

	return !field_u64(vm, "cycles", &cycles) || cycles > 0 ||
	       field_u64_or_0(vm, "resident_bytes") > 0;
}

static void put_share(struct json_object *vm, char *cell)
{
	char buffer[FORMAT_MAX];
	uint64_t huge, resident;

	if (is_measured(vm) && field_u64(vm, "huge_bytes", &huge) &&
	    field_u64(vm, "resident_bytes", &resident))
		(void)snprintf(cell, TABLE_CELL_MAX, "%s", format_share(huge, resident, buffer));
	else
		(void)snprintf(cell, TABLE_CELL_MAX, "-");
}

/* What KVM maps, not what is resident: it has entries of what the guest has touched only. */
static void put_kvm(struct json_object *vm, char *cell)
{
	struct json_object *kvm = field_object(vm, "kvm");
	uint64_t huge, mapped = field_u64_or_0(kvm, "mapped_bytes");
	char buffer[FORMAT_MAX];

	if (mapped > 0 && field_u64(kvm, "huge_bytes", &huge))
		(void)snprintf(cell, TABLE_CELL_MAX, "%s", format_share(huge, mapped, buffer));
	else
		(void)snprintf(cell, TABLE_CELL_MAX, "-");
}

static void put_bytes(struct json_object *vm, const char *key, bool is_raw, char *cell)
{
	if (is_measured(vm))
		field_cell_bytes(vm, key, is_raw, cell, TABLE_CELL_MAX);
	else
		(void)snprintf(cell, TABLE_CELL_MAX, "-");
}

static void put_barred(struct json_object *vm, bool is_raw, char *cell)
{
	const char *slug = view_status_main_bar(vm);
	size_t used;

	put_bytes(vm, "barred_bytes", is_raw, cell);
	used = strlen(cell);
	if (*slug && used + 1 < TABLE_CELL_MAX) {
		cell[used++] = ' ';
		(void)format_printable(slug, cell + used, TABLE_CELL_MAX - used);
	}
}

/* What it is at, if that is not plain waiting for a change. */
static const char *state_word(struct json_object *vm)
{
	const char *mode = field_text(vm, "mode"), *phase = field_text(vm, "phase");

	if (strcmp(phase, "stuck") == 0)
		return "stuck";
	if (field_is_true(vm, "paused"))
		return "paused";
	if (strcmp(mode, "off") == 0)
		return "off";
	if (strcmp(phase, "looking") == 0)
		return "looking";
	if (strcmp(phase, "acting") == 0)
		return "acting";
	return strcmp(mode, "report") == 0 ? "report only" : "";
}

/* "remap 2.0G done 3s ago", "copy 64.0M partial (busy-retry) 5min ago". */
static void describe_action(struct json_object *action, bool is_raw, uint64_t now_us, char *text,
			    size_t size)
{
	char bytes[FORMAT_MAX], age[FORMAT_MAX], kind[32], effect[32], reason[64];
	const char *slug = field_text(action, "reason");
	bool has_reason = *slug && strcmp(slug, "none") != 0 &&
			  strcmp(field_text(action, "effect"), "done") != 0;
	/* What was moved to another node is no part of what was to be huge. */
	bool is_place = strcmp(field_text(action, "kind"), "place") == 0;

	(void)snprintf(text, size, "%s %s %s%s%s%s %s",
		       format_printable(field_text(action, "kind"), kind, sizeof(kind)),
		       format_bytes(field_u64_or_0(action, is_place ? "placed_bytes" : "bytes"),
				    is_raw, bytes),
		       format_printable(field_text(action, "effect"), effect, sizeof(effect)),
		       has_reason ? " (" : "",
		       has_reason ? format_printable(slug, reason, sizeof(reason)) : "",
		       has_reason ? ")" : "",
		       format_age(field_u64_or_0(action, "ended_realtime_us"), now_us, age));
}

static void put_last_action(struct json_object *vm, bool is_raw, uint64_t now_us, char *cell)
{
	struct json_object *action = field_object(vm, "last_action");
	const char *state = state_word(vm);
	char text[TABLE_CELL_MAX - 16] = "";

	if (action)
		describe_action(action, is_raw, now_us, text, sizeof(text));
	(void)snprintf(cell, TABLE_CELL_MAX, "%s%s%s", state, *state && *text ? "; " : "",
		       *state || *text ? text : "-");
}

void view_status_row(struct json_object *vm, const struct args *a, uint64_t now_us,
		     struct table_row *ret)
{
	field_cell(vm, "name", ret->cells[COLUMN_NAME], TABLE_CELL_MAX);
	field_cell(vm, "pid", ret->cells[COLUMN_PID], TABLE_CELL_MAX);
	field_cell(vm, "backing", ret->cells[COLUMN_BACKING], TABLE_CELL_MAX);
	put_bytes(vm, "ram_bytes", a->is_raw, ret->cells[COLUMN_RAM]);
	put_bytes(vm, "resident_bytes", a->is_raw, ret->cells[COLUMN_RESIDENT]);
	put_share(vm, ret->cells[COLUMN_HUGE]);
	put_kvm(vm, ret->cells[COLUMN_KVM]);
	put_bytes(vm, "remappable_bytes", a->is_raw, ret->cells[COLUMN_REMAPPABLE]);
	put_bytes(vm, "copyable_bytes", a->is_raw, ret->cells[COLUMN_COPYABLE]);
	put_bytes(vm, "held_back_bytes", a->is_raw, ret->cells[COLUMN_HELD_BACK]);
	put_barred(vm, a->is_raw, ret->cells[COLUMN_BARRED]);
	put_last_action(vm, a->is_raw, now_us, ret->cells[COLUMN_LAST_ACTION]);
}

static void print_vm_notes(FILE *f, struct json_object *vm, bool is_raw)
{
	uint64_t unknown = field_u64_or_0(vm, "unknown_bytes");
	struct json_object *hint = field_object(vm, "hint");
	char name[TABLE_CELL_MAX], slug[TABLE_CELL_MAX], bytes[FORMAT_MAX];

	(void)format_printable(field_text(vm, "name"), name, sizeof(name));
	if (unknown > 0)
		fprintf(f, "Note: %s of %s not looked at yet or not known; thpctl explain %s\n",
			format_bytes(unknown, is_raw, bytes), name, name);
	if (hint)
		fprintf(f, "Note: %s: %s; thpctl explain %s\n", name,
			format_printable(field_text(hint, "reason"), slug, sizeof(slug)), name);
}

static void print_host_notes(FILE *f, struct json_object *host)
{
	struct json_object *lost = field_array(host, "lost");
	uint64_t n_problems = field_u64_or_0(host, "config_problems");

	for (size_t i = 0; i < field_array_length(lost); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(lost, i));
		char sentence[512];

		fprintf(f, "Note: %s\n",
			format_printable(text ? text : "", sentence, sizeof(sentence)));
	}
	if (field_is_true(host, "dry_run"))
		fputs("Note: thpd runs with --dry-run and changes nothing.\n", f);
	if (n_problems > 0)
		fprintf(f,
			"Note: %llu problem%s in the configuration; thpctl cat-config names %s.\n",
			(unsigned long long)n_problems, n_problems == 1 ? "" : "s",
			n_problems == 1 ? "it" : "them");
}

static void print_notes(FILE *f, struct json_object *status, struct json_object *vms, bool is_raw)
{
	if (field_array_length(vms) == 0)
		fputs("No VMs. thpd finds processes that hold a KVM VM, and those that a [Match] "
		      "section of vm.d names.\n",
		      f);
	for (size_t i = 0; i < field_array_length(vms); i++)
		print_vm_notes(f, json_object_array_get_idx(vms, i), is_raw);
	print_host_notes(f, field_object(status, "host"));
}

int view_status_print(FILE *f, struct json_object *status, const struct args *a, uint64_t now_us)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(view_status_columns, STATUS_COLUMNS, a->has_legend);
	struct json_object *vms = field_array(status, "vms");
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < field_array_length(vms); i++) {
		struct table_row row;

		view_status_row(json_object_array_get_idx(vms, i), a, now_us, &row);
		r = table_add(t, &row);
	}
	if (r == 0)
		r = table_print(t, f);
	if (r == 0 && a->has_legend)
		print_notes(f, status, vms, a->is_raw);
	return r;
}
