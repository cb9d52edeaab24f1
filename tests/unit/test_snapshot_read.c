/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes in: what is missing, unknown, wrong, hostile. */
#include "snapshot_samples.h"

/* ---- What comes in ---- */

#define GEOMETRY     "\"geometry\":{\"base_shift\":12,\"pmd_order\":9,\"pud_order\":18}"
#define HEAD	     "{\"version\":1,\"taken_ns\":5," GEOMETRY
#define REGION	     "{\"start\":\"0x200000\",\"end\":\"0xa00000\",\"backing\":\"shmem\"}"
#define SIGHTS(list) HEAD ",\"regions\":[" REGION "],\"sights\":[" list "]}"
#define SLOT(gpa, space) \
	"{\"gpa\":\"" gpa "\",\"bytes\":4096,\"hva\":\"0x200000\",\"address_space\":" space "}"
#define SIGHT(more) SIGHTS("{\"start\":\"0x200000\",\"blocks\":1" more "}")

static void check_refused(const char *text, size_t size, const char *expected_why)
{
	struct snapshot s = SNAPSHOT_INIT;
	const char *why = "";

	s.taken_ns = 4711;
	if (snapshot_from_json(text, size, &s, &why) != -EINVAL)
		fail_msg("accepted: %.200s", text);
	if (!strstr(why, expected_why))
		fail_msg("expected \"%s\", it says \"%s\": %.200s", expected_why, why, text);
	assert_int_equal(s.taken_ns, 4711);
	assert_null(s.regions);
	assert_int_equal(snapshot_from_json(text, size, &s, NULL), -EINVAL);
}

static void check_accepted(const char *text, struct snapshot *ret)
{
	const char *why = "";

	if (snapshot_from_json(text, strlen(text), ret, &why) != 0)
		fail_msg("refused: %s: %s", why, text);
}

static void missing_is_unknown(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(SIGHT(""), &s);
	assert_int_equal(s.taken_ns, 5);
	assert_true(s.host.is_uffd_seen);
	assert_int_equal(s.vm.memcg_headroom_bytes, UINT64_MAX);
	assert_int_equal(s.policy.min_populated_bp, 10000);
	assert_int_equal(s.regions[0].edge_present_pages, UINT64_MAX);
	assert_int_equal(s.regions[0].eligibility, ELIGIBILITY_UNKNOWN);
	assert_false(s.regions[0].are_flags_known);
	assert_null(s.regions[0].path);
	assert_int_equal(s.sights[0].seen, SEEN_UNKNOWN);
	assert_int_equal(s.sights[0].fill, FILL_UNKNOWN);
	assert_int_equal(s.sights[0].node, -1);
	assert_false(s.are_memslots_known);
	assert_int_equal(s.populate_held, REASON_POLICY_OFF);
	assert_int_equal(s.nudge_held, REASON_POLICY_OFF);
	snapshot_clear(&s);
}

static void a_vm_without_memslots_is_another_one_than_one_that_tells_none(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(HEAD ",\"are_memslots_known\":true,\"memslots\":[]}", &s);
	assert_true(s.are_memslots_known);
	assert_int_equal(s.n_memslots, 0);
	check_round_trip(&s, false);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "0") "]}",
		       &s);
	assert_int_equal(s.memslots[0].flags | s.memslots[0].slot | s.memslots[0].address_space, 0);
	snapshot_clear(&s);
}

static void memslots_are_told_or_inferred(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(HEAD ",\"memslots_inferred_ns\":7,\"memslots\":[" SLOT("0x0", "0") "]}", &s);
	assert_false(s.are_memslots_known);
	assert_int_equal(s.memslots_inferred_ns, 7);
	assert_int_equal(s.n_memslots, 1);
	check_round_trip(&s, false);
	snapshot_clear(&s);
}

static void unknown_is_skipped(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(SIGHT(",\"colour\":{\"deep\":[1.5,null,{\"er\":[]}]},\"node\":3"), &s);
	assert_int_equal(s.sights[0].node, 3);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"x\":[0.99999999999999999999999,1e400,99999999999999999999.5,-1]}",
		       &s);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"x\":\"\\\"99999999999999999999999\"}", &s);
	snapshot_clear(&s);
	check_accepted(" " HEAD ",\"future\":\"\\u0000\"}\n\n", &s);
	snapshot_clear(&s);
}

static void the_last_of_two_equal_keys_counts(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(HEAD
		       ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		       "\"path\":\"a\",\"path\":\"b\"}],\"regions\":[" REGION "]}",
		       &s);
	assert_int_equal(s.n_regions, 1);
	assert_int_equal(s.regions[0].backing, BACKING_SHMEM);
	snapshot_clear(&s);
}

static void wrong_members_are_named(void **state)
{
	static const char *const cases[][2] = {
		{SIGHT(",\"fill\":256"), "sight.fill"},
		{SIGHT(",\"fill\":-1"), "sight.fill"},
		{SIGHT(",\"fill\":\"16\""), "sight.fill"},
		{SIGHT(",\"fill\":1.0"), "sight.fill"},
		{SIGHT(",\"fill\":1e1"), "sight.fill"},
		{SIGHT(",\"fill\":true"), "sight.fill"},
		{SIGHT(",\"fill\":null"), "sight.fill"},
		{SIGHT(",\"fill\":[1]"), "sight.fill"},
		{SIGHT(",\"node\":32768"), "sight.node"},
		{SIGHT(",\"node\":-32769"), "sight.node"},
		{SIGHT(",\"node\":18446744073709551615"), "sight.node"},
		{SIGHT(",\"blocks\":4294967296"), "sight.blocks"},
		{SIGHT(",\"seen\":\"HUGE\""), "sight.seen"},
		{SIGHT(",\"seen\":\"huge\\u0000\""), "sight.seen"},
		{SIGHT(",\"seen\":1"), "sight.seen"},
		{SIGHT(",\"start\":2097152"), "sight.start"},
		{SIGHT(",\"start\":\"200000\""), "sight.start"},
		{SIGHT(",\"start\":\"0x200000 \""), "sight.start"},
		{SIGHT(",\"start\":\"0x10000000000200000\""), "sight.start"},
		{SIGHTS("{\"blocks\":1}"), "sight.start"},
		{SIGHTS("{\"start\":\"0x200000\"}"), "sight.blocks"},
		{SIGHTS("7"), "snapshot.sights"},
		{SIGHTS("null"), "snapshot.sights"},
		{HEAD ",\"sights\":{}}", "snapshot.sights"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\"}]}", "region.backing"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":7}]}",
		 "region.path"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":\"\\u0000\"}]}",
		 "region.path"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":\"\\u0100\"}]}",
		 "region.path"},
		{HEAD ",\"holds\":[{\"start\":\"0x0\",\"end\":\"0x200000\",\"until_ns\":1}]}",
		 "hold.reason"},
		{HEAD ",\"memslots\":[{\"gpa\":\"0x0\",\"bytes\":4096}]}", "memslot.hva"},
		{HEAD ",\"memslots\":[{\"gpa\":\"0x0\",\"hva\":\"0x0\"}]}", "memslot.bytes"},
		{HEAD ",\"memslots\":[{\"bytes\":4096,\"hva\":\"0x0\"}]}", "memslot.gpa"},
		{HEAD ",\"memslots\":[" SLOT("0x0", "65536") "]}", "memslot.address_space"},
		{HEAD ",\"are_memslots_known\":\"yes\"}", "snapshot.are_memslots_known"},
		{HEAD ",\"host\":7}", "snapshot.host"},
		{HEAD ",\"host\":null}", "snapshot.host"},
		{HEAD ",\"host\":{\"is_ksm_running\":1}}", "host.is_ksm_running"},
		{HEAD ",\"host\":{\"thp_enabled\":\"0123456789abcdef\"}}", "host.thp_enabled"},
		{HEAD ",\"host\":{\"shmem_block\":\"unknown\"}}", "host.shmem_block"},
		{HEAD ",\"host\":{\"nodes\":[{\"id\":\"0\"}]}}", "host_node.id"},
		{HEAD ",\"vm\":{\"pid\":2147483648}}", "vm.pid"},
		{HEAD ",\"vm\":{\"uuid\":\"0123456789012345678901234567890123456\"}}", "vm.uuid"},
		{HEAD ",\"policy\":{\"mode\":\"on\"}}", "policy.mode"},
		{HEAD ",\"taken_ns\":-1}", "snapshot.taken_ns"},
		{"{\"version\":1," GEOMETRY "}", "snapshot.taken_ns"},
		{"{\"version\":1,\"taken_ns\":1}", "snapshot.geometry"},
		{"{\"version\":1,\"taken_ns\":1,\"geometry\":{\"base_shift\":12}}",
		 "mmu_geometry.pmd_order"},
		{"{\"taken_ns\":5," GEOMETRY "}", "version"},
		{"{\"version\":2,\"taken_ns\":5," GEOMETRY "}", "version"},
		{"{\"version\":4294967297,\"taken_ns\":5," GEOMETRY "}", "version"},
		{"[]", "an object"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void lies_are_caught_by_the_laws(void **state)
{
	static const char *const cases[][2] = {
		{"{\"version\":1,\"taken_ns\":5,\"geometry\":{\"base_shift\":63,\"pmd_order\":9,"
		 "\"pud_order\":18}}",
		 "geometry"},
		{SIGHT("},{\"start\":\"0x200000\",\"blocks\":1"), "overlap"},
		{SIGHTS("{\"start\":\"0x200000\",\"blocks\":3},{\"start\":\"0x400000\",\"blocks\":"
			"1}"),
		 "overlap"},
		{SIGHTS("{\"start\":\"0x200000\",\"blocks\":5}"), "inside"},
		{SIGHTS("{\"start\":\"0xffffffffffe00000\",\"blocks\":4294967295}"), "inside"},
		{SIGHT(",\"fill\":16,\"present_pages\":18446744073709551615"), "more pages"},
		{SIGHT(",\"fill\":17"), "sixteen"},
		{HEAD ",\"regions\":[" REGION "," REGION "]}", "regions overlap"},
		{HEAD ",\"memslots\":[" SLOT("0x0", "0") "]}", "nobody told"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "2") "]}",
		 "a memslot is"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x1", "0") "]}",
		 "a memslot is"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "0") "," SLOT(
			 "0x0", "0") "]}",
		 "memslots overlap"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "1") "," SLOT(
			 "0x1000", "0") "]}",
		 "memslots overlap"},
		{HEAD ",\"vm\":{\"name\":\"\\u001b[2J\"}}", "printable"},
		{HEAD ",\"policy\":{\"min_populated_bp\":10001}}", "min_populated_bp"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void what_is_not_json_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"{",
		"}",
		"{]",
		"nul",
		"\"",
		HEAD,
		HEAD "}}",
		HEAD "} x",
		HEAD "}{}",
		HEAD ",}",
		HEAD ",\"x\":18446744073709551616}",
		HEAD ",\"x\":[\"\\\"\",-99999999999999999999]}",
		HEAD ",\"x\":'y'}",
		HEAD ",\"x\":\"\xff\"}",
		HEAD ",\"x\":0x5}",
		HEAD ",\"x\":01}",
	};
	static const char with_nul[] = HEAD "}\0{\"more\":1}",
			  inner_nul[] = HEAD ",\"x\":\"a\0b\"}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i], strlen(cases[i]), "not a JSON document");
	check_refused(with_nul, sizeof(with_nul) - 1, "not a JSON document");
	check_refused(inner_nul, sizeof(inner_nul) - 1, "not a JSON document");
}

/* Every beginning of a good text is either refused or, with only blanks missing, read. */
static void cut_texts_are_refused(void **state)
{
	struct snapshot s = full_snapshot(), back = SNAPSHOT_INIT;
	char *text = NULL;
	size_t size;

	(void)state;
	s.host.n_nodes = 1; /* shorter: the test is quadratic */
	s.n_holds = 2;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	size = strlen(text);
	for (size_t i = 0; i < size; i++) {
		char *cut = malloc(i + 1); /* ASan sees a read beyond */

		assert_non_null(cut);
		memcpy(cut, text, i);
		assert_int_equal(snapshot_from_json(cut, i, &back, NULL), -EINVAL);
		free(cut);
	}
	assert_int_equal(snapshot_from_json(text, size, &back, NULL), 0); /* no NUL needed */
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
	size_t part_size = strlen(part), size = strlen(head) + n * part_size + strlen(tail) + 1;
	char *text = malloc(size), *at;

	assert_non_null(text);
	at = stpcpy(text, head);
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, part);
	(void)stpcpy(at, tail);
	return text;
}

static void depth_is_bounded(void **state)
{
	char *text = repeated(HEAD ",\"x\":", "[", 100000, "");

	(void)state;
	check_refused(text, strlen(text), "too deep");
	free(text);
}

/* As many as KVM has, in both directions. */
static void the_largest_table_of_memslots_comes_back(void **state)
{
	struct snapshot s = SNAPSHOT_INIT, back = SNAPSHOT_INIT;
	struct memslot *slots = calloc(SNAPSHOT_MEMSLOTS_MAX, sizeof(*slots));
	char *text = NULL;

	(void)state;
	assert_non_null(slots);
	for (unsigned int i = 0; i < SNAPSHOT_MEMSLOTS_MAX; i++)
		slots[i] = (struct memslot){UINT64_C(4096) * (i / 2), 4096,
					    UINT64_C(4096) * i,	      0,
					    (uint16_t)(i / 2),	      (uint16_t)(i % 2)};
	s.geometry = (struct mmu_geometry){12, 9, 18};
	assert_int_equal(snapshot_take_memslots(&s, &slots, SNAPSHOT_MEMSLOTS_MAX), 0);
	assert_int_equal(snapshot_to_json(&s, true, &text), 0);
	assert_int_equal(snapshot_from_json(text, strlen(text), &back, NULL), 0);
	check_same(&s, &back);
	assert_int_equal(back.n_memslots, 65528);
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

static void tables_are_bounded(void **state)
{
	char *text = repeated(HEAD ",\"regions\":[" REGION, "," REGION, SNAPSHOT_REGIONS_MAX, "]}");

	(void)state;
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"sights\":[7", ",7", SNAPSHOT_SIGHTS_MAX, "]}");
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"memslots\":[7", ",7", SNAPSHOT_MEMSLOTS_MAX, "]}");
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"host\":{\"nodes\":[{}", ",{}", HOST_NODES_MAX, "]}}");
	check_refused(text, strlen(text), "host.nodes");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_is_unknown),
		cmocka_unit_test(a_vm_without_memslots_is_another_one_than_one_that_tells_none),
		cmocka_unit_test(memslots_are_told_or_inferred),
		cmocka_unit_test(unknown_is_skipped),
		cmocka_unit_test(the_last_of_two_equal_keys_counts),
		cmocka_unit_test(wrong_members_are_named),
		cmocka_unit_test(lies_are_caught_by_the_laws),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(cut_texts_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(the_largest_table_of_memslots_comes_back),
		cmocka_unit_test(tables_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
