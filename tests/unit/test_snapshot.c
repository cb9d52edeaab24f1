/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The laws of a snapshot, one broken at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "snapshot.h"

#define BLOCK UINT64_C(0x200000)

/* Two regions (the first begins 4 KiB before a block), three sights, two holds. */
static struct snapshot valid_snapshot(void)
{
	struct snapshot s = SNAPSHOT_INIT;

	s.geometry = (struct mmu_geometry){12, 9, 18};
	s.regions = calloc(2, sizeof(*s.regions));
	s.sights = calloc(4, sizeof(*s.sights));
	s.holds = calloc(2, sizeof(*s.holds));
	assert_non_null(s.regions);
	assert_non_null(s.sights);
	assert_non_null(s.holds);
	s.regions[0] = (struct region){
		.start = BLOCK - 4096, .end = 5 * BLOCK, .path = strdup("/memfd:a")};
	s.regions[1] = (struct region){.start = 8 * BLOCK, .end = 10 * BLOCK + 4096};
	s.n_regions = 2;
	s.sights[0] = (struct sight){
		.start = BLOCK, .blocks = 2, .seen = SEEN_SMALL, .fill = 16, .present_pages = 1024};
	s.sights[1] = (struct sight){.start = 4 * BLOCK,
				     .blocks = 1,
				     .fill = FILL_UNKNOWN,
				     .present_pages = UINT64_MAX,
				     .node = -1};
	s.sights[2] =
		(struct sight){.start = 8 * BLOCK, .blocks = 2, .seen = SEEN_HUGE, .fill = 16};
	s.n_sights = 3;
	s.holds[0] = (struct hold){.start = BLOCK, .end = 2 * BLOCK};
	s.holds[1] = (struct hold){.start = 2 * BLOCK, .end = 3 * BLOCK, .reason = REASON_KSM};
	s.n_holds = 2;
	return s;
}

/* Does the statement to a valid snapshot s and expects that validation names `law`. */
#define CHECK_BREAKS(law, ...)                                                 \
	do {                                                                   \
		struct snapshot s = valid_snapshot();                          \
		const char *why = "nothing";                                   \
		__VA_ARGS__;                                                   \
		assert_int_equal(snapshot_validate(&s, &why), -EINVAL);        \
		if (!strstr(why, law))                                         \
			fail_msg("expected \"%s\", it says \"%s\"", law, why); \
		assert_int_equal(snapshot_validate(&s, NULL), -EINVAL);        \
		s.n_regions = 2;                                               \
		snapshot_clear(&s);                                            \
	} while (0)

static void a_lawful_snapshot_passes(void **state)
{
	struct snapshot s = valid_snapshot(), empty = SNAPSHOT_INIT;
	const char *why = "untouched";

	(void)state;
	assert_int_equal(snapshot_validate(&s, &why), 0);
	assert_string_equal(why, "untouched");
	snapshot_clear(&s);
	assert_null(s.regions);
	assert_null(s.sights);
	assert_null(s.holds);
	assert_int_equal(s.n_regions + s.n_sights + s.n_holds, 0);
	assert_int_equal(s.policy.min_populated_bp, 10000);
	snapshot_clear(&s);
	assert_int_equal(snapshot_validate(&empty, NULL), -EINVAL); /* no geometry */
	empty.geometry = (struct mmu_geometry){16, 13, 26};
	assert_int_equal(snapshot_validate(&empty, NULL), 0);
}

static void laws_of_the_whole(void **state)
{
	(void)state;
	CHECK_BREAKS("geometry", s.geometry.base_shift = 11);
	CHECK_BREAKS("geometry", s.geometry.pmd_order = 200);
	CHECK_BREAKS("geometry", s.geometry.pud_order = s.geometry.pmd_order);
	CHECK_BREAKS("nodes", s.host.n_nodes = HOST_NODES_MAX + 1);
	CHECK_BREAKS("knob", s.host.shmem_global = SHMEM_KNOB_MAX);
	CHECK_BREAKS("knob", s.host.shmem_block = (enum shmem_knob)77);
	CHECK_BREAKS("text of the host",
		     memset(s.host.kernel_release, 'x', sizeof(s.host.kernel_release)));
	CHECK_BREAKS("text of the host", s.host.thp_enabled[0] = '\n');
	CHECK_BREAKS("text of the VM", memset(s.vm.name, 'x', sizeof(s.vm.name)));
	CHECK_BREAKS("text of the VM", strcpy(s.vm.comm, "\x1b[2J"));
	CHECK_BREAKS("text of the VM", strcpy(s.vm.uuid, "\x7f"));
	CHECK_BREAKS("text of the VM", strcpy(s.vm.exe, "\xc3\xa4"));
	CHECK_BREAKS("text of the VM", memset(s.vm.cgroup, '/', sizeof(s.vm.cgroup)));
	CHECK_BREAKS("mode", s.policy.mode = MODE_MAX);
	CHECK_BREAKS("min_populated", s.policy.min_populated_bp = 10001);
}

static void laws_of_regions(void **state)
{
	(void)state;
	CHECK_BREAKS("too many regions", s.n_regions = SNAPSHOT_REGIONS_MAX + 1);
	CHECK_BREAKS("region is empty", s.regions[1].end = s.regions[1].start);
	CHECK_BREAKS("region is empty", s.regions[1].end = 4096);
	CHECK_BREAKS("beyond user space", s.regions[1].end = UINT64_MAX & ~UINT64_C(4095));
	CHECK_BREAKS("page aligned", s.regions[0].start += 1);
	CHECK_BREAKS("page aligned", s.regions[0].file_offset = 512);
	CHECK_BREAKS("backing", s.regions[0].backing = BACKING_MAX);
	CHECK_BREAKS("eligibility", s.regions[0].eligibility = ELIGIBILITY_MAX);
	CHECK_BREAKS("edge pages", s.regions[1].edge_present_pages = 1026);
	CHECK_BREAKS("regions overlap", s.regions[0].end = 9 * BLOCK);
	CHECK_BREAKS("regions overlap", s.regions[1].start = 0);
}

static void laws_of_sights(void **state)
{
	(void)state;
	CHECK_BREAKS("too many sights", s.n_sights = SNAPSHOT_SIGHTS_MAX + 1);
	CHECK_BREAKS("sight is empty", s.sights[0].blocks = 0);
	CHECK_BREAKS("block aligned", s.sights[0].start += 4096);
	CHECK_BREAKS("class", s.sights[0].seen = SEEN_MAX);
	CHECK_BREAKS("sixteenths", s.sights[0].fill = 17);
	CHECK_BREAKS("sixteenths", s.sights[0].fill = 254);
	CHECK_BREAKS("pages present", s.sights[0].present_pages = 1025);
	CHECK_BREAKS("pages present", s.sights[0].swapped_pages = UINT64_MAX);
	CHECK_BREAKS("pages present", s.sights[1].fill = 0); /* unknown, it could be anything */
	CHECK_BREAKS("negative node", s.sights[0].node = -2);
	CHECK_BREAKS("inside", s.sights[0].start = 0); /* the edge of the region */
	CHECK_BREAKS("inside", s.sights[1].start = 6 * BLOCK);
	CHECK_BREAKS("inside", s.sights[1].blocks = 2);
	CHECK_BREAKS("inside", s.sights[2].blocks = 3); /* a page more is no block more */
	CHECK_BREAKS("inside", s.sights[2].blocks = UINT32_MAX);
	CHECK_BREAKS("inside", s.n_regions = 1);
	CHECK_BREAKS("sights overlap", s.sights[1].start = 2 * BLOCK);
	CHECK_BREAKS("sights overlap", s.sights[2] = s.sights[0]);
}

static void laws_of_holds(void **state)
{
	(void)state;
	CHECK_BREAKS("too many holds", s.n_holds = SNAPSHOT_HOLDS_MAX + 1);
	CHECK_BREAKS("hold is empty", s.holds[0].end = s.holds[0].start);
	CHECK_BREAKS("beyond user space", s.holds[1].end = UINT64_C(1) << 63);
	CHECK_BREAKS("block aligned", s.holds[1].end += 4096);
	CHECK_BREAKS("reason", s.holds[0].reason = REASON_MAX);
	CHECK_BREAKS("holds overlap", s.holds[0].end = 3 * BLOCK);
}

static void add_guest_span(struct snapshot *s, hva_t start, uint64_t bytes, int16_t guest_node)
{
	const struct guest_span span = {start, bytes, guest_node};

	assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
}

static void laws_of_guest_spans(void **state)
{
	(void)state;
	CHECK_BREAKS("too many guest spans", s.n_guest_spans = SNAPSHOT_GUEST_SPANS_MAX + 1);
	CHECK_BREAKS("guest span is empty", add_guest_span(&s, 1, 0, 0));
	CHECK_BREAKS("beyond user space", add_guest_span(&s, INT64_MAX, 1, 0));
	CHECK_BREAKS("beyond user space", add_guest_span(&s, 2, UINT64_MAX, 0));
	CHECK_BREAKS("no guest node", add_guest_span(&s, 1, 1, -1));
	CHECK_BREAKS("no guest node", add_guest_span(&s, 1, 1, GUEST_NODES_MAX));
	CHECK_BREAKS("guest spans overlap", add_guest_span(&s, 1, 2, 0),
		     add_guest_span(&s, 2, 1, 0));
}

static void add_memslot(struct snapshot *s, const struct memslot *m)
{
	assert_int_equal(ARRAY_APPEND(&s->memslots, &s->n_memslots, m), 0);
	s->are_memslots_known = true;
}

#define MEMSLOT(...) add_memslot(&s, &(const struct memslot){__VA_ARGS__})

static void laws_of_memslots(void **state)
{
	(void)state;
	CHECK_BREAKS("too many memslots", MEMSLOT(0, 4096, 0, 0, 0, 0),
		     s.n_memslots = SNAPSHOT_MEMSLOTS_MAX + 1);
	CHECK_BREAKS("nobody told", MEMSLOT(0, 4096, 0, 0, 0, 0), s.are_memslots_known = false);
	CHECK_BREAKS("both told and inferred", MEMSLOT(0, 4096, 0, 0, 0, 0),
		     s.memslots_inferred_ns = 1);
	CHECK_BREAKS("nobody can infer", MEMSLOT(0, 4096, 0, MEMSLOT_LOG_DIRTY, 0, 0),
		     s.memslots_inferred_ns = 1, s.are_memslots_known = false);
	CHECK_BREAKS("nobody can infer", MEMSLOT(0, 4096, 0, 0, 0, 1), s.memslots_inferred_ns = 1,
		     s.are_memslots_known = false);
	CHECK_BREAKS("memslot is empty", MEMSLOT(0, 0, 0, 0, 0, 0));
	CHECK_BREAKS("whole pages", MEMSLOT(2048, 4096, 0, 0, 0, 0));
	CHECK_BREAKS("whole pages", MEMSLOT(0, 4097, 0, 0, 0, 0));
	CHECK_BREAKS("whole pages", MEMSLOT(0, 4096, 1, 0, 0, 0));
	CHECK_BREAKS("whole pages", MEMSLOT(0, 4096, 0, 0, 0, 0),
		     s.n_regions = s.n_sights = s.n_holds = 0,
		     s.geometry = (struct mmu_geometry){16, 13, 26});
	CHECK_BREAKS("out of bounds", MEMSLOT(INT64_MAX - 4095, 4096, 0, 0, 0, 0));
	CHECK_BREAKS("out of bounds", MEMSLOT(0, 4096, INT64_MAX - 4095, 0, 0, 0));
	CHECK_BREAKS("out of bounds", MEMSLOT(0, 4096, UINT64_MAX - 4095, 0, 0, 0));
	CHECK_BREAKS("out of bounds", MEMSLOT(4096, UINT64_MAX - 4095, 0, 0, 0, 0));
	CHECK_BREAKS("unknown in kind", MEMSLOT(0, 4096, 0, MEMSLOT_FLAGS + 1, 0, 0));
	CHECK_BREAKS("unknown in kind", MEMSLOT(0, 4096, 0, 0, 0, 2));
	CHECK_BREAKS("memslots overlap", MEMSLOT(0, 8192, 0, 0, 0, 0),
		     MEMSLOT(4096, 4096, BLOCK, 0, 1, 0));
	CHECK_BREAKS("not sorted", MEMSLOT(4096, 4096, 0, 0, 0, 0), MEMSLOT(0, 4096, 0, 0, 1, 0));
	CHECK_BREAKS("not sorted", MEMSLOT(0, 4096, 0, 0, 0, 1), MEMSLOT(4096, 4096, 0, 0, 1, 0));
}

/* Of x86's two address spaces, of which one may alias the other; and two slots at one place of the
 * VMM's. */
static void lawful_memslots_pass(void **state)
{
	struct snapshot s = valid_snapshot();

	(void)state;
	MEMSLOT(0, 4096, 0, MEMSLOT_FLAGS, UINT16_MAX, 0);
	MEMSLOT(4096, 4096, 0, 0, 0, 0);
	MEMSLOT(0, 8192, 0, 0, 0, 1);
	MEMSLOT(INT64_MAX - 8191, 4096, INT64_MAX - 8191, 0, 0, 1);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	snapshot_clear(&s);
	assert_null(s.memslots);
	assert_false(s.are_memslots_known);
}

static struct memslot *copy_of(const struct memslot *slots, size_t n)
{
	struct memslot *copy = malloc(n * sizeof(*copy));

	assert_non_null(copy);
	memcpy(copy, slots, n * sizeof(*copy));
	return copy;
}

static void memslots_are_taken_and_sorted(void **state)
{
	static const struct memslot told[] = {
		{0, 4096, BLOCK, 0, 3, 1}, {8192, 4096, 0, 0, 2, 0}, {0, 8192, BLOCK, 0, 1, 0}};
	struct snapshot s = valid_snapshot();
	struct memslot *slots = copy_of(told, 3), *none = NULL;

	(void)state;
	assert_int_equal(snapshot_take_memslots(&s, &slots, 3), 0);
	assert_null(slots);
	assert_true(s.are_memslots_known);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(s.memslots[i].slot, i + 1);
	/* Another table takes its place. */
	assert_int_equal(snapshot_take_memslots(&s, &none, 0), 0);
	assert_true(s.are_memslots_known);
	assert_int_equal(s.n_memslots, 0);
	snapshot_forget_memslots(&s);
	assert_false(s.are_memslots_known);
	snapshot_clear(&s);
}

static void an_unlawful_table_is_as_good_as_none(void **state)
{
	static const struct memslot good = {0, 4096, 0, 0, 0, 0},
				    told[] = {{0, 8192, BLOCK, 0, 1, 0}, {4096, 4096, 0, 0, 2, 0}};
	struct snapshot s = valid_snapshot();
	struct memslot *slots = copy_of(&good, 1);

	(void)state;
	assert_int_equal(snapshot_take_memslots(&s, &slots, 1), 0);
	slots = copy_of(told, 2);
	assert_int_equal(snapshot_take_memslots(&s, &slots, 2), -EINVAL);
	assert_non_null(slots);
	assert_false(s.are_memslots_known);
	assert_int_equal(s.n_memslots, 0);
	assert_null(s.memslots);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	free(slots);
	slots = calloc(SNAPSHOT_MEMSLOTS_MAX + 1, sizeof(*slots));
	assert_non_null(slots);
	for (size_t i = 0; i <= SNAPSHOT_MEMSLOTS_MAX; i++)
		slots[i] = (struct memslot){.gpa = i * 4096, .bytes = 4096};
	assert_int_equal(snapshot_take_memslots(&s, &slots, SNAPSHOT_MEMSLOTS_MAX + 1), -EINVAL);
	assert_int_equal(snapshot_take_memslots(&s, &slots, SNAPSHOT_MEMSLOTS_MAX), 0);
	snapshot_clear(&s);
}

/* By QEMU's monitor; who tells is never mixed up. */
static void memslots_are_inferred_and_told_after_all(void **state)
{
	static const struct memslot slot = {0, 4096, 0, 0, 0, 0}, bad = {0, 1, 0, 0, 0, 0};
	struct snapshot s = valid_snapshot();
	struct memslot *slots = copy_of(&slot, 1);

	(void)state;
	assert_false(snapshot_has_memslots(&s));
	assert_int_equal(snapshot_infer_memslots(&s, &slots, 1, 7), 0);
	assert_null(slots);
	assert_true(snapshot_has_memslots(&s) && !s.are_memslots_known);
	assert_int_equal(s.memslots_inferred_ns, 7);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	slots = copy_of(&slot, 1);
	assert_int_equal(snapshot_take_memslots(&s, &slots, 1), 0);
	assert_true(s.are_memslots_known);
	assert_int_equal(s.memslots_inferred_ns, 0);
	slots = copy_of(&slot, 1);
	assert_int_equal(snapshot_infer_memslots(&s, &slots, 1, 8), 0);
	assert_false(s.are_memslots_known);
	slots = copy_of(&bad, 1);
	assert_int_equal(snapshot_infer_memslots(&s, &slots, 1, 9), -EINVAL);
	assert_false(snapshot_has_memslots(&s));
	free(slots);
	snapshot_clear(&s);
}

static void addresses_that_disagree_are_told_by_how_much(void **state)
{
	const struct memslot same = {BLOCK + 4096, BLOCK, 5 * BLOCK + 4096, 0, 0, 0},
			     off = {4 * BLOCK + 8192, BLOCK, 4096, 0, 0, 0};

	(void)state;
	assert_int_equal(memslot_misalignment(&same, BLOCK), 0);
	assert_int_equal(memslot_misalignment(&off, BLOCK), BLOCK - 4096);
	assert_int_equal(memslot_misalignment(&off, 4096), 0);
}

static void a_guest_map_is_not_trusted(void **state)
{
	struct guest_span spans[] = {
		{8 * BLOCK, BLOCK, 1},
		{BLOCK, 2 * BLOCK, 0},
		{2 * BLOCK, 4 * BLOCK, 1},
		{3 * BLOCK, BLOCK, 127},
		{0, 0, 0},
		{INT64_MAX - 1, 2, 0},
		{UINT64_MAX, 4096, 0},
		{9 * BLOCK, BLOCK, -1},
		{10 * BLOCK, BLOCK, 128},
		{5 * BLOCK, UINT64_MAX, 0},
	};
	struct guest_cpu cpus[] = {{7, 1}, {5, 0}, {6, 128}, {8, -1}, {99, 0}};
	struct guest_map map = {spans, ARRAY_SIZE(spans), cpus, ARRAY_SIZE(cpus)};
	struct snapshot s = valid_snapshot();

	(void)state;
	for (pid_t tid = 9; tid > 4; tid--) {
		const struct vcpu v = {.tid = tid, .guest_node = 3};

		assert_int_equal(ARRAY_APPEND(&s.vcpus, &s.n_vcpus, &v), 0);
	}
	assert_int_equal(snapshot_take_guest_map(&s, &map), 0);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	assert_int_equal(s.n_guest_spans, 3);
	assert_true(s.guest_spans[0].start == BLOCK && s.guest_spans[0].guest_node == 0);
	assert_true(s.guest_spans[1].start == 3 * BLOCK && s.guest_spans[1].guest_node == 127);
	assert_true(s.guest_spans[2].start == 8 * BLOCK && s.guest_spans[2].guest_node == 1);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 5)->guest_node, 0);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 6)->guest_node, -1);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 7)->guest_node, 1);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 8)->guest_node, -1);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 9)->guest_node, -1);
	assert_null(vcpus_find(s.vcpus, s.n_vcpus, 99));
	/* The VMM says nothing any more. */
	assert_int_equal(snapshot_take_guest_map(&s, &(struct guest_map){0}), 0);
	assert_int_equal(s.n_guest_spans, 0);
	assert_int_equal(vcpus_find(s.vcpus, s.n_vcpus, 7)->guest_node, -1);
	snapshot_clear(&s);
}

static void a_guest_map_is_bounded(void **state)
{
	static struct guest_span spans[SNAPSHOT_GUEST_SPANS_MAX + 2];
	struct guest_map map = {.spans = spans, .n_spans = ARRAY_SIZE(spans)};
	struct snapshot s = valid_snapshot();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		spans[i] = (struct guest_span){i * BLOCK, BLOCK, (int16_t)(i % 2)};
	assert_int_equal(snapshot_take_guest_map(&s, &map), 0);
	assert_int_equal(s.n_guest_spans, SNAPSHOT_GUEST_SPANS_MAX);
	assert_int_equal(snapshot_validate(&s, NULL), 0);
	snapshot_clear(&s);
}

static void a_guest_map_that_is_cleared_is_empty(void **state)
{
	struct guest_map map = {.spans = malloc(sizeof(*map.spans)),
				.n_spans = 1,
				.cpus = malloc(sizeof(*map.cpus)),
				.n_cpus = 1};

	(void)state;
	guest_map_clear(&map);
	assert_true(!map.spans && !map.cpus && map.n_spans == 0 && map.n_cpus == 0);
	guest_map_clear(&map);
}

static void regions_are_found_by_any_address_in_them(void **state)
{
	struct snapshot s = valid_snapshot(), empty = SNAPSHOT_INIT;

	(void)state;
	assert_null(snapshot_find_region(&empty, 0));
	assert_null(snapshot_find_region(&s, 0));
	assert_null(snapshot_find_region(&s, BLOCK - 4097));
	assert_ptr_equal(snapshot_find_region(&s, BLOCK - 4096), &s.regions[0]);
	assert_ptr_equal(snapshot_find_region(&s, 5 * BLOCK - 1), &s.regions[0]);
	assert_null(snapshot_find_region(&s, 5 * BLOCK));
	assert_ptr_equal(snapshot_find_region(&s, 8 * BLOCK), &s.regions[1]);
	assert_null(snapshot_find_region(&s, UINT64_MAX));
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lawful_snapshot_passes),
		cmocka_unit_test(laws_of_the_whole),
		cmocka_unit_test(laws_of_regions),
		cmocka_unit_test(laws_of_sights),
		cmocka_unit_test(laws_of_holds),
		cmocka_unit_test(laws_of_guest_spans),
		cmocka_unit_test(laws_of_memslots),
		cmocka_unit_test(lawful_memslots_pass),
		cmocka_unit_test(memslots_are_taken_and_sorted),
		cmocka_unit_test(an_unlawful_table_is_as_good_as_none),
		cmocka_unit_test(memslots_are_inferred_and_told_after_all),
		cmocka_unit_test(addresses_that_disagree_are_told_by_how_much),
		cmocka_unit_test(a_guest_map_is_not_trusted),
		cmocka_unit_test(a_guest_map_is_bounded),
		cmocka_unit_test(a_guest_map_that_is_cleared_is_empty),
		cmocka_unit_test(regions_are_found_by_any_address_in_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
