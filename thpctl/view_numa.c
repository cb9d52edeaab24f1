/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_numa.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "choice.h"
#include "field.h"
#include "format.h"
#include "scope.h"
#include "table.h"
#include "view_reason.h"

/* The daemon knows no more nodes than that; of a host with more than NODES_ALL_MAX a table has only
 * those that say something. */
enum { NODES_SHOWN_MAX = 64, NODES_ALL_MAX = 8 };

enum column { COLUMN_VM = 0, COLUMN_PID, COLUMN_RAM, COLUMN_HOME, COLUMN_VCPUS, COLUMN_NODES };

enum { COLUMNS_MAX = COLUMN_NODES + NODES_SHOWN_MAX + 2 };

_Static_assert((int)COLUMNS_MAX <= (int)TABLE_COLUMNS_MAX, "a row has no room for all nodes");

/* Ascending, each once. */
struct nodes {
	uint64_t numbers[NODES_SHOWN_MAX];
	size_t n;
	bool is_cut; /* there were more */
};

struct layout {
	struct nodes nodes;
	size_t n_host_nodes;
	bool has_unknown;
};

static size_t count_vms(struct json_object *numa)
{
	return field_array_length(field_array(numa, "vms"));
}

static struct json_object *vm_at(struct json_object *numa, size_t i)
{
	return json_object_array_get_idx(field_array(numa, "vms"), i);
}

static struct json_object *host_nodes(struct json_object *numa)
{
	return field_array(field_object(numa, "host"), "nodes");
}

/* ---- The document ---------------------------------------------------------------------------- */

/* The value stays its owner's. */
static int add_shared(struct json_object *o, const char *key, struct json_object *value)
{
	if (json_object_object_add(o, key, json_object_get(value)) == 0)
		return 0;
	(void)json_object_put(value);
	return -ENOMEM;
}

static bool is_wanted(struct json_object *status, struct json_object *vm, const struct args *a)
{
	struct json_object *named;

	for (int i = 0; i < a->n_words; i++)
		if (choice_find(status, a->words[i], &named) == 0 && named == vm)
			return true;
	return a->n_words == 0;
}

static int add_vm(struct json_object *vms, struct json_object *vm)
{
	struct json_object *o = json_object_new_object();

	if (o && add_shared(o, "name", json_object_object_get(vm, "name")) == 0 &&
	    add_shared(o, "pid", json_object_object_get(vm, "pid")) == 0 &&
	    add_shared(o, "numa", field_object(vm, "numa")) == 0 &&
	    json_object_array_add(vms, o) == 0)
		return 0;
	(void)json_object_put(o);
	return -ENOMEM;
}

static int add_vms(struct json_object *vms, struct json_object *status, const struct args *a)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count_vms(status); i++)
		if (is_wanted(status, vm_at(status, i), a))
			r = add_vm(vms, vm_at(status, i));
	return r;
}

struct json_object *view_numa_reduce(struct json_object *status, const struct args *a)
{
	_put_ struct json_object *o = json_object_new_object(), *host = json_object_new_object(),
				 *vms = json_object_new_array();
	struct json_object *told = field_object(status, "host");

	if (!o || !host || !vms || add_shared(o, "host", host) < 0 ||
	    add_shared(o, "vms", vms) < 0 ||
	    add_shared(host, "nodes", field_array(told, "nodes")) < 0 ||
	    add_shared(host, "numa_balancing", json_object_object_get(told, "numa_balancing")) <
		    0 ||
	    add_vms(vms, status, a) < 0)
		return NULL;
	return json_object_get(o);
}

/* ---- Nodes and cells ------------------------------------------------------------------------- */

static void add_node(struct nodes *nodes, uint64_t number)
{
	size_t i = nodes->n;

	while (i > 0 && nodes->numbers[i - 1] > number)
		i--;
	if (i > 0 && nodes->numbers[i - 1] == number)
		return;
	if (nodes->n == NODES_SHOWN_MAX) {
		nodes->is_cut = true;
		return;
	}
	memmove(&nodes->numbers[i + 1], &nodes->numbers[i],
		(nodes->n - i) * sizeof(nodes->numbers[0]));
	nodes->numbers[i] = number;
	nodes->n++;
}

/* Appends what fits into a cell whole; where something does not, the cell ends in "...". */
__attribute__((format(printf, 2, 3))) static void append(char *cell, const char *format, ...)
{
	size_t used = strlen(cell), n;
	char text[64];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (used >= 3 && strcmp(cell + used - 3, "...") == 0)
		return;
	n = strlen(text);
	if (used + n + sizeof("...") <= TABLE_CELL_MAX)
		memcpy(cell + used, text, n + 1);
	else
		memcpy(cell + used, "...", sizeof("..."));
}

/* "0-1,3", or "" for none. */
static void put_node_list(const struct nodes *nodes, char *cell)
{
	cell[0] = '\0';
	for (size_t i = 0, next; i < nodes->n; i = next) {
		for (next = i + 1; next < nodes->n; next++)
			if (nodes->numbers[next] != nodes->numbers[next - 1] + 1)
				break;
		append(cell, "%s%" PRIu64, i > 0 ? "," : "", nodes->numbers[i]);
		if (next - i > 1)
			append(cell, "-%" PRIu64, nodes->numbers[next - 1]);
	}
}

static void read_home(struct json_object *numa, struct nodes *ret)
{
	struct json_object *home = field_array(numa, "home");

	*ret = (struct nodes){.n = 0};
	for (size_t i = 0; i < field_array_length(home); i++) {
		struct json_object *number = json_object_array_get_idx(home, i);

		if (json_object_is_type(number, json_type_int) &&
		    json_object_get_int64(number) >= 0)
			add_node(ret, json_object_get_uint64(number));
	}
}

/* "0-1 (vcpus)" */
static void put_home(struct json_object *numa, char *cell)
{
	char source[32];
	struct nodes home;

	read_home(numa, &home);
	put_node_list(&home, cell);
	if (home.n == 0)
		append(cell, "-");
	else if (*field_text(numa, "home_source"))
		append(cell, " (%s)",
		       format_printable(field_text(numa, "home_source"), source, sizeof(source)));
}

/* "wide (interleaved)": of a home of several nodes also how it is divided. */
static void put_verdict(struct json_object *numa, char *cell)
{
	static const char *const rules[][2] = {{"left", "left"},
					       {"interleaved", "interleaved"},
					       {"guest-nodes", "split by guest nodes"}};

	field_cell(numa, "verdict", cell, TABLE_CELL_MAX);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(field_text(numa, "home_rule"), rules[i][0]) == 0)
			append(cell, " (%s)", rules[i][1]);
}

/* "0:2 1:1 ?:1" */
static void put_vcpus(struct json_object *numa, char *cell)
{
	struct json_object *list = field_array(numa, "vcpus");

	cell[0] = '\0';
	for (size_t i = 0; i < field_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		uint64_t node, n;

		if (!field_u64(entry, "vcpus", &n) || n == 0)
			continue;
		append(cell, "%s", *cell ? " " : "");
		if (field_u64(entry, "node", &node))
			append(cell, "%" PRIu64 ":%" PRIu64, node, n);
		else
			append(cell, "?:%" PRIu64, n);
	}
	if (!*cell)
		append(cell, "-");
}

/* What was seen on a node: nothing where the VM's list lacks it. */
static bool read_node(struct json_object *numa, uint64_t number, uint64_t *ret)
{
	struct json_object *list = field_array(numa, "nodes");
	uint64_t node, bytes, sum = 0;

	for (size_t i = 0; i < field_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);

		if (!field_u64(entry, "node", &node) || node != number)
			continue;
		if (!field_u64(entry, "bytes", &bytes) || __builtin_add_overflow(sum, bytes, &sum))
			return false;
	}
	*ret = sum;
	return list != NULL;
}

/* All that is resident; false if any part of the sum is missing. */
static bool read_all(struct json_object *numa, uint64_t *ret)
{
	struct json_object *list = field_array(numa, "nodes");
	uint64_t bytes, sum;

	if (!list || !field_u64(numa, "unknown_bytes", &sum))
		return false;
	for (size_t i = 0; i < field_array_length(list); i++)
		if (!field_u64(json_object_array_get_idx(list, i), "bytes", &bytes) ||
		    __builtin_add_overflow(sum, bytes, &sum))
			return false;
	*ret = sum;
	return true;
}

/* "1.5G 75.0%" */
static void put_part(struct json_object *numa, bool is_known, uint64_t bytes, bool is_raw,
		     char *cell)
{
	char size[FORMAT_MAX], share[FORMAT_MAX];
	uint64_t all;

	cell[0] = '\0';
	append(cell, "%s", is_known ? format_bytes(bytes, is_raw, size) : "-");
	if (is_known && bytes > 0 && read_all(numa, &all))
		append(cell, " %s", format_share(bytes, all, share));
}

static void put_all(struct json_object *numa, bool is_raw, char *cell)
{
	char size[FORMAT_MAX];
	uint64_t all;

	(void)snprintf(cell, TABLE_CELL_MAX, "%s",
		       read_all(numa, &all) ? format_bytes(all, is_raw, size) : "-");
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Nodes that a list of a VM names with more than nothing. */
static void add_used(struct nodes *nodes, struct json_object *list, const char *amount)
{
	for (size_t i = 0; i < field_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		uint64_t node;

		if (field_u64_or_0(entry, amount) > 0 && field_u64(entry, "node", &node))
			add_node(nodes, node);
	}
}

static void find_layout(struct json_object *numa, struct layout *ret)
{
	struct json_object *nodes = host_nodes(numa);

	*ret = (struct layout){.n_host_nodes = field_array_length(nodes)};
	for (size_t i = 0; i < count_vms(numa); i++) {
		struct json_object *of_vm = field_object(vm_at(numa, i), "numa");

		add_used(&ret->nodes, field_array(of_vm, "nodes"), "bytes");
		add_used(&ret->nodes, field_array(of_vm, "vcpus"), "vcpus");
		ret->has_unknown |= field_u64_or_0(of_vm, "unknown_bytes") > 0;
	}
	for (size_t i = 0; ret->n_host_nodes <= NODES_ALL_MAX && i < ret->n_host_nodes; i++) {
		uint64_t node;

		if (field_u64(json_object_array_get_idx(nodes, i), "node", &node))
			add_node(&ret->nodes, node);
	}
}

static struct table *new_table(const struct layout *l, bool has_legend)
{
	struct table_column columns[COLUMNS_MAX] = {
		[COLUMN_VM] = {"VM", false},	   [COLUMN_PID] = {"PID", true},
		[COLUMN_RAM] = {"RAM", true},	   [COLUMN_HOME] = {"HOME", false},
		[COLUMN_VCPUS] = {"VCPUS", false},
	};
	char names[NODES_SHOWN_MAX][32];
	size_t n = COLUMN_NODES;

	for (size_t i = 0; i < l->nodes.n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "NODE %" PRIu64, l->nodes.numbers[i]);
		columns[n++] = (struct table_column){names[i], true};
	}
	if (l->has_unknown)
		columns[n++] = (struct table_column){"UNKNOWN", true};
	columns[n++] = (struct table_column){"VERDICT", false};
	return table_new(columns, n, has_legend);
}

static void fill_row(struct json_object *vm, const struct layout *l, bool is_raw,
		     struct table_row *ret)
{
	struct json_object *numa = field_object(vm, "numa");
	size_t column = COLUMN_NODES;
	uint64_t bytes = 0;
	bool is_known;

	field_cell(vm, "name", ret->cells[COLUMN_VM], TABLE_CELL_MAX);
	field_cell(vm, "pid", ret->cells[COLUMN_PID], TABLE_CELL_MAX);
	put_all(numa, is_raw, ret->cells[COLUMN_RAM]);
	put_home(numa, ret->cells[COLUMN_HOME]);
	put_vcpus(numa, ret->cells[COLUMN_VCPUS]);
	for (size_t i = 0; i < l->nodes.n; i++) {
		is_known = read_node(numa, l->nodes.numbers[i], &bytes);
		put_part(numa, is_known, bytes, is_raw, ret->cells[column++]);
	}
	if (l->has_unknown) {
		is_known = field_u64(numa, "unknown_bytes", &bytes);
		put_part(numa, is_known, bytes, is_raw, ret->cells[column++]);
	}
	put_verdict(numa, ret->cells[column]);
}

static int print_table(FILE *f, struct json_object *numa, const struct layout *l,
		       const struct args *a)
{
	struct table *t __attribute__((cleanup(table_freep))) = new_table(l, a->has_legend);
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count_vms(numa); i++) {
		struct table_row row;

		fill_row(vm_at(numa, i), l, a->is_raw, &row);
		r = table_add(t, &row);
	}
	return r < 0 ? r : table_print(t, f);
}

/* ---- Below the table ------------------------------------------------------------------------- */

/* " (512.0M, node 1, distance 20)", of what is known. */
static void print_place(FILE *f, struct json_object *finding, bool is_raw)
{
	char text[FORMAT_MAX];
	const char *before = " (";
	uint64_t value;

	if (field_u64(finding, "bytes", &value) && value > 0) {
		fprintf(f, "%s%s", before, format_bytes(value, is_raw, text));
		before = ", ";
	}
	if (field_u64(finding, "node", &value)) {
		fprintf(f, "%snode %" PRIu64, before, value);
		before = ", ";
	}
	if (field_u64(finding, "distance", &value) && value > 0) {
		fprintf(f, "%sdistance %" PRIu64, before, value);
		before = ", ";
	}
	fputs(*before == ',' ? ")" : "", f);
}

static void print_finding(FILE *f, struct json_object *vm, struct json_object *finding,
			  struct json_object *reasons, bool is_raw)
{
	struct json_object *reason = field_find(reasons, "slug", field_text(finding, "reason"));
	char name[TABLE_CELL_MAX], slug[64];

	field_cell(vm, "name", name, sizeof(name));
	field_cell(finding, "reason", slug, sizeof(slug));
	fprintf(f, "\n%s: %s", name, slug);
	print_place(f, finding, is_raw);
	fputc('\n', f);
	view_reason_words(f, field_text(reason, "sentence"), field_text(reason, "cure"));
}

static void print_findings(FILE *f, struct json_object *numa, struct json_object *reasons,
			   bool is_raw)
{
	for (size_t i = 0; i < count_vms(numa); i++) {
		struct json_object *vm = vm_at(numa, i);
		struct json_object *list = field_array(field_object(vm, "numa"), "findings");

		for (size_t j = 0; j < field_array_length(list); j++)
			print_finding(f, vm, json_object_array_get_idx(list, j), reasons, is_raw);
	}
}

/* " to node 0", " to nodes 0-1", or "". */
static void put_target(struct json_object *numa, char *text, size_t size)
{
	char list[TABLE_CELL_MAX];
	struct nodes home;

	read_home(numa, &home);
	put_node_list(&home, list);
	(void)snprintf(text, size, "%s%s",
		       home.n == 0   ? ""
		       : home.n == 1 ? " to node "
				     : " to nodes ",
		       list);
}

/* A move that has begun does not go on, for a reason. */
static bool is_held(struct json_object *numa)
{
	const char *reason = field_text(numa, "moves_held");

	return *reason && strcmp(reason, "none") != 0;
}

/* "moving to node 0, 3.0G moved so far", "waits to be moved to node 0: node-full", "will be moved
 * to node 0 in 40s". False: none of these. */
static bool describe_move(struct json_object *numa, bool is_raw, char *text, size_t size)
{
	char target[TABLE_CELL_MAX + 16], value[FORMAT_MAX], slug[64];
	uint64_t number;

	put_target(numa, target, sizeof(target));
	if (field_is_true(numa, "moving") && field_u64(numa, "moved_bytes", &number))
		(void)snprintf(text, size, "moving%s, %s moved so far", target,
			       format_bytes(number, is_raw, value));
	else if (field_is_true(numa, "moving"))
		(void)snprintf(text, size, "moving%s", target);
	else if (is_held(numa))
		(void)snprintf(
			text, size, "waits to be moved%s: %s", target,
			format_printable(field_text(numa, "moves_held"), slug, sizeof(slug)));
	else if (field_u64(numa, "moves_in_ns", &number) && number == 0)
		(void)snprintf(text, size, "will be moved%s now", target);
	else if (field_u64(numa, "moves_in_ns", &number))
		(void)snprintf(text, size, "will be moved%s in %s", target,
			       format_wait(number, value));
	else
		return false;
	return true;
}

static void print_moves(FILE *f, struct json_object *numa, bool is_raw)
{
	const char *before = "\n";

	for (size_t i = 0; i < count_vms(numa); i++) {
		struct json_object *vm = vm_at(numa, i);
		char name[TABLE_CELL_MAX], text[TABLE_CELL_MAX + 128];

		if (!describe_move(field_object(vm, "numa"), is_raw, text, sizeof(text)))
			continue;
		field_cell(vm, "name", name, sizeof(name));
		fprintf(f, "%s%s: %s\n", before, name, text);
		before = "";
	}
}

static void print_notes(FILE *f, struct json_object *numa, const struct layout *l)
{
	if (count_vms(numa) == 0)
		fputs("No VMs.\n", f);
	if (!host_nodes(numa))
		fputs("Note: thpd does not tell which nodes there are; are thpd and thpctl of the "
		      "same version?\n",
		      f);
	if (l->nodes.is_cut)
		fprintf(f, "Note: more than %d nodes; --json lists them all.\n", NODES_SHOWN_MAX);
	else if (l->n_host_nodes > NODES_ALL_MAX && l->n_host_nodes > l->nodes.n)
		fprintf(f,
			"Note: %zu of %zu nodes are not shown: nothing of these VMs was seen "
			"there.\n",
			l->n_host_nodes - l->nodes.n, l->n_host_nodes);
}

int view_numa_print(FILE *f, struct json_object *numa, struct json_object *reasons,
		    const struct args *a)
{
	struct layout layout;
	int r;

	if (field_array_length(host_nodes(numa)) == 1) {
		fputs(a->has_legend ? "One NUMA node: nothing to place.\n" : "", f);
		return 0;
	}
	find_layout(numa, &layout);
	r = print_table(f, numa, &layout, a);
	if (r == 0 && a->has_legend) {
		print_notes(f, numa, &layout);
		print_findings(f, numa, reasons, a->is_raw);
		print_moves(f, numa, a->is_raw);
	}
	return r;
}
