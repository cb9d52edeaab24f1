/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that is asked of a monitor, of a made-up QEMU, but the memslots for themselves. */
#include "made_up_qemu.h"
#include "monitor_samples.h"

/* ---- What it says --------------------------------------------------------------------------- */

#define CPUS                                                                               \
	"[{\"thread-id\":4711,\"cpu-index\":0,\"props\":{\"node-id\":0,\"thread-id\":0}}," \
	"{\"thread-id\":4712,\"cpu-index\":1,\"props\":{\"node-id\":1}},"                  \
	"{\"thread-id\":4713,\"cpu-index\":2,\"props\":{}}]"
#define MEMDEVS                                                  \
	"[{\"id\":\"m1\",\"size\":134217728,\"host-nodes\":[]}," \
	"{\"id\":\"m0\",\"size\":134217728},{\"size\":4096}]"
#define STATS                                                                       \
	"[{\"provider\":\"kvm\",\"stats\":[{\"name\":\"pages_4k\",\"value\":12},"   \
	"{\"name\":\"pages_2m\",\"value\":34},{\"name\":\"pages_1g\",\"value\":5}," \
	"{\"name\":\"nx_lpage_splits\",\"value\":6}]}]"

static const struct line new_qemu[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":\"completed\"}", false},
	{"query-balloon", "{\"actual\":201326592}", false},
	{"query-stats", STATS, false},
	{"query-memory-devices", "[]", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock", RAMBLOCK_10, true},
};

static const struct line old_qemu[] = {
	{"qmp_capabilities", "{}", false},	 {"query-migrate", "{}", false},
	{"query-memory-devices", "[]", false},	 {"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},	 {"info ramblock", RAMBLOCK_7_2, true},
	{"info mtree -f", MTREE, true},		 {"gpa2hva 0xe8000", GPA2HVA_M0, true},
	{"gpa2hva 0x8000000", GPA2HVA_M1, true},
};

static const struct line plugged[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":\"active\"}", false},
	{"query-memory-devices",
	 "[{\"type\":\"dimm\",\"data\":{\"memdev\":\"/objects/m1\",\"node\":3,\"addr\":7}},"
	 "{\"type\":\"nvdimm\",\"data\":{\"memdev\":\"/objects/x\",\"node\":3}}]",
	 false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock", RAMBLOCK_10, true},
};

static const struct line liar[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":7}", false},
	{"query-balloon", "{\"actual\":-1}", false},
	{"query-stats",
	 "[{\"provider\":\"kvm\",\"stats\":[{\"name\":\"pages_4k\",\"value\":12},"
	 "{\"name\":\"pages_2m\",\"value\":9223372036854775807},"
	 "{\"name\":\"pages_1g\",\"value\":5}]}]",
	 false},
	{"query-memory-devices", "{}", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", "[{\"thread-id\":99999999999}]", false},
	{"info ramblock", RAMBLOCK_10, true},
};

/* Both backends at the same place. */
static const struct line overlapping[] = {
	{"qmp_capabilities", "{}", false},
	{"query-memory-devices", "[]", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock",
	 "m0 4 KiB 0x0 0x0 0x8000000 0x7000 rw\nm1 4 KiB 0x0 0x0 0x8000000 0x7000 rw\n", true},
};

static const struct script scripts[] = {
	{"new", new_qemu, ARRAY_SIZE(new_qemu), false},
	{"old", old_qemu, ARRAY_SIZE(old_qemu), false},
	{"plugged", plugged, ARRAY_SIZE(plugged), false},
	{"liar", liar, ARRAY_SIZE(liar), false},
	{"overlapping", overlapping, ARRAY_SIZE(overlapping), false},
	{"hangs-up", new_qemu, 5, true},
};

/* ---- Asking it ------------------------------------------------------------------------------ */

#define NODES "-numa", "node,nodeid=0,memdev=m0", "-numa", "node,nodeid=1,memdev=m1"

static void assert_two_nodes(const struct guest_map *map, hva_t m0, hva_t m1)
{
	assert_int_equal(map->n_spans, 2);
	/* Sorted by address. */
	assert_int_equal(map->spans[0].start, m1);
	assert_int_equal(map->spans[0].bytes, 128 << 20);
	assert_int_equal(map->spans[0].guest_node, 1);
	assert_int_equal(map->spans[1].start, m0);
	assert_int_equal(map->spans[1].guest_node, 0);
	assert_int_equal(map->n_cpus, 2);
	assert_int_equal(map->cpus[0].tid, 4711);
	assert_int_equal(map->cpus[0].guest_node, 0);
	assert_int_equal(map->cpus[1].tid, 4712);
	assert_int_equal(map->cpus[1].guest_node, 1);
}

static void new_qemu_tells_all(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_null(g.facts.map_why);
	assert_two_nodes(&g.facts.map, 0x7f858bfff000, 0x7f8583ffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_int_equal(g.facts.balloon_bytes, 192 << 20);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_QMP);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	assert_int_equal(g.facts.kvm.pages_2m, 34);
	assert_int_equal(g.facts.kvm.pages_1g, 5);
	assert_int_equal(g.facts.kvm.nx_splits, 6);
	assert_true(g.facts.kvm.read_ns > 0);
	finish(&g);
}

static void old_qemu_tells_less_but_the_map(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "old", NODES);
	assert_int_equal(g.result, 0);
	assert_two_nodes(&g.facts.map, 0x7fe237fff000, 0x7fe22fffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
}

static void only_what_is_wanted_is_asked(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP};

	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_two_nodes(&g.facts.map, 0x7f858bfff000, 0x7f8583ffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
	g = (struct guest){.want = QEMU_WANT_NUMBERS};
	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 0);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	finish(&g);
}

static void a_guest_without_nodes_has_no_map(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "new");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 0);
	assert_int_equal(g.facts.map.n_cpus, 0);
	assert_null(g.facts.map_why);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	finish(&g);
}

static void plugged_memory_has_its_own_node(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "plugged", "-numa", "node,memdev=m0");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 2);
	assert_int_equal(g.facts.map.spans[0].guest_node, 3);
	assert_int_equal(g.facts.map.spans[1].guest_node, 0);
	assert_int_equal(g.facts.is_migrating, ANSWER_YES);
	finish(&g);
}

static void assert_no_map(struct guest *g)
{
	assert_int_equal(g->result, 0);
	assert_int_equal(g->facts.map.n_spans, 0);
	assert_int_equal(g->facts.map.n_cpus, 0);
	assert_non_null(g->facts.map_why);
}

static void half_a_map_is_none(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "overlapping", NODES);
	assert_no_map(&g);
	/* It does not say. */
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	finish(&g);
	ASK(&g, "new", "-numa", "node,memdev=m0", "-numa", "node,memdev=unknown");
	assert_no_map(&g);
	finish(&g);
	ASK(&g, "new", "-numa", "node,memdev=m0", "-numa", "node,mem=128M");
	assert_no_map(&g);
	finish(&g);
	ASK(&g, "plugged", NODES); /* m1 is node 1 and node 3 */
	assert_no_map(&g);
	finish(&g);
}

static void numbers_that_cannot_be_are_not_known(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "liar", NODES);
	assert_no_map(&g);
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
}

/* Whose guest has nodes is asked for the view once, for the two of them. */
static void memslots_and_nodes_go_together(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS};

	ASK(&g, "old", NODES);
	assert_int_equal(g.result, 0);
	assert_null(g.facts.map_why);
	assert_two_nodes(&g.facts.map, 0x7fe237fff000, 0x7fe22fffe000);
	/* One of the two slots is asked about, and is where it is not answered for. */
	assert_int_equal(g.facts.slots_err, -ENODATA);
	assert_non_null(strstr(g.facts.slots_why, "no human monitor"));
	assert_int_equal(g.facts.slots.n, 0);
	finish(&g);
}

/* The numbers, which were asked first, are not lost by what is asked after them. */
static void who_hangs_up_in_the_middle_told_the_first_half(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS | QEMU_WANT_NUMBERS};

	ASK(&g, "hangs-up", NODES);
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_no_map(&g);
	assert_int_equal(g.facts.slots_err, -ECONNRESET);
	assert_non_null(g.facts.slots_why);
	finish(&g);
}

static void who_hangs_up_at_once_told_nothing(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS};

	ASK(&g, "hangs-up", NODES);
	assert_int_equal(g.result, -ECONNRESET);
	assert_non_null(g.why);
	assert_int_equal(g.facts.map.n_spans, 0);
	finish(&g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_qemu_tells_all),
		cmocka_unit_test(old_qemu_tells_less_but_the_map),
		cmocka_unit_test(only_what_is_wanted_is_asked),
		cmocka_unit_test(a_guest_without_nodes_has_no_map),
		cmocka_unit_test(plugged_memory_has_its_own_node),
		cmocka_unit_test(half_a_map_is_none),
		cmocka_unit_test(numbers_that_cannot_be_are_not_known),
		cmocka_unit_test(memslots_and_nodes_go_together),
		cmocka_unit_test(who_hangs_up_in_the_middle_told_the_first_half),
		cmocka_unit_test(who_hangs_up_at_once_told_nothing),
	};

	if (argc >= 3)
		return be_qemu(scripts, argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
