/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom thpctl asks about, and how far what it waits for is. */
#include "views_bench.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(progress_is_found_and_judged),
		cmocka_unit_test(a_vm_is_chosen_as_the_daemon_does),
		cmocka_unit_test(a_missing_vm_is_named_with_those_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
