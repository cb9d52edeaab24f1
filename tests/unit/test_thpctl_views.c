/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What thpctl makes of the daemon's JSON: rows, words, bars. */
#include "views_bench.h"

static void a_row_says_it_all(void **state)
{
	static const char *const expected[STATUS_COLUMNS] = {
		"guest-a", "7",	   "1.0G", "512.0M", "shmem",	 "99.9%",
		"50.0%",   "8.0K", "0B",   "2.0M",   "4.0M ksm", "remap 64.0M done 10s ago"};

	(void)state;
	assert_row(
		"{\"name\":\"guest-a\",\"pid\":7,\"backing\":\"shmem\",\"mode\":\"full\","
		"\"phase\":\"idle\",\"cycles\":2,\"ram_bytes\":1073741824,"
		"\"resident_bytes\":536870912,\"huge_bytes\":536866816,"
		"\"kvm\":{\"source\":\"qmp\",\"mapped_bytes\":4194304,\"huge_bytes\":2097152},"
		"\"remappable_bytes\":8192,\"copyable_bytes\":0,\"held_back_bytes\":2097152,"
		"\"barred_bytes\":4194304,\"reasons\":{\"sparse\":2097152,\"ksm\":4000000,"
		"\"cow-page\":194304,\"small-folios\":4194304},\"last_action\":{\"kind\":\"remap\","
		"\"bytes\":67108864,\"effect\":\"done\",\"reason\":\"none\","
		"\"ended_realtime_us\":990000000}}",
		expected);
}

static void what_was_not_measured_is_a_dash(void **state)
{
	static const char *const young[STATUS_COLUMNS] = {"b", "8", "-", "-", "-", "-",
							  "-", "-", "-", "-", "-", "looking"};
	static const char *const partial[STATUS_COLUMNS] = {"c", "9", "-", "0B", "-", "-",
							    "-", "-", "-", "-",	 "-", "-"};
	/* KVM was asked, and maps nothing yet. */
	static const char *const unmapped[STATUS_COLUMNS] = {"-", "-", "-", "-", "-", "-",
							     "-", "-", "-", "-", "-", "-"};

	(void)state;
	assert_row("{\"name\":\"b\",\"pid\":8,\"cycles\":0,\"phase\":\"looking\",\"ram_bytes\":0,"
		   "\"resident_bytes\":0,\"huge_bytes\":0,\"barred_bytes\":0}",
		   young);
	assert_row("{\"name\":\"c\",\"pid\":9,\"cycles\":1,\"resident_bytes\":0,\"huge_bytes\":0}",
		   partial);
	assert_row("{\"kvm\":{\"source\":\"debugfs\",\"mapped_bytes\":0,\"huge_bytes\":0}}",
		   unmapped);
}

static void a_failed_action_says_why(void **state)
{
	static const char *const expected[STATUS_COLUMNS] = {
		"-", "-", "-", "-", "-", "-",
		"-", "-", "-", "-", "-", "paused; copy 2.0M none (memcg-limit) -"};

	(void)state;
	assert_row("{\"paused\":true,\"phase\":\"acting\",\"last_action\":{\"kind\":\"copy\","
		   "\"bytes\":2097152,\"effect\":\"none\",\"reason\":\"memcg-limit\"}}",
		   expected);
}

/* A move makes nothing huge: what counts is what came. */
static void a_move_tells_what_it_moved(void **state)
{
	static const char *const expected[STATUS_COLUMNS] = {
		"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "place 3.0G done -"};

	(void)state;
	assert_row("{\"last_action\":{\"kind\":\"place\",\"bytes\":0,"
		   "\"placed_bytes\":3221225472,\"effect\":\"done\",\"reason\":\"none\"}}",
		   expected);
}

static void hostile_names_do_not_reach_the_terminal(void **state)
{
	struct json_object *o = parse("{\"vms\":[{\"name\":\"x\\u001b[2J\\u009b\\n\",\"pid\":1,"
				      "\"unknown_bytes\":5}],\"host\":{\"lost\":[\"a\\u001bb\"]}}");
	char *text = CAPTURE(assert_int_equal(view_status_print(f, o, &plain, 0), 0));

	(void)state;
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "\xc2\x9b"));
	assert_non_null(strstr(text, "x?[2J??"));
	assert_non_null(strstr(text, "Note: a?b"));
	free(text);
	(void)json_object_put(o);
}

static void an_empty_status_says_so(void **state)
{
	struct json_object *o = parse("{\"vms\":[],\"host\":{\"config_problems\":1}}");
	char *text = CAPTURE(assert_int_equal(view_status_print(f, o, &plain, 0), 0));

	(void)state;
	assert_non_null(strstr(text, "No VMs."));
	assert_non_null(strstr(text, "1 problem in the configuration"));
	free(text);
	text = CAPTURE(assert_int_equal(view_status_print(f, o, &bare, 0), 0));
	assert_string_equal(text, "");
	free(text);
	(void)json_object_put(o);
}

#define EXPLANATION                                                                            \
	"{\"name\":\"guest-c\",\"runs\":["                                                     \
	"{\"start\":\"0x7f0000001000\",\"bytes\":8388608,\"state\":\"barred\","                \
	"\"reason\":\"misaligned-mapping\",\"sentence\":\"It does not fit.\","                 \
	"\"cure\":\"Align it.\",\"resident_bytes\":4194304},"                                  \
	"{\"start\":\"0x7f0000a00000\",\"bytes\":2097152,\"state\":\"huge\","                  \
	"\"reason\":\"none\",\"sentence\":\"\",\"cure\":\"\",\"resident_bytes\":2097152},"     \
	"{\"start\":\"0x7f0000c00000\",\"bytes\":16777216,\"state\":\"empty\","                \
	"\"reason\":\"never-touched\",\"sentence\":\"Nothing there.\",\"cure\":\"Nothing.\"}," \
	"{\"start\":\"0x7f0002001000\",\"bytes\":4194304,\"state\":\"barred\","                \
	"\"reason\":\"misaligned-mapping\",\"sentence\":\"It does not fit.\","                 \
	"\"cure\":\"Align it.\"}],"                                                            \
	"\"totals\":{\"huge_bytes\":2097152,\"resident_bytes\":10485760}}"

static void explain_reads_like_an_answer(void **state)
{
	struct json_object *o = parse(EXPLANATION);
	char *text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, false), 0));

	(void)state;
	assert_string_equal(
		text,
		"guest-c: 20.0% of its 10.0M of resident memory is mapped by huge pages.\n"
		"        2.0M  mapped by huge pages\n"
		"        8.0M  cannot be made huge as things are\n"
		"       16.0M  never touched by the guest, or given back (counts for nothing)\n"
		"\n"
		"         START  SIZE STATE  REASON\n"
		"0x7f0000001000  8.0M barred misaligned-mapping\n"
		"0x7f0000a00000  2.0M huge   -\n"
		"0x7f0000c00000 16.0M empty  never-touched\n"
		"0x7f0002001000  4.0M barred misaligned-mapping\n"
		"\n"
		"never-touched (16.0M)\n"
		"    Nothing there.\n"
		"    What to do: Nothing.\n"
		"\n"
		"misaligned-mapping (8.0M)\n"
		"    It does not fit.\n"
		"    What to do: Align it.\n");
	free(text);
	(void)json_object_put(o);
}

static void explain_has_both_sides(void **state)
{
	struct json_object *o = parse(
		"{\"name\":\"g\",\"runs\":[],\"totals\":{\"huge_bytes\":8388608,"
		"\"resident_bytes\":8388608},\"kvm\":{\"source\":\"debugfs\","
		"\"nudge\":{\"means\":\"qmp/calc-dirty-rate\",\"result\":\"done\"},"
		"\"mapped_bytes\":8388608,\"huge_bytes\":2097152,\"findings\":[{\"reason\":\"odd\","
		"\"bytes\":6291456,\"sentence\":\"It is small.\",\"cure\":\"Wait.\"},"
		"{\"reason\":\"edge\",\"bytes\":4096,\"inferred\":true}]}}");
	char *text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, false), 0));

	(void)state;
	assert_non_null(strstr(text, "\nKVM: 25.0% of the 8.0M that it maps into the guest is by "
				     "huge pages (by the kernel's debugfs).\n"));
	assert_non_null(strstr(text, "\nLast nudge: done, by qmp/calc-dirty-rate.\n"));
	assert_non_null(strstr(text, "\nodd (6.0M)\n    It is small.\n    What to do: Wait.\n"));
	assert_non_null(strstr(text, "\nedge (4.0K, inferred from QEMU's monitor)\n"));
	assert_null(strstr(text, "second sample"));
	free(text);
	/* At one address nothing is known of KVM. */
	text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, true), 0));
	assert_null(strstr(text, "KVM"));
	assert_null(strstr(text, "odd"));
	free(text);
	(void)json_object_put(o);
}

static void explain_copes_with_nothing(void **state)
{
	static const char *const odd[] = {"{}",
					  "[]",
					  "{\"runs\":7}",
					  "{\"runs\":[]}",
					  "{\"runs\":[1,null,\"x\",{}]}",
					  ("{\"runs\":[{\"start\":-5,\"bytes\":\"x\",\"state\":3,"
					   "\"reason\":{}}],\"totals\":[]}")};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct json_object *o = parse(odd[i]);
		char *text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, true), 0));

		assert_non_null(strstr(text, "not measured"));
		free(text);
		(void)json_object_put(o);
	}
}

static void many_runs_are_cut_off_and_counted(void **state)
{
	struct json_object *o = parse("{\"runs\":[]}"), *runs = field_array(o, "runs");
	char *text;

	(void)state;
	for (size_t i = 0; i < 130; i++)
		(void)json_object_array_add(runs, json_object_new_object());
	text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, false), 0));
	assert_non_null(strstr(text, "... and 30 more"));
	free(text);
	(void)json_object_put(o);
}

static void a_plan_is_summed_up(void **state)
{
	struct json_object *o =
		parse("{\"actions\":[{\"id\":1,\"kind\":\"remap\",\"start\":\"0x200000\",\"bytes\":"
		      "4194304,"
		      "\"gain_bytes\":2097152},{\"id\":2,\"kind\":\"copy\",\"start\":4194304,"
		      "\"bytes\":2097152,\"gain_bytes\":2097152},"
		      "{\"id\":3,\"kind\":\"place\",\"start\":\"0x600000\",\"bytes\":4194304,"
		      "\"gain_bytes\":4194304}],\"deferred_copy_bytes\":1024}");
	char *text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));

	(void)state;
	assert_string_equal(text, "ID KIND     START SIZE GAIN\n"
				  " 1 remap 0x200000 4.0M 2.0M\n"
				  " 2 copy  0x400000 2.0M 2.0M\n"
				  " 3 place 0x600000 4.0M 4.0M\n"
				  "1 to remap: 4.0M mapped huge in place.\n"
				  "1 to place: 4.0M moved to another node, within [Budget].\n"
				  "1 to copy: 2.0M copied into huge pages, within [Budget].\n"
				  "Left for later by the budget: 1.0K.\n");
	free(text);
	(void)json_object_put(o);
	o = parse("{\"actions\":[]}");
	text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));
	assert_non_null(strstr(text, "Nothing to do"));
	free(text);
	(void)json_object_put(o);
	o = parse("{\"actions\":[],\"mode\":\"full\",\"deferred_copy_bytes\":2097152,"
		  "\"copies_held\":\"no-free-huge-page\"}");
	text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));
	assert_null(strstr(text, "Nothing to do"));
	assert_non_null(strstr(text, "Not copied as things are: 2.0M (no-free-huge-page;"));
	free(text);
	(void)json_object_put(o);
}

static void a_finding_that_takes_two_samples_says_so(void **state)
{
	struct json_object *o =
		parse("{\"runs\":[],\"kvm\":{\"source\":\"vmm\",\"mapped_bytes\":4096,"
		      "\"huge_bytes\":0,\"lacks_sample\":true,\"findings\":[]}}");
	char *text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, false), 0));

	(void)state;
	assert_non_null(strstr(text, "(kvm-small-under-huge-host) takes a second sample"));
	free(text);
	(void)json_object_put(o);
}

static void a_plan_says_whether_a_nudge_is_due(void **state)
{
	struct json_object *o = parse("{\"actions\":[],\"nudge_held\":{\"reason\":\"odd\","
				      "\"sentence\":\"It is\\u0007 held.\"}}");
	char *text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));

	(void)state;
	assert_non_null(strstr(text, "\nNo nudge (odd): It is? held.\n"));
	free(text);
	(void)json_object_put(o);
	o = parse("{\"actions\":[],\"nudge_held\":null}");
	text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));
	assert_non_null(strstr(text, "\nA nudge is due:"));
	free(text);
	(void)json_object_put(o);
	/* An older thpd does not say. */
	o = parse("{\"actions\":[]}");
	text = CAPTURE(assert_int_equal(view_plan_print(f, o, &plain), 0));
	assert_null(strstr(text, "udge"));
	free(text);
	(void)json_object_put(o);
}

/* No other value is as long. */
#define LONGEST_NODES                                                 \
	"0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25,27-28,30-31," \
	"33-34,36-37,39-40,42-43,45-46,48-49,51-52,54-55,57-58,60-61,63"

static void show_names_the_origin_and_the_offset(void **state)
{
	struct json_object *o = parse(
		"{\"vm\":{\"name\":\"a\",\"has_kvm\":true,\"ram_bytes\":2097152,\"reasons\":{}},"
		"\"policy\":[{\"key\":\"Collapse.Copy\",\"value\":\"no\",\"origin\":\"/etc/x\"},"
		"{\"key\":\"NUMA.Nodes\",\"value\":\"" LONGEST_NODES "\",\"origin\":\"/etc/y\"}],"
		"\"regions\":[{\"start\":\"0x1000\",\"bytes\":2097152,\"backing\":\"shmem\","
		"\"file_offset\":0,\"congruent\":false,\"misaligned_bytes\":4096,\"path\":\"/"
		"m\"}]}");
	char *text = CAPTURE(assert_int_equal(view_show_print(f, o, &plain), 0));

	(void)state;
	assert_non_null(strstr(text, "has_kvm   yes\n"));
	assert_non_null(strstr(text, "ram_bytes 2.0M\n"));
	assert_non_null(strstr(text, "Collapse.Copy no "));
	assert_non_null(strstr(text, " /etc/x\n"));
	assert_non_null(strstr(text, "NUMA.Nodes    " LONGEST_NODES " /etc/y\n"));
	assert_non_null(strstr(text, "no, 4.0K off /m\n"));
	free(text);
	(void)json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_says_it_all),
		cmocka_unit_test(what_was_not_measured_is_a_dash),
		cmocka_unit_test(a_failed_action_says_why),
		cmocka_unit_test(a_move_tells_what_it_moved),
		cmocka_unit_test(hostile_names_do_not_reach_the_terminal),
		cmocka_unit_test(an_empty_status_says_so),
		cmocka_unit_test(explain_reads_like_an_answer),
		cmocka_unit_test(explain_has_both_sides),
		cmocka_unit_test(explain_copes_with_nothing),
		cmocka_unit_test(many_runs_are_cut_off_and_counted),
		cmocka_unit_test(a_plan_is_summed_up),
		cmocka_unit_test(a_finding_that_takes_two_samples_says_so),
		cmocka_unit_test(a_plan_says_whether_a_nudge_is_due),
		cmocka_unit_test(show_names_the_origin_and_the_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
