/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>

#include "kvm_view.h"
#include "report_json.h"
#include "snapshot_builder.h"
#include "thpd.h"

static struct json_object *parse(char *text)
{
	struct json_object *object = json_tokener_parse(text);

	free(text);
	assert_non_null(object);
	return object;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no member \"%s\"", key);
	return value;
}

static uint64_t number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(member(object, key));
}

static const char *text(struct json_object *object, const char *key)
{
	return json_object_get_string(member(object, key));
}

static struct json_object *plan(const char *snapshot)
{
	const char *why = NULL;
	char *json = NULL;

	if (thpd_plan_snapshot(snapshot, strlen(snapshot), &json, &why) < 0)
		fail_msg("not accepted: %s", why);
	return parse(json);
}

/* As an operator might send it: 4 blocks to remap, 2 to copy, 1 never touched, 1 not looked at. */
static const char snapshot_text[] =
	"{\"version\":1,\"taken_ns\":5000000000,"
	"\"geometry\":{\"base_shift\":12,\"pmd_order\":9,\"pud_order\":18},"
	"\"host\":{\"features\":511,\"kernel_release\":\"6.18.44\",\"is_uffd_seen\":false},"
	"\"vm\":{\"pid\":4711,\"starttime\":99,\"name\":\"vm1\"},"
	"\"regions\":[{\"start\":\"0x7f0000000000\",\"end\":\"0x7f0001000000\","
	"\"backing\":\"shmem\",\"is_shared\":true,\"are_flags_known\":true,"
	"\"eligibility\":\"yes\"}],"
	"\"sights\":["
	"{\"start\":\"0x7f0000000000\",\"blocks\":2,\"seen\":\"small\",\"fill\":16,"
	"\"present_pages\":1024},"
	"{\"start\":\"0x7f0000400000\",\"blocks\":4,\"seen\":\"folio\"},"
	"{\"start\":\"0x7f0000c00000\",\"blocks\":1,\"seen\":\"nothing\"}]}";

static void test_version(void **state)
{
	(void)state;
	assert_string_equal(thpd_version(), THPD_VERSION);
	assert_in_range(thpd_version()[0], '0', '9');
}

static void test_plan_has_totals(void **state)
{
	struct json_object *object = plan(snapshot_text), *totals = member(object, "totals");

	(void)state;
	assert_int_equal(number(totals, "ram_bytes"), 8 * BLOCK);
	assert_int_equal(number(totals, "resident_bytes"), 6 * BLOCK);
	assert_int_equal(number(totals, "huge_bytes"), 0);
	assert_int_equal(number(totals, "remappable_bytes"), 4 * BLOCK);
	assert_int_equal(number(totals, "copyable_bytes"), 2 * BLOCK);
	assert_int_equal(number(totals, "held_back_bytes"), 0);
	assert_int_equal(number(totals, "barred_bytes"), 0);
	assert_int_equal(number(totals, "unknown_bytes"), BLOCK);
	assert_int_equal(number(totals, "swapped_bytes"), 0);
	assert_int_equal(number(totals, "empty_bytes"), BLOCK);
	assert_int_equal(number(member(totals, "reasons"), "pte-mapped-folio"), 4 * BLOCK);
	assert_int_equal(number(member(totals, "reasons"), "small-folios"), 2 * BLOCK);
	assert_false(json_object_object_get_ex(member(totals, "reasons"), "ksm", NULL));
	json_object_put(object);
}

static void test_plan_has_runs(void **state)
{
	struct json_object *object = plan(snapshot_text), *runs = member(object, "runs"), *run;

	(void)state;
	assert_int_equal(json_object_array_length(runs), 4);
	run = json_object_array_get_idx(runs, 0);
	assert_string_equal(text(run, "start"), "0x7f0000000000");
	assert_int_equal(number(run, "bytes"), 2 * BLOCK);
	assert_string_equal(text(run, "state"), "copyable");
	assert_string_equal(text(run, "reason"), "small-folios");
	assert_string_equal(text(run, "sentence"), reason_sentence(REASON_SMALL_FOLIOS));
	assert_string_equal(text(run, "cure"), reason_cure(REASON_SMALL_FOLIOS));
	assert_int_equal(number(run, "resident_bytes"), 2 * BLOCK);
	run = json_object_array_get_idx(runs, 3);
	assert_string_equal(text(run, "reason"), "not-looked-yet");
	assert_false(json_object_object_get_ex(run, "resident_bytes", NULL));
	json_object_put(object);
}

static void test_plan_has_actions(void **state)
{
	struct json_object *object = plan(snapshot_text), *actions = member(object, "actions");
	struct json_object *first = json_object_array_get_idx(actions, 0),
			   *second = json_object_array_get_idx(actions, 1);

	(void)state;
	assert_int_equal(json_object_array_length(actions), 2);
	assert_string_equal(text(first, "kind"), "remap");
	assert_string_equal(text(first, "start"), "0x7f0000400000");
	assert_int_equal(number(first, "bytes"), 4 * BLOCK);
	assert_int_equal(number(first, "gain_bytes"), 4 * BLOCK);
	assert_int_equal(number(first, "id"), 1);
	assert_string_equal(text(second, "kind"), "copy");
	assert_int_equal(number(second, "id"), 2);
	json_object_put(object);
}

/* 64 MiB, all of it huge on the host and small in KVM's eyes, for ten seconds. */
static void begin_small(struct snapshot *s)
{
	build_begin(s);
	s->policy.nudge = NUDGE_AUTO;
	build_region(s, BASE, 32 * BLOCK, BACKING_SHMEM);
	build_sight(s, BASE, 32, SEEN_HUGE, FILL_FULL);
	s->kvm_before = (struct kvm_counts){KVM_SOURCE_VMM, .read_ns = 1, .pages_4k = 32 * 512};
	s->kvm = s->kvm_before;
	s->kvm.read_ns += KVM_SAMPLES_APART_NS;
}

static void tell(struct snapshot *s, gpa_t gpa)
{
	struct memslot *slot = malloc(sizeof(*slot));

	assert_non_null(slot);
	*slot = (struct memslot){.gpa = gpa, .bytes = 32 * BLOCK, .hva = BASE};
	assert_int_equal(snapshot_take_memslots(s, &slot, 1), 0);
}

static struct json_object *plan_of(const struct snapshot *s)
{
	struct json_object *object;
	char *json = NULL;

	assert_int_equal(snapshot_to_json(s, false, &json), 0);
	object = plan(json);
	free(json);
	return object;
}

static void assert_kvm(const struct snapshot *s, const char *findings, bool lacks_sample,
		       const char *held)
{
	struct json_object *object = plan_of(s), *kvm = member(object, "kvm"),
			   *found = member(kvm, "findings"), *nudge = member(object, "nudge_held");
	char slugs[256] = "";

	for (size_t i = 0; i < json_object_array_length(found); i++) {
		strcat(slugs, i ? " " : "");
		strcat(slugs, text(json_object_array_get_idx(found, i), "reason"));
	}
	assert_string_equal(slugs, findings);
	assert_string_equal(text(kvm, "source"), "vmm");
	assert_int_equal(number(kvm, "mapped_bytes"), 32 * BLOCK);
	assert_int_equal(number(kvm, "pages_4k"), 32 * 512);
	assert_int_equal(json_object_get_boolean(member(kvm, "lacks_sample")), lacks_sample);
	if (held)
		assert_string_equal(text(nudge, "reason"), held);
	else
		assert_null(nudge);
	json_object_put(object);
}

static void test_plan_has_kvms_view(void **state)
{
	struct snapshot s;

	(void)state;
	begin_small(&s);
	assert_kvm(&s, "kvm-small-under-huge-host", false, "memslots-not-told");
	tell(&s, 0);
	assert_kvm(&s, "kvm-small-under-huge-host", false, NULL);
	s.nudge_held = REASON_NUDGED_IN_VAIN;
	assert_kvm(&s, "kvm-small-under-huge-host", false, "nudged-in-vain");
	s.kvm.read_ns--;
	assert_kvm(&s, "", true, "nothing-to-nudge");
	s.is_migrating = ANSWER_YES;
	assert_kvm(&s, "dirty-logging-on", false, "dirty-logging-on");
	s.is_migrating = ANSWER_NO;
	tell(&s, PAGE);
	assert_kvm(&s, "slot-not-congruent", false, "nothing-to-nudge");
	s.policy.nudge = NUDGE_OFF;
	assert_kvm(&s, "slot-not-congruent", false, "policy-off");
	snapshot_clear(&s);
}

/* The first finding is. */
static bool is_inferred(struct json_object *kvm)
{
	struct json_object *finding = json_object_array_get_idx(member(kvm, "findings"), 0);

	return json_object_get_boolean(member(finding, "inferred"));
}

/* What memslots explain is known without a count. */
static void test_plan_has_findings_without_counts(void **state)
{
	struct json_object *object, *kvm;
	struct snapshot s;

	(void)state;
	begin_small(&s);
	s.kvm = (struct kvm_counts){.source = KVM_SOURCE_NONE};
	object = plan_of(&s);
	assert_null(member(object, "kvm"));
	assert_string_equal(text(member(object, "nudge_held"), "cure"),
			    reason_cure(REASON_MEMSLOTS_NOT_TOLD));
	json_object_put(object);
	tell(&s, PAGE);
	object = plan_of(&s);
	kvm = member(object, "kvm");
	assert_string_equal(text(kvm, "source"), "none");
	assert_int_equal(json_object_array_length(member(kvm, "findings")), 1);
	assert_false(is_inferred(kvm));
	json_object_put(object);
	s.are_memslots_known = false;
	s.memslots_inferred_ns = 1;
	object = plan_of(&s);
	assert_true(is_inferred(member(object, "kvm")));
	json_object_put(object);
	snapshot_clear(&s);
}

/* What the daemon decided is what the operator gets from its snapshot. */
static void test_written_snapshots_are_planned_alike(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		uint64_t random = seed * 7919;
		struct diagnosis d = DIAGNOSIS_INIT;
		struct json_object *object, *expected;
		struct snapshot s;
		char *json = NULL;

		build_random(&s, &random);
		assert_int_equal(diagnose(&s, s.taken_ns, &d), 0);
		assert_int_equal(snapshot_to_json(&s, false, &json), 0);
		object = plan(json);
		expected = runs_to_json(d.runs, d.n_runs);
		assert_non_null(expected);
		assert_true(json_object_equal(member(object, "runs"), expected));
		json_object_put(expected);
		expected = totals_to_json(&d.totals);
		assert_true(json_object_equal(member(object, "totals"), expected));
		json_object_put(expected);
		json_object_put(object);
		diagnosis_clear(&d);
		snapshot_clear(&s);
		free(json);
	}
}

#define GEOMETRY                                                                               \
	"{\"version\":1,\"taken_ns\":5,\"geometry\":{\"base_shift\":12,\"pmd_order\":9,\"pud_" \
	"order\":"                                                                             \
	"18},\"vm\":{\"pid\":4711,\"name\":\"vm1\"}"

static struct json_object *memslots(const char *snapshot)
{
	const char *why = NULL;
	char *json = NULL;

	if (thpd_memslots(snapshot, strlen(snapshot), &json, &why) < 0)
		fail_msg("not accepted: %s", why);
	return parse(json);
}

static void test_memslots_that_nobody_told(void **state)
{
	struct json_object *object = memslots(GEOMETRY "}");

	(void)state;
	assert_string_equal(text(object, "name"), "vm1");
	assert_int_equal(number(object, "pid"), 4711);
	assert_false(json_object_get_boolean(member(object, "known")));
	assert_int_equal(json_object_array_length(member(object, "memslots")), 0);
	json_object_put(object);
}

static void check_slot(struct json_object *table, size_t i, enum reason reason, uint64_t off_by,
		       const char *flags)
{
	struct json_object *slot = json_object_array_get_idx(member(table, "memslots"), i);

	assert_int_equal(number(slot, "slot"), i);
	assert_string_equal(text(slot, "reason"), reason_slug(reason));
	assert_int_equal(json_object_get_boolean(member(slot, "can_be_huge")),
			 reason == REASON_NONE);
	assert_int_equal(number(slot, "misaligned_bytes"), off_by);
	assert_string_equal(
		json_object_to_json_string_ext(member(slot, "flags"), JSON_C_TO_STRING_PLAIN),
		flags);
}

static void test_memslots_are_judged(void **state)
{
	struct json_object
		*object = memslots(
			GEOMETRY
			",\"are_memslots_known\":true,\"memslots\":["
			"{\"slot\":0,\"gpa\":\"0x0\",\"bytes\":655360,\"hva\":\"0x200000\"},"
			"{\"slot\":1,\"gpa\":\"0x100000\",\"bytes\":4194304,\"hva\":"
			"\"0x300000\",\"flags\":1},"
			"{\"slot\":2,\"gpa\":\"0x600000\",\"bytes\":2097152,\"hva\":"
			"\"0x7ff000\",\"flags\":2},"
			"{\"slot\":3,\"gpa\":\"0x801000\",\"bytes\":8388608,\"hva\":"
			"\"0xa00000\",\"flags\":7,\"address_space\":1}]}"),
		*slot = json_object_array_get_idx(member(object, "memslots"), 3);

	(void)state;
	assert_true(json_object_get_boolean(member(object, "known")));
	assert_false(json_object_get_boolean(member(object, "inferred")));
	check_slot(object, 0, REASON_SLOT_HEAD_TAIL, 0, "[]");
	check_slot(object, 1, REASON_NONE, 0, "[\"log-dirty\"]");
	check_slot(object, 2, REASON_SLOT_NOT_CONGRUENT, BLOCK - PAGE, "[\"readonly\"]");
	check_slot(object, 3, REASON_SEV_OR_GUEST_MEMFD, BLOCK - PAGE,
		   "[\"log-dirty\",\"readonly\",\"guest-memfd\"]");
	assert_string_equal(text(slot, "gpa"), "0x801000");
	assert_string_equal(text(slot, "hva"), "0xa00000");
	assert_int_equal(number(slot, "bytes"), 8388608);
	assert_int_equal(number(slot, "address_space"), 1);
	json_object_put(object);
}

static void test_inferred_memslots_are_told_as_such(void **state)
{
	struct json_object
		*object = memslots(
			GEOMETRY
			",\"memslots_inferred_ns\":1,\"memslots\":["
			"{\"slot\":9,\"gpa\":\"0x0\",\"bytes\":4194304,\"hva\":\"0x201000\"}]}"),
		*slot = json_object_array_get_idx(member(object, "memslots"), 0);

	(void)state;
	assert_true(json_object_get_boolean(member(object, "known")));
	assert_true(json_object_get_boolean(member(object, "inferred")));
	assert_int_equal(number(object, "age_ns"), 4);
	assert_false(json_object_object_get_ex(object, "reason", NULL));
	assert_false(json_object_object_get_ex(slot, "slot", NULL)); /* nobody knows its number */
	assert_string_equal(text(slot, "reason"), "slot-not-congruent");
	assert_int_equal(number(slot, "misaligned_bytes"), PAGE);
	json_object_put(object);
}

static void test_untold_memslots_have_a_reason(void **state)
{
	struct json_object *object =
		memslots(GEOMETRY ",\"vm\":{\"exe\":\"/usr/bin/cloud-hypervisor\"}}");

	(void)state;
	assert_false(json_object_get_boolean(member(object, "known")));
	assert_string_equal(text(object, "reason"), reason_slug(REASON_VMM_HAS_NO_WAY));
	assert_string_equal(text(object, "sentence"), reason_sentence(REASON_VMM_HAS_NO_WAY));
	assert_string_equal(text(object, "cure"), reason_cure(REASON_VMM_HAS_NO_WAY));
	json_object_put(object);
}

static void test_bad_snapshots_are_refused_with_a_reason(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"version\":1}",
		("{\"version\":1,\"taken_ns\":1,"
		 "\"geometry\":{\"base_shift\":12,\"pmd_order\":63,\"pud_order\":18}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *why = NULL;
		char *json = NULL;

		assert_true(thpd_plan_snapshot(texts[i], strlen(texts[i]), &json, &why) < 0);
		assert_null(json);
		assert_non_null(why);
		assert_true(thpd_plan_snapshot(texts[i], strlen(texts[i]), &json, NULL) < 0);
		why = NULL;
		assert_true(thpd_memslots(texts[i], strlen(texts[i]), &json, &why) < 0);
		assert_null(json);
		assert_non_null(why);
	}
}

static void test_reasons(void **state)
{
	struct json_object *array;
	char *json = NULL;

	(void)state;
	assert_int_equal(thpd_reasons(&json), 0);
	array = parse(json);
	assert_int_equal(json_object_array_length(array), REASON_MAX - 1);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *reason = json_object_array_get_idx(array, i);
		enum reason found;

		assert_int_equal(reason_from_slug(text(reason, "slug"), &found), 0);
		assert_int_equal(found, i + 1);
		assert_string_equal(text(reason, "sentence"), reason_sentence(found));
		assert_string_equal(text(reason, "cure"), reason_cure(found));
	}
	json_object_put(array);
}

/* On whatever host this runs: an answer that is complete, or a sentence why there is none. */
static void test_doctor(void **state)
{
	const char *why = NULL;
	char *json = NULL;
	struct json_object *object;
	bool is_ok = true;

	(void)state;
	if (thpd_doctor(&json, &why) < 0) {
		assert_null(json);
		assert_non_null(why);
		return;
	}
	object = parse(json);
	assert_true(json_object_array_length(member(object, "checks")) >= 10);
	for (size_t i = 0; i < json_object_array_length(member(object, "checks")); i++) {
		struct json_object *check = json_object_array_get_idx(member(object, "checks"), i);

		assert_non_null(text(check, "id"));
		assert_non_null(text(check, "cure"));
		assert_string_not_equal(text(check, "text"), "");
		is_ok = is_ok && strcmp(text(check, "result"), "fail") != 0;
	}
	assert_int_equal(json_object_get_boolean(member(object, "ok")), is_ok);
	json_object_put(object);
}

static void test_record_says_why_not(void **state)
{
	const char *why = NULL;

	(void)state;
	assert_true(thpd_record(-1, NULL, 0, 1, &why) < 0);
	assert_non_null(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_plan_has_totals),
		cmocka_unit_test(test_plan_has_runs),
		cmocka_unit_test(test_plan_has_actions),
		cmocka_unit_test(test_plan_has_kvms_view),
		cmocka_unit_test(test_plan_has_findings_without_counts),
		cmocka_unit_test(test_written_snapshots_are_planned_alike),
		cmocka_unit_test(test_memslots_that_nobody_told),
		cmocka_unit_test(test_memslots_are_judged),
		cmocka_unit_test(test_inferred_memslots_are_told_as_such),
		cmocka_unit_test(test_untold_memslots_have_a_reason),
		cmocka_unit_test(test_bad_snapshots_are_refused_with_a_reason),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_doctor),
		cmocka_unit_test(test_record_says_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
