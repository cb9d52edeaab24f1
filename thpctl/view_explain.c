/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_explain.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"
#include "table.h"
#include "view_kvm.h"
#include "view_reason.h"

/* A VM can have more runs than anybody reads; --json has them all. */
enum { RUNS_SHOWN_MAX = 100, REASONS_MAX = 64 };

enum column { COLUMN_START = 0, COLUMN_SIZE, COLUMN_STATE, COLUMN_REASON, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[COLUMN_START] = {"START", true},
	[COLUMN_SIZE] = {"SIZE", true},
	[COLUMN_STATE] = {"STATE", false},
	[COLUMN_REASON] = {"REASON", false},
};

/* In the order of a reader's interest. */
static const struct {
	const char *state, *words;
} states[] = {
	{"huge", "mapped by huge pages"},
	{"remappable", "can be mapped huge in place, without a copy"},
	{"copyable", "can be copied into huge pages"},
	{"barred", "cannot be made huge as things are"},
	{"sparse", "held back: parts of it are not there, and thpd does not fill them"},
	{"swapped", "swapped out, wholly or in part"},
	{"unknown", "not known yet, or not to be known"},
	{"empty", "never touched by the guest, or given back (counts for nothing)"},
};

static struct json_object *run_at(struct json_object *explanation, size_t i)
{
	return json_object_array_get_idx(field_array(explanation, "runs"), i);
}

static size_t count_runs(struct json_object *explanation)
{
	return field_array_length(field_array(explanation, "runs"));
}

/* Resident memory where it was counted, else the whole range: of what is empty or unknown nothing
 * is resident for certain. */
static uint64_t weight(struct json_object *run)
{
	const char *state = field_text(run, "state");
	uint64_t bytes;

	if (strcmp(state, "empty") != 0 && field_u64(run, "resident_bytes", &bytes) && bytes > 0)
		return bytes;
	return field_u64_or_0(run, "bytes");
}

static uint64_t sum_of_state(struct json_object *explanation, const char *state)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count_runs(explanation); i++)
		if (strcmp(field_text(run_at(explanation, i), "state"), state) == 0)
			sum += weight(run_at(explanation, i));
	return sum;
}

static void print_share(FILE *f, struct json_object *explanation, const char *name, bool is_raw)
{
	struct json_object *totals = field_object(explanation, "totals");
	char share[FORMAT_MAX], resident_text[FORMAT_MAX], printable[TABLE_CELL_MAX];
	uint64_t huge, resident;

	(void)format_printable(*name ? name : "This VM", printable, sizeof(printable));
	if (!field_u64(totals, "huge_bytes", &huge) ||
	    !field_u64(totals, "resident_bytes", &resident))
		fprintf(f, "%s: how much is huge was not measured.\n", printable);
	else if (resident == 0)
		fprintf(f, "%s: none of its memory is known to be resident.\n", printable);
	else
		fprintf(f, "%s: %s of its %s of resident memory is mapped by huge pages.\n",
			printable, format_share(huge, resident, share),
			format_bytes(resident, is_raw, resident_text));
}

void view_explain_summary(FILE *f, struct json_object *explanation, const char *name, bool is_part,
			  bool is_raw)
{
	char bytes[FORMAT_MAX];

	print_share(f, explanation, name, is_raw);
	if (is_part)
		fputs("At this address:\n", f);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		uint64_t sum = sum_of_state(explanation, states[i].state);

		if (sum > 0)
			fprintf(f, "%12s  %s\n", format_bytes(sum, is_raw, bytes), states[i].words);
	}
	if (count_runs(explanation) == 0)
		fputs(is_part ? "  no memory of this guest.\n"
			      : "  thpd has not looked at it yet, or found no guest memory.\n",
		      f);
}

static void fill_row(struct json_object *run, bool is_raw, struct table_row *ret)
{
	const char *reason = field_text(run, "reason");
	uint64_t off;

	field_cell_address(run, "start", ret->cells[COLUMN_START], TABLE_CELL_MAX);
	field_cell_bytes(run, "bytes", is_raw, ret->cells[COLUMN_SIZE], TABLE_CELL_MAX);
	field_cell(run, "state", ret->cells[COLUMN_STATE], TABLE_CELL_MAX);
	(void)format_printable(*reason && strcmp(reason, "none") != 0 ? reason : "-",
			       ret->cells[COLUMN_REASON], TABLE_CELL_MAX);
	if (field_u64(run, "misaligned_bytes", &off)) {
		size_t used = strlen(ret->cells[COLUMN_REASON]);

		snprintf(ret->cells[COLUMN_REASON] + used, TABLE_CELL_MAX - used, ", 0x%llx off",
			 (unsigned long long)off);
	}
}

static int print_runs(FILE *f, struct json_object *explanation, const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) =
		table_new(columns, COLUMNS, a->has_legend);
	size_t n = count_runs(explanation);
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n && i < RUNS_SHOWN_MAX; i++) {
		struct table_row row;

		fill_row(run_at(explanation, i), a->is_raw, &row);
		r = table_add(t, &row);
	}
	if (r == 0)
		r = table_print(t, f);
	if (r == 0 && n > RUNS_SHOWN_MAX)
		fprintf(f, "... and %zu more; --json lists them all.\n", n - RUNS_SHOWN_MAX);
	return r;
}

static void add_to_sums(struct json_object *run, struct reason_sum *sums, size_t *n)
{
	const char *slug = field_text(run, "reason");
	size_t i = 0;

	if (!*slug || strcmp(slug, "none") == 0)
		return;
	while (i < *n && strcmp(sums[i].slug, slug) != 0)
		i++;
	if (i == REASONS_MAX)
		return;
	if (i == *n)
		sums[(*n)++] = (struct reason_sum){.slug = slug,
						   .sentence = field_text(run, "sentence"),
						   .cure = field_text(run, "cure")};
	sums[i].bytes += weight(run);
}

static int compare_sums(const void *a, const void *b)
{
	const struct reason_sum *x = a, *y = b;

	return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void print_reasons(FILE *f, struct json_object *explanation, bool is_raw)
{
	struct reason_sum sums[REASONS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < count_runs(explanation); i++)
		add_to_sums(run_at(explanation, i), sums, &n);
	qsort(sums, n, sizeof(sums[0]), compare_sums);
	for (size_t i = 0; i < n; i++)
		view_reason_print(f, &sums[i], is_raw);
}

/* What thpd does not know of the VM, or cannot do for it, and which way there would be. */
static void print_hint(FILE *f, struct json_object *hint)
{
	struct json_object *lacks = field_array(hint, "lacks");
	char text[TABLE_CELL_MAX];

	if (!hint)
		return;
	fprintf(f, "\n%s (for", format_printable(field_text(hint, "reason"), text, sizeof(text)));
	for (size_t i = 0; i < field_array_length(lacks); i++) {
		const char *lack = json_object_get_string(json_object_array_get_idx(lacks, i));

		fprintf(f, "%s %s", i > 0 ? "," : "",
			format_printable(lack ? lack : "", text, sizeof(text)));
	}
	fputs(")\n", f);
	view_reason_words(f, field_text(hint, "sentence"), field_text(hint, "cure"));
}

int view_explain_print(FILE *f, struct json_object *explanation, const struct args *a, bool is_part)
{
	struct json_object *kvm = is_part ? NULL : field_object(explanation, "kvm");
	int r;

	view_explain_summary(f, explanation, field_text(explanation, "name"), is_part, a->is_raw);
	view_kvm_print(f, kvm, a->is_raw);
	view_kvm_print_last_nudge(f, kvm);
	fputc('\n', f);
	r = print_runs(f, explanation, a);
	if (r == 0)
		print_reasons(f, explanation, a->is_raw);
	if (r == 0)
		view_kvm_print_findings(f, kvm, a->is_raw);
	if (r == 0 && !is_part)
		print_hint(f, field_object(explanation, "hint"));
	return r;
}
