/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memslots as thpctl shows them, and what VMs and hosts lack. */
#include "views_bench.h"

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
		cmocka_unit_test(memslots_are_a_table),
		cmocka_unit_test(no_memslots_and_none_told_are_two_answers),
		cmocka_unit_test(what_lacks_is_told_with_the_way_to_it),
		cmocka_unit_test(doctor_tells_what_lacks),
		cmocka_unit_test(doctor_adds_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
