/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What thpctl makes of the daemon's JSON: rows, words, bars, checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "choice.h"
#include "document.h"
#include "field.h"
#include "progress.h"
#include "view_explain.h"
#include "view_memslots.h"
#include "view_plan.h"
#include "view_show.h"
#include "view_status.h"

#define CAPTURE(call)                                     \
	({                                                \
		char *text_ = NULL;                       \
		size_t size_;                             \
		FILE *f = open_memstream(&text_, &size_); \
		assert_non_null(f);                       \
		call;                                     \
		(void)fclose(f);                          \
		text_;                                    \
	})

static const struct args plain = {.has_legend = true};
static const struct args bare = {.has_legend = false, .is_raw = true};

static struct json_object *parse(const char *text)
{
	struct json_object *o = document_parse(text);

	assert_non_null(o);
	return o;
}

static void assert_row(const char *vm, const char *const *expected)
{
	struct json_object *o = parse(vm);
	struct table_row row;

	view_status_row(o, &plain, 1000000000, &row);
	for (size_t i = 0; i < STATUS_COLUMNS; i++)
		assert_string_equal(row.cells[i], expected[i]);
	(void)json_object_put(o);
}

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
		"\"bytes\":6291456,\"sentence\":\"It is small.\",\"cure\":\"Wait.\"}]}}");
	char *text = CAPTURE(assert_int_equal(view_explain_print(f, o, &plain, false), 0));

	(void)state;
	assert_non_null(strstr(text, "\nKVM: 25.0% of the 8.0M that it maps into the guest is by "
				     "huge pages (by the kernel's debugfs).\n"));
	assert_non_null(strstr(text, "\nLast nudge: done, by qmp/calc-dirty-rate.\n"));
	assert_non_null(strstr(text, "\nodd (6.0M)\n    It is small.\n    What to do: Wait.\n"));
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

static void progress_is_found_and_judged(void **state)
{
	struct json_object *o =
		parse("{\"vms\":[{\"name\":\"a\",\"pid\":5,\"uuid\":\"AB-cd\",\"huge_bytes\":989,"
		      "\"resident_bytes\":1000,\"remappable_bytes\":1,\"copyable_bytes\":2,"
		      "\"kvm\":{\"huge_bytes\":2048,\"mapped_bytes\":4096},"
		      "\"phase\":\"acting\"},{\"name\":\"b\",\"pid\":6,\"uuid\":\"\"}]}");
	struct progress p, q;
	char text[160];

	(void)state;
	assert_null(progress_find(o, "c"));
	assert_null(progress_find(o, ""));
	assert_non_null(progress_find(o, "6"));
	assert_int_equal(progress_count(o, "a"), 1);
	assert_int_equal(progress_count(o, "c"), 0);
	assert_ptr_equal(progress_find(o, "ab-CD"), progress_find(o, "a"));
	progress_read(progress_find(o, "5"), &p);
	assert_true(progress_meets(&p, 9890));
	assert_false(progress_meets(&p, 9891));
	progress_format(&p, true, false, text, sizeof(text));
	assert_string_equal(text, "[#############################.]  98.9% huge, 3B left, acting");
	q = p;
	q.to_populate_bytes = 989;
	progress_format(&q, true, false, text, sizeof(text));
	assert_string_equal(text,
			    "[##############................]  98.9% huge, 992B left, acting");
	q = p;
	assert_false(progress_differs(&p, &q));
	q.huge_bytes = 900;
	assert_true(progress_differs(&p, &q));
	assert_true(p.kvm_mapped_bytes == 4096 && p.kvm_huge_bytes == 2048);
	progress_read(progress_find(o, "b"), &p);
	assert_true(p.kvm_mapped_bytes == 0 && p.kvm_huge_bytes == 0);
	assert_false(progress_is_measurable(&p));
	assert_false(progress_meets(&p, 0)); /* nothing resident: nothing was reached */
	p.unknown_bytes = 1;
	assert_true(progress_is_measurable(&p));
	assert_false(progress_meets(&p, 1));
	(void)json_object_put(o);
}

static void a_vm_is_chosen_as_the_daemon_does(void **state)
{
	static const struct {
		const char *who;
		int r;
		uint64_t pid;
	} rows[] = {
		{"a", 0, 5},
		{"6", 0, 6},
		{"AB-CD", 0, 5},
		{"7", 0, 7}, /* the pid, not the name */
		{"twin", -ENOTUNIQ, 0},
		{"nobody", -ENOENT, 0},
		{"", -ENOENT, 0},
		{"05", -ENOENT, 0},
	};
	struct json_object *o =
		parse("{\"vms\":[{\"name\":\"a\",\"pid\":5,\"uuid\":\"ab-cd\"},"
		      "{\"name\":\"7\",\"pid\":6,\"uuid\":\"\"},{\"name\":\"twin\",\"pid\":7},"
		      "{\"name\":\"twin\",\"pid\":8},{},null,3]}");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_object *vm = NULL;

		assert_int_equal(choice_find(o, rows[i].who, &vm), rows[i].r);
		assert_int_equal(field_u64_or_0(vm, "pid"), rows[i].pid);
	}
	(void)json_object_put(o);
}

static void a_missing_vm_is_named_with_those_there_are(void **state)
{
	struct json_object *o = parse("{\"vms\":[{\"name\":\"a\"},{\"name\":\"b\\u001b\"}]}");
	char text[128], brief[16];

	(void)state;
	choice_problem(-ENOENT, o, "x\033", text, sizeof(text));
	assert_string_equal(text, "There is no VM 'x?'. Known: a, b?.");
	choice_problem(-ENOENT, NULL, "x", text, sizeof(text));
	assert_string_equal(text, "There is no VM 'x'. Known: none.");
	choice_problem(-ENOTUNIQ, o, "a", text, sizeof(text));
	assert_string_equal(text, "Several VMs are called 'a'; use the UUID or the pid.");
	choice_problem(-ENOENT, o, "x", brief, sizeof(brief));
	assert_string_equal(brief, "There is no VM ");
	(void)json_object_put(o);
}

static void memslots_are_a_table(void **state)
{
	struct json_object *o = parse(
		"{\"name\":\"a\",\"known\":true,\"memslots\":["
		"{\"slot\":0,\"address_space\":0,\"gpa\":\"0x0\",\"bytes\":655360,\"hva\":"
		"\"0x7f0000000000\",\"flags\":[],\"can_be_huge\":false,\"reason\":"
		"\"slot-head-tail\",\"misaligned_bytes\":0},"
		"{\"slot\":1,\"address_space\":0,\"gpa\":\"0x100000\",\"bytes\":2147483648,"
		"\"hva\":\"0x7f0000100000\",\"flags\":[\"log-dirty\"],\"can_be_huge\":true,"
		"\"reason\":\"none\",\"misaligned_bytes\":0},"
		"{\"slot\":2,\"address_space\":0,\"gpa\":\"0x100000000\",\"bytes\":4194304,"
		"\"hva\":\"0x7f00900ff000\",\"flags\":[\"log-dirty\",\"readonly\"],"
		"\"can_be_huge\":false,\"reason\":\"slot-not-congruent\",\"misaligned_bytes\":"
		"1044480},"
		"{\"slot\":3,\"address_space\":1,\"gpa\":\"0x0\",\"bytes\":4096,\"hva\":"
		"\"0x1000\",\"flags\":[\"guest-memfd\"],\"can_be_huge\":false,\"reason\":"
		"\"sev-or-guest-memfd\",\"misaligned_bytes\":4096},"
		"{\"slot\":4,\"reason\":\"of a later version\"}]}");
	char *text = CAPTURE(assert_int_equal(view_memslots_print(f, o, &plain), 0));

	(void)state;
	assert_true(view_memslots_are_known(o));
	assert_string_equal(
		text,
		"SLOT AS         GPA   SIZE            HVA FLAGS              HUGE\n"
		"   0  0         0x0 640.0K 0x7f0000000000 -                  no, too short\n"
		"   1  0    0x100000   2.0G 0x7f0000100000 log-dirty          yes\n"
		"   2  0 0x100000000   4.0M 0x7f00900ff000 log-dirty,readonly no, 1020.0K off\n"
		"   3  1         0x0   4.0K         0x1000 guest-memfd        guest-memfd\n"
		"   4  -           -      -              - -                  -\n"
		"KVM can never map 1 of 5 slots huge (slot-not-congruent; see thpctl explain).\n");
	free(text);
	text = CAPTURE(assert_int_equal(view_memslots_print(f, o, &bare), 0));
	assert_non_null(strstr(text, " 655360 "));
	assert_non_null(strstr(text, "no, 1044480 off\n"));
	assert_null(strstr(text, "SLOT"));
	assert_null(strstr(text, "KVM can"));
	free(text);
	(void)json_object_put(o);
}

static void no_memslots_and_none_told_are_two_answers(void **state)
{
	struct json_object *none = parse("{\"known\":true,\"memslots\":[]}"),
			   *untold =
				   parse("{\"name\":\"evil\\u001b[31m\",\"known\":false,"
					 "\"sentence\":\"Untold.\",\"cure\":\"None\\u001b[2J.\"}");
	char *text = CAPTURE(assert_int_equal(view_memslots_print(f, none, &plain), 0));

	(void)state;
	assert_string_equal(text, "The VM has no memslots.\n");
	free(text);
	assert_false(view_memslots_are_known(untold));
	text = CAPTURE(view_memslots_print_unknown(f, untold));
	assert_string_equal(text, "thpctl: the memslots of evil?[31m are not known: Untold.\n"
				  "None?[2J.\n");
	free(text);
	(void)json_object_put(none);
	(void)json_object_put(untold);
}

#define HINT                                                                             \
	"\"hint\":{\"lacks\":[\"kvm-counts\",\"nudge\"],\"reason\":\"through-libvirt\"," \
	"\"sentence\":\"It is libvirt's.\",\"cure\":\"Ask virsh\\u001b[2J.\"}"

static void what_lacks_is_told_with_the_way_to_it(void **state)
{
	struct json_object *explanation = parse("{\"name\":\"a\",\"runs\":[]," HINT "}"),
			   *status = parse("{\"vms\":[{\"name\":\"a\"," HINT "},"
					   "{\"name\":\"b\",\"hint\":null}],\"host\":{}}");
	char *text = CAPTURE(view_explain_print(f, explanation, &plain, false));

	(void)state;
	assert_non_null(strstr(text, "\nthrough-libvirt (for kvm-counts, nudge)\n"
				     "    It is libvirt's.\n    What to do: Ask virsh?[2J.\n"));
	free(text);
	/* It is the whole VM's. */
	text = CAPTURE(view_explain_print(f, explanation, &plain, true));
	assert_null(strstr(text, "libvirt"));
	free(text);
	text = CAPTURE(assert_int_equal(view_status_print(f, status, &bare, 0), 0));
	assert_null(strstr(text, "Note"));
	free(text);
	text = CAPTURE(assert_int_equal(view_status_print(f, status, &plain, 0), 0));
	assert_non_null(strstr(text, "Note: a: through-libvirt; thpctl explain a\n"));
	assert_null(strstr(text, "Note: b"));
	free(text);
	(void)json_object_put(explanation);
	(void)json_object_put(status);
}

/* Neither is a failure: nothing is wrong with the guest. */
static void doctor_tells_what_lacks(void **state)
{
	struct json_object *report = parse("{\"checks\":[],\"ok\":true}");
	struct json_object *reasons =
		parse("[{\"slug\":\"dirty-logging-for-life\",\"cure\":\"Track nothing.\"}]");
	struct json_object *status =
		parse("{\"vms\":[{\"name\":\"a\",\"pid\":9," HINT "},{\"name\":\"fc\",\"pid\":10,"
		      "\"logged_for_life\":\"yes\"},{\"name\":\"b\",\"logged_for_life\":"
		      "\"unknown\"}],\"host\":{}}");
	char *text;

	(void)state;
	assert_int_equal(checks_add_status(report, status, reasons), 0);
	assert_true(checks_are_ok(report));
	text = CAPTURE(checks_print(f, report, true));
	assert_non_null(strstr(text,
			       "note  guest-through-libvirt\n      a (pid 9): It is libvirt's."
			       "\n      What to do: Ask virsh?[2J.\n"));
	assert_non_null(strstr(text, "warn  guest-dirty-logging-for-life\n      fc (pid 10): "));
	assert_non_null(strstr(text, "What to do: Track nothing."));
	assert_null(strstr(text, "b (pid"));
	assert_non_null(strstr(text, "Nothing stands in the way."));
	free(text);
	(void)json_object_put(report);
	(void)json_object_put(reasons);
	(void)json_object_put(status);
}

static void doctor_adds_the_guests(void **state)
{
	struct json_object *report =
		parse("{\"checks\":[{\"id\":\"kernel\",\"result\":\"ok\","
		      "\"text\":\"fine\",\"cure\":\"unneeded\"}],\"ok\":true}");
	struct json_object *reasons = parse("[{\"slug\":\"ksm\",\"cure\":\"no\"},{\"slug\":"
					    "\"misaligned-mapping\",\"cure\":\"Align.\"}]");
	struct json_object *good = parse("{\"vms\":[{\"name\":\"a\",\"reasons\":{}}],\"host\":{}}");
	struct json_object *bad =
		parse("{\"vms\":[{\"name\":\"c\",\"pid\":9,\"reasons\":"
		      "{\"misaligned-mapping\":2097152}}],\"host\":{\"lost\":[\"PFN\"],"
		      "\"config_problems\":3}}");
	char *text;

	(void)state;
	assert_int_equal(checks_add_status(report, good, reasons), 0);
	assert_true(checks_are_ok(report));
	assert_int_equal(checks_add_status(report, bad, reasons), 0);
	assert_false(checks_are_ok(report));
	/* A failure that was there before is not forgotten. */
	assert_int_equal(checks_add_status(report, good, reasons), 0);
	assert_false(checks_are_ok(report));
	text = CAPTURE(checks_print(f, report, true));
	assert_non_null(strstr(text, "c (pid 9): 2.0M of its memory"));
	assert_non_null(strstr(text, "What to do: Align."));
	assert_non_null(strstr(text, "warn  daemon-rights"));
	assert_non_null(strstr(text, "1 of 6 checks failed."));
	assert_null(strstr(text, "unneeded"));
	free(text);
	(void)json_object_put(report);
	(void)json_object_put(reasons);
	(void)json_object_put(good);
	(void)json_object_put(bad);
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
		cmocka_unit_test(progress_is_found_and_judged),
		cmocka_unit_test(a_vm_is_chosen_as_the_daemon_does),
		cmocka_unit_test(a_missing_vm_is_named_with_those_there_are),
		cmocka_unit_test(memslots_are_a_table),
		cmocka_unit_test(no_memslots_and_none_told_are_two_answers),
		cmocka_unit_test(what_lacks_is_told_with_the_way_to_it),
		cmocka_unit_test(doctor_tells_what_lacks),
		cmocka_unit_test(doctor_adds_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
