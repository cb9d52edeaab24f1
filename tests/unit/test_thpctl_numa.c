/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What thpctl numa makes of the daemon's JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "field.h"
#include "view_numa.h"

static const struct args plain = {.has_legend = true};
static const struct args bare = {.has_legend = false, .is_raw = true};

#define REASONS                                                                        \
	"[{\"slug\":\"remote-memory\",\"sentence\":\"Memory is far from the vCPUs.\"," \
	"\"cure\":\"Set Placement=follow.\"},"                                         \
	"{\"slug\":\"bare\",\"sentence\":\"\",\"cure\":\"\"}]"

#define TWO_NODES                                                                  \
	"\"host\":{\"nodes\":[{\"node\":0,\"distances\":\"10 20\"},{\"node\":1}]," \
	"\"numa_balancing\":false}"

static struct json_object *parse(const char *text)
{
	struct json_object *o = document_parse(text);

	if (!o)
		fail_msg("no JSON: %s", text);
	return o;
}

/* What is printed for a status; the caller frees it. */
static char *view(const char *status, const struct args *a)
{
	struct json_object *o = parse(status), *reasons = parse(REASONS);
	struct json_object *numa = view_numa_reduce(o, a);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(numa);
	/* What is printed does not live on the status. */
	(void)json_object_put(o);
	assert_non_null(f);
	assert_int_equal(view_numa_print(f, numa, reasons, a), 0);
	(void)fclose(f);
	(void)json_object_put(numa);
	(void)json_object_put(reasons);
	return text;
}

static void assert_view(const char *status, const char *expected)
{
	char *text = view(status, &plain);

	assert_string_equal(text, expected);
	free(text);
}

static void one_node_has_nothing_to_place(void **state)
{
	static const char status[] =
		"{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":null}],"
		"\"host\":{\"nodes\":[{\"node\":0}],\"numa_balancing\":false}}";
	char *text = view(status, &bare);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	assert_view(status, "One NUMA node: nothing to place.\n");
}

static void two_nodes_have_a_column_each(void **state)
{
	(void)state;
	assert_view(
		"{\"vms\":[{\"name\":\"guest-a\",\"pid\":7,\"numa\":{\"home\":[0],"
		"\"home_source\":\"vcpus\",\"vcpus\":[{\"node\":0,\"vcpus\":2},"
		"{\"node\":1,\"vcpus\":1},{\"node\":-1,\"vcpus\":1}],"
		"\"nodes\":[{\"node\":0,\"bytes\":3221225472},{\"node\":1,\"bytes\":1073741824}],"
		"\"unknown_bytes\":0,\"home_bytes\":3221225472,\"remote_bytes\":1073741824,"
		"\"verdict\":\"remote\",\"findings\":[],\"moving\":false,\"moved_bytes\":0,"
		"\"moves_in_ns\":null}},"
		"{\"name\":\"b\",\"pid\":81,\"numa\":{\"home\":[1],\"home_source\":\"policy\","
		"\"vcpus\":[{\"node\":1,\"vcpus\":4}],\"nodes\":[{\"node\":1,\"bytes\":2097152}],"
		"\"unknown_bytes\":0,\"verdict\":\"home\",\"findings\":[]}}]," TWO_NODES "}",
		"VM      PID  RAM HOME       VCPUS           NODE 0      NODE 1 VERDICT\n"
		"guest-a   7 4.0G 0 (vcpus)  0:2 1:1 ?:1 3.0G 75.0%  1.0G 25.0% remote\n"
		"b        81 2.0M 1 (policy) 1:4                 0B 2.0M 100.0% home\n");
}

static void what_is_not_known_has_a_column(void **state)
{
	(void)state;
	assert_view("{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"home\":[],\"home_source\":"
		    "\"none\",\"vcpus\":[],\"nodes\":[{\"node\":1,\"bytes\":1024}],"
		    "\"unknown_bytes\":3072,\"verdict\":\"unknown\"}},"
		    "{\"name\":\"b\",\"pid\":8,\"numa\":null}]," TWO_NODES "}",
		    "VM PID  RAM HOME VCPUS NODE 0     NODE 1    UNKNOWN VERDICT\n"
		    "a    7 4.0K -    -         0B 1.0K 25.0% 3.0K 75.0% unknown\n"
		    "b    8    - -    -          -          -          - -\n");
}

static void a_home_may_be_several_nodes(void **state)
{
	(void)state;
	assert_view("{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"home\":[6,0,1,2,2,4],"
		    "\"home_source\":\"cpuset\",\"nodes\":[],\"unknown_bytes\":0,"
		    "\"verdict\":\"wide\"}}]," TWO_NODES "}",
		    "VM PID RAM HOME             VCPUS NODE 0 NODE 1 VERDICT\n"
		    "a    7  0B 0-2,4,6 (cpuset) -         0B     0B wide\n");
}

#define DIVIDED(rule, verdict)                                                \
	"{\"name\":\"a\",\"pid\":7,\"numa\":{\"home\":[0,1],\"home_source\":" \
	"\"vcpus\",\"home_rule\":\"" rule "\",\"nodes\":[],\"verdict\":\"" verdict "\"}}"

static void a_home_of_several_nodes_is_divided(void **state)
{
	(void)state;
	assert_view("{\"vms\":[" DIVIDED("left", "wide") "," DIVIDED("interleaved", "remote") "," //
		    DIVIDED("guest-nodes", "wide") "," DIVIDED("whole", "home") "]," TWO_NODES "}",
		    "VM PID RAM HOME        VCPUS NODE 0 NODE 1 VERDICT\n"
		    "a    7   - 0-1 (vcpus) -         0B     0B wide (left)\n"
		    "a    7   - 0-1 (vcpus) -         0B     0B remote (interleaved)\n"
		    "a    7   - 0-1 (vcpus) -         0B     0B wide (split by guest nodes)\n"
		    "a    7   - 0-1 (vcpus) -         0B     0B home\n");
}

static void each_finding_is_a_paragraph(void **state)
{
	char *text = view(
		"{\"vms\":[{\"name\":\"a\\u001b\",\"pid\":7,\"numa\":{\"findings\":["
		"{\"reason\":\"remote-memory\",\"node\":1,\"bytes\":536870912,\"distance\":20},"
		"{\"reason\":\"not-in-the-table\",\"node\":0},{\"reason\":\"bare\"},{},7]}},"
		"{\"name\":\"b\",\"pid\":8,\"numa\":{\"findings\":["
		"{\"reason\":\"remote-memory\",\"bytes\":0,\"distance\":31}]}}]," TWO_NODES "}",
		&plain);

	(void)state;
	assert_non_null(strstr(text, "VERDICT"));
	assert_string_equal(strstr(text, "\n\n"),
			    "\n\n"
			    "a?: remote-memory (512.0M, node 1, distance 20)\n"
			    "    Memory is far from the vCPUs.\n"
			    "    What to do: Set Placement=follow.\n"
			    "\n"
			    "a?: not-in-the-table (node 0)\n"
			    "\n"
			    "a?: bare\n"
			    "\n"
			    "a?: -\n"
			    "\n"
			    "a?: -\n"
			    "\n"
			    "b: remote-memory (distance 31)\n"
			    "    Memory is far from the vCPUs.\n"
			    "    What to do: Set Placement=follow.\n");
	free(text);
}

static void without_a_table_of_reasons_slugs_remain(void **state)
{
	struct json_object *o = parse("{\"vms\":[{\"name\":\"a\",\"numa\":{\"findings\":["
				      "{\"reason\":\"remote-memory\",\"node\":1}]}}]}");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(view_numa_print(f, o, NULL, &plain), 0);
	(void)fclose(f);
	assert_string_equal(strstr(text, "\n\n"), "\n\na: remote-memory (node 1)\n");
	free(text);
	(void)json_object_put(o);
}

static void a_move_is_told(void **state)
{
	static const struct {
		const char *numa, *line;
	} rows[] = {
		{"{\"home\":[0],\"moving\":true,\"moved_bytes\":3221225472,\"moves_in_ns\":5}",
		 "\n\na: moving to node 0, 3.0G moved so far\n"},
		{"{\"home\":[2,3],\"moving\":true}", "\n\na: moving to nodes 2-3\n"},
		{"{\"home\":[1],\"moving\":false,\"moves_in_ns\":39000000001}",
		 "\n\na: will be moved to node 1 in 40s\n"},
		{"{\"home\":[1],\"moves_in_ns\":0}", "\n\na: will be moved to node 1 now\n"},
		{"{\"moves_in_ns\":0}", "\n\na: will be moved now\n"},
		{"{\"home\":[1],\"moving\":false,\"moves_held\":\"node-full\",\"moves_in_ns\":0}",
		 "\n\na: waits to be moved to node 1: node-full\n"},
		{"{\"home\":[1],\"moving\":false,\"moves_held\":\"none\",\"moves_in_ns\":null}",
		 NULL},
		{"{\"home\":[1],\"moving\":false,\"moved_bytes\":4096,\"moves_in_ns\":null}", NULL},
		{"{\"home\":[1],\"moving\":1,\"moves_in_ns\":-4}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char status[512], *text, *end;

		(void)snprintf(status, sizeof(status),
			       "{\"vms\":[{\"name\":\"a\",\"numa\":%s}]," TWO_NODES "}",
			       rows[i].numa);
		text = view(status, &plain);
		end = strstr(text, "\n\n");
		if (rows[i].line)
			assert_string_equal(end ? end : "(nothing)", rows[i].line);
		else
			assert_null(end);
		free(text);
	}
}

static void moves_stand_together(void **state)
{
	char *text = view("{\"vms\":[{\"name\":\"a\",\"numa\":{\"moving\":true}},{\"name\":\"b\","
			  "\"numa\":{\"moves_in_ns\":0}}]," TWO_NODES "}",
			  &plain);

	(void)state;
	assert_string_equal(strstr(text, "\n\n"), "\n\na: moving\nb: will be moved now\n");
	free(text);
}

static void no_legend_is_the_rows_alone(void **state)
{
	char *text = view("{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"home\":[0],"
			  "\"nodes\":[{\"node\":0,\"bytes\":4096}],\"unknown_bytes\":0,"
			  "\"moving\":true,\"findings\":[{\"reason\":\"bare\"}]}}]," TWO_NODES "}",
			  &bare);

	(void)state;
	assert_string_equal(text, "a    7 4096 0    -     4096 100.0%      0 -\n");
	free(text);
}

/* A status of a host with n nodes, the VM on the last and third last of them. Static. */
static const char *status_of_nodes(size_t n)
{
	static char status[8192];
	size_t used = (size_t)snprintf(
		status, sizeof(status),
		"{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"home\":[%zu],"
		"\"vcpus\":[{\"node\":%zu,\"vcpus\":1},{\"node\":0,\"vcpus\":0}],"
		"\"nodes\":[{\"node\":1,\"bytes\":0},{\"node\":%zu,\"bytes\":1024}],"
		"\"unknown_bytes\":0,\"verdict\":\"remote\"}}],\"host\":{\"nodes\":[",
		n - 1, n - 1, n - 3);

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(status + used, sizeof(status) - used, "%s{\"node\":%zu}",
					 i > 0 ? "," : "", i);
	(void)snprintf(status + used, sizeof(status) - used, "]}}");
	return status;
}

static void of_many_nodes_only_those_in_use_are_shown(void **state)
{
	char *text = view(status_of_nodes(8), &plain);

	(void)state;
	assert_non_null(strstr(text, "NODE 0"));
	assert_non_null(strstr(text, "NODE 7"));
	assert_null(strstr(text, "Note:"));
	free(text);
	assert_view(status_of_nodes(9), "VM PID  RAM HOME VCPUS      NODE 6 NODE 8 VERDICT\n"
					"a    7 1.0K 8    8:1   1.0K 100.0%     0B remote\n"
					"Note: 7 of 9 nodes are not shown: nothing of these VMs "
					"was seen there.\n");
	text = view(status_of_nodes(20), &plain);
	assert_non_null(strstr(text, "NODE 17 NODE 19 VERDICT\n"));
	assert_non_null(strstr(text, "Note: 18 of 20 nodes"));
	free(text);
}

/* The VM has memory on nodes 0, 2, 4 .. and so on. */
static char *view_scattered(size_t n)
{
	struct json_object *o = parse("{\"vms\":[{\"name\":\"a\",\"numa\":{\"home\":[],"
				      "\"vcpus\":[],\"nodes\":[]}}]," TWO_NODES "}");
	struct json_object *numa =
		field_object(json_object_array_get_idx(field_array(o, "vms"), 0), "numa");
	char *text;

	for (size_t i = 0; i < n; i++) {
		struct json_object *memory = json_object_new_object(),
				   *vcpus = json_object_new_object();

		json_object_object_add(memory, "node", json_object_new_uint64(2 * i));
		json_object_object_add(memory, "bytes", json_object_new_uint64(UINT64_MAX));
		json_object_array_add(field_array(numa, "nodes"), memory);
		json_object_object_add(vcpus, "node", json_object_new_uint64(2 * i));
		json_object_object_add(vcpus, "vcpus", json_object_new_uint64(UINT64_MAX));
		json_object_array_add(field_array(numa, "vcpus"), vcpus);
		json_object_array_add(field_array(numa, "home"), json_object_new_uint64(2 * i));
	}
	text = view(json_object_to_json_string(o), &plain);
	(void)json_object_put(o);
	return text;
}

static void more_nodes_than_a_row_holds_are_cut_off(void **state)
{
	char *text = view_scattered(63);

	(void)state;
	/* 0, 1, 2, 4 .. 124 */
	assert_non_null(strstr(text, "NODE 124"));
	assert_null(strstr(text, "Note: "));
	/* A cell that is too small says so, once. */
	assert_non_null(strstr(text, "0:18446744073709551615 2:1"));
	assert_non_null(strstr(text, "... "));
	assert_null(strstr(text, "...."));
	free(text);
	text = view_scattered(65);
	assert_non_null(strstr(text, "Note: more than 64 nodes; --json lists them all.\n"));
	free(text);
}

static void missing_and_odd_fields_are_unknown(void **state)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"7",
		"\"x\"",
		"{\"home\":7,\"home_source\":[],\"vcpus\":{},\"nodes\":\"x\",\"unknown_bytes\":"
		"\"y\","
		"\"verdict\":{},\"findings\":{},\"moving\":\"yes\",\"moved_bytes\":[],"
		"\"moves_in_ns\":\"soon\"}",
		"{\"home\":[null,\"x\",-1,{},1.5],\"vcpus\":[null,7,{},{\"node\":0},{\"vcpus\":"
		"\"x\"}],"
		"\"nodes\":[null,[],{\"bytes\":5},{\"node\":0},{\"node\":1,\"bytes\":-7},"
		"{\"node\":0,\"bytes\":{}}],\"unknown_bytes\":-1}",
		"{\"nodes\":[{\"node\":0,\"bytes\":18446744073709551615},"
		"{\"node\":0,\"bytes\":18446744073709551615},{\"node\":1}],\"unknown_bytes\":0}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char status[1024];

		(void)snprintf(status, sizeof(status),
			       "{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":%s}]," TWO_NODES "}",
			       odd[i]);
		assert_view(status, "VM PID RAM HOME VCPUS NODE 0 NODE 1 VERDICT\n"
				    "a    7   - -    -          -      - -\n");
	}
}

static void an_older_daemon_tells_nothing(void **state)
{
	static const char note[] = "Note: thpd does not tell which nodes there are; are thpd and "
				   "thpctl of the same version?\n";
	static const char *const odd[] = {"{}", "[]", "{\"vms\":7,\"host\":7}",
					  "{\"vms\":[],\"host\":{\"nodes\":{}}}"};
	char expected[512];

	(void)state;
	(void)snprintf(expected, sizeof(expected), "No VMs.\n%s", note);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_view(odd[i], expected);
	(void)snprintf(expected, sizeof(expected),
		       "VM PID RAM HOME VCPUS VERDICT\n"
		       "a    7   - -    -     -\n"
		       "-    -   - -    -     -\n"
		       "-    -   - -    -     -\n%s",
		       note);
	assert_view("{\"vms\":[{\"name\":\"a\",\"pid\":7},5,null],\"host\":{\"version\":\"1\"}}",
		    expected);
}

/* As --json prints it. */
static void the_document_has_what_was_told(void **state)
{
	static const struct {
		const char *status, *expected;
	} rows[] = {
		{"{\"vms\":[{\"name\":\"a\",\"pid\":7,\"uuid\":\"u\",\"numa\":{\"x\":1}},"
		 "{\"name\":\"b\",\"pid\":8,\"numa\":null}],\"host\":{\"version\":\"1\","
		 "\"nodes\":[{\"node\":0}],\"numa_balancing\":true}}",
		 "{\"host\":{\"nodes\":[{\"node\":0}],\"numa_balancing\":true},"
		 "\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"x\":1}},"
		 "{\"name\":\"b\",\"pid\":8,\"numa\":null}]}"},
		{"{\"vms\":[{\"pid\":8}]}", "{\"host\":{\"nodes\":null,\"numa_balancing\":null},"
					    "\"vms\":[{\"name\":null,\"pid\":8,\"numa\":null}]}"},
		{"[]", "{\"host\":{\"nodes\":null,\"numa_balancing\":null},\"vms\":[]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_object *o = parse(rows[i].status), *numa = view_numa_reduce(o, &plain);

		assert_string_equal(json_object_to_json_string_ext(numa, JSON_C_TO_STRING_PLAIN),
				    rows[i].expected);
		(void)json_object_put(numa);
		(void)json_object_put(o);
	}
}

static void only_the_named_vms_count(void **state)
{
	static char guest_b[] = "b", pid_9[] = "9";
	char *words[] = {pid_9, guest_b, guest_b};
	struct args a = plain;
	char *text;

	(void)state;
	a.words = words;
	a.n_words = 3;
	text = view("{\"vms\":[{\"name\":\"a\",\"pid\":7,\"numa\":{\"unknown_bytes\":5,"
		    "\"moving\":true,\"findings\":[{\"reason\":\"bare\"}]}},"
		    "{\"name\":\"b\",\"pid\":8},{\"name\":\"c\",\"pid\":9}]," TWO_NODES "}",
		    &a);
	assert_string_equal(text, "VM PID RAM HOME VCPUS NODE 0 NODE 1 VERDICT\n"
				  "b    8   - -    -          -      - -\n"
				  "c    9   - -    -          -      - -\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_node_has_nothing_to_place),
		cmocka_unit_test(two_nodes_have_a_column_each),
		cmocka_unit_test(what_is_not_known_has_a_column),
		cmocka_unit_test(a_home_may_be_several_nodes),
		cmocka_unit_test(a_home_of_several_nodes_is_divided),
		cmocka_unit_test(each_finding_is_a_paragraph),
		cmocka_unit_test(without_a_table_of_reasons_slugs_remain),
		cmocka_unit_test(a_move_is_told),
		cmocka_unit_test(moves_stand_together),
		cmocka_unit_test(no_legend_is_the_rows_alone),
		cmocka_unit_test(of_many_nodes_only_those_in_use_are_shown),
		cmocka_unit_test(more_nodes_than_a_row_holds_are_cut_off),
		cmocka_unit_test(missing_and_odd_fields_are_unknown),
		cmocka_unit_test(an_older_daemon_tells_nothing),
		cmocka_unit_test(the_document_has_what_was_told),
		cmocka_unit_test(only_the_named_vms_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
