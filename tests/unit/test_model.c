/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small laws of the model: words of enums, congruence, sanitized texts, sums. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "action.h"
#include "host.h"
#include "node_set.h"
#include "policy.h"
#include "region.h"
#include "run.h"
#include "sight.h"
#include "vm.h"

static const struct mmu_geometry x86 = {12, 9, 18}, arm64k = {16, 13, 26};

/* One test for all enums: each value has a word of its own, and the word leads back. */
#define CHECK_WORDS(of, name, from_name, max)                                     \
	do {                                                                      \
		for (unsigned int i = 0; i < (max); i++) {                        \
			enum of value = (enum of)((max)-1 - i);                   \
			assert_int_equal(from_name(name((enum of)i), &value), 0); \
			assert_int_equal(value, i);                               \
		}                                                                 \
		enum of kept = (enum of)1;                                        \
		assert_int_equal(from_name("", &kept), -ENOENT);                  \
		assert_int_equal(from_name("no such word", &kept), -ENOENT);      \
		assert_int_equal(kept, 1);                                        \
		assert_string_equal(name((enum of)9999), "unknown");              \
	} while (0)

static void words_lead_back(void **state)
{
	(void)state;
	CHECK_WORDS(backing, backing_name, backing_from_name, BACKING_MAX);
	CHECK_WORDS(seen, seen_name, seen_from_name, SEEN_MAX);
	CHECK_WORDS(mode, mode_name, mode_from_name, MODE_MAX);
	CHECK_WORDS(placement, placement_name, placement_from_name, PLACEMENT_MAX);
	CHECK_WORDS(populate, populate_name, populate_from_name, POPULATE_MAX);
	CHECK_WORDS(nudge, nudge_name, nudge_from_name, NUDGE_MAX);
	CHECK_WORDS(wide, wide_name, wide_from_name, WIDE_MAX);
	CHECK_WORDS(shmem_knob, shmem_knob_name, shmem_knob_from_name, SHMEM_KNOB_MAX);
}

static void words_are_interface(void **state)
{
	(void)state;
	assert_string_equal(mode_name(MODE_REPORT), "report");
	assert_string_equal(backing_name(BACKING_SHMEM), "shmem");
	assert_string_equal(seen_name(SEEN_FOLIO), "folio");
	assert_string_equal(shmem_knob_name(SHMEM_KNOB_WITHIN_SIZE), "within_size");
	assert_string_equal(block_state_name(BLOCK_REMAPPABLE), "remappable");
	assert_string_equal(action_kind_name(ACTION_COPY), "copy");
	assert_string_equal(effect_name(EFFECT_WORSE), "worse");
	assert_string_equal(eligibility_name(ELIGIBILITY_NO_RIGHT), "no-right");
}

static void check_nodes(const char *text, node_set_t expected, const char *written)
{
	char buffer[NODE_SET_TEXT_MAX];
	node_set_t set = 99;

	assert_int_equal(node_set_parse(text, &set), 0);
	assert_int_equal(set, expected);
	assert_string_equal(node_set_format(set, buffer), written);
}

static void sets_of_nodes(void **state)
{
	static const char *const bad[] = {" 0", "0,", ",0", "2-1", "-1", "a", "0-", "0 1", "1-2-3"};
	node_set_t set = 99;

	(void)state;
	check_nodes("", 0, "");
	check_nodes("0", 1, "0");
	check_nodes("0-1,3", 11, "0-1,3");
	check_nodes("1,0,1", 3, "0-1");
	check_nodes("63,64-1000", UINT64_C(1) << 63, "63");
	check_nodes("0-18446744073709551615", UINT64_MAX, "0-63");
	check_nodes("0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25,27-28,30-31,33-34,36-37,39-40,"
		    "42-43,45-46,48-49,51-52,54-55,57-58,60-61,63",
		    UINT64_C(0xb6db6db6db6db6db),
		    "0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25,27-28,30-31,33-34,36-37,39-40,"
		    "42-43,45-46,48-49,51-52,54-55,57-58,60-61,63");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(node_set_parse(bad[i], &set), -EINVAL);
	assert_int_equal(set, 99);
	assert_false(node_set_has(UINT64_MAX, -1));
	assert_false(node_set_has(UINT64_MAX, 64));
	assert_true(node_set_is_single(8));
	assert_false(node_set_is_single(0));
	assert_false(node_set_is_single(9));
	assert_int_equal(node_set_first(12), 2);
}

static void sets_of_nodes_that_are_not_cut(void **state)
{
	static const struct {
		const char *text;
		int expected;
	} cases[] = {
		{"0-1,3", 0},	    {"", 0},	       {"63", 0},
		{"0-63", 0},	    {"64", -ERANGE},   {"63-64", -ERANGE},
		{"64,0", -ERANGE},  {"0,64", -ERANGE}, {"0-18446744073709551615", -ERANGE},
		{"64,0,", -EINVAL}, {"2-1", -EINVAL},  {"0-1 ", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		node_set_t set = 99, cut = 98;

		assert_int_equal(node_set_parse_whole(cases[i].text, &set), cases[i].expected);
		if (cases[i].expected == 0)
			assert_int_equal(node_set_parse(cases[i].text, &cut), 0);
		assert_int_equal(set, cases[i].expected == 0 ? cut : 99);
	}
}

static void states_have_words_of_their_own(void **state)
{
	(void)state;
	for (enum block_state i = BLOCK_HUGE; i < BLOCK_STATE_MAX; i++)
		for (enum block_state j = BLOCK_HUGE; j < i; j++)
			assert_string_not_equal(block_state_name(i), block_state_name(j));
}

static void misalignment_is_modulo_the_block(void **state)
{
	/* QEMU's memory-backend-memfd (KERNEL.md 0.3). */
	struct region r = {
		.start = 0x7f12345ff000, .end = 0x7f1274600000, .backing = BACKING_SHMEM};

	(void)state;
	assert_int_equal(region_misalignment(&r, &x86), 0x1ff000);
	assert_false(region_is_congruent(&r, &x86));
	r.file_offset = 0xbff000; /* off by the same amount: congruent */
	assert_true(region_is_congruent(&r, &x86));
	r.file_offset = UINT64_C(0xffffffffffe00000);
	assert_int_equal(region_misalignment(&r, &x86), 0x1ff000);
	r.backing = BACKING_ANON;
	assert_true(region_is_congruent(&r, &x86));
	r = (struct region){.start = 0x10000200000, .end = 0x10080000000, .backing = BACKING_SHMEM};
	assert_true(region_is_congruent(&r, &x86));
	assert_int_equal(region_misalignment(&r, &arm64k), 0x200000);
}

static void whole_blocks_of_a_region(void **state)
{
	struct region r = {.start = 0x1ff000, .end = 0x601000};

	(void)state;
	assert_int_equal(region_first_block(&r, &x86), 0x200000);
	assert_int_equal(region_last_block(&r, &x86), 0x600000);
	assert_int_equal(region_first_block(&r, &arm64k), region_last_block(&r, &arm64k));
}

static void texts_of_a_hostile_process_are_tamed(void **state)
{
	char text[8];

	(void)state;
	vm_sanitize(text, sizeof(text), "a\x1b\x7f[J\n\xff~ too long");
	assert_string_equal(text, "a??[J??");
	vm_sanitize(text, sizeof(text), "");
	assert_string_equal(text, "");
	vm_sanitize(text, 1, "abc");
	assert_string_equal(text, "");
	text[0] = 'x';
	vm_sanitize(text, 0, "abc");
	assert_int_equal(text[0], 'x');
}

static void free_blocks_are_summed_within_bounds(void **state)
{
	struct host h = {.n_nodes = 2};

	(void)state;
	h.nodes[0].free_block_bytes = 3 << 20;
	h.nodes[1].free_block_bytes = 4 << 20;
	h.nodes[2].free_block_bytes = 5 << 20; /* not counted: not a node */
	assert_int_equal(host_free_block_bytes(&h), 7 << 20);
	h.nodes[1].free_block_bytes = UINT64_MAX;
	assert_int_equal(host_free_block_bytes(&h), UINT64_MAX);
	h.n_nodes = UINT16_MAX; /* a lie: ASan tells if it is believed */
	assert_int_equal(host_free_block_bytes(&h), UINT64_MAX);
}

static void what_a_zone_keeps_is_not_handed_out(void **state)
{
	const uint64_t block = 2 << 20;
	struct host_zone z = {.free_bytes = 100 * block, .free_block_bytes = 40 * block};

	(void)state;
	assert_int_equal(host_zone_block_bytes(&z, block), 40 * block);
	z.kept_bytes = 60 * block; /* small pieces are enough for that */
	assert_int_equal(host_zone_block_bytes(&z, block), 40 * block);
	z.kept_bytes += 1; /* and a block has to make up for the last byte */
	assert_int_equal(host_zone_block_bytes(&z, block), 39 * block);
	z.kept_bytes = 99 * block + 1;
	assert_int_equal(host_zone_block_bytes(&z, block), 0);
	z.kept_bytes = UINT64_MAX;
	assert_int_equal(host_zone_block_bytes(&z, block), 0);
}

static void turned_knobs_are_noticed(void **state)
{
	const struct host before = {.thp_enabled = "madvise", .shmem_global = SHMEM_KNOB_NEVER};
	struct host now = before;

	(void)state;
	now.mem_available_bytes = 1;
	assert_true(host_has_same_knobs(&before, &now));
	now.shmem_global = SHMEM_KNOB_DENY;
	assert_false(host_has_same_knobs(&before, &now));
	now = before;
	now.shmem_block = SHMEM_KNOB_ALWAYS;
	assert_false(host_has_same_knobs(&before, &now));
	now = before;
	now.is_ksm_running = true;
	assert_false(host_has_same_knobs(&before, &now));
	now = before;
	memcpy(now.thp_enabled, "never", sizeof("never"));
	assert_false(host_has_same_knobs(&before, &now));
}

static void diagnosis_can_be_cleared_twice(void **state)
{
	struct diagnosis d = {.runs = calloc(1, sizeof(struct run)),
			      .n_runs = 1,
			      .wants = calloc(1, sizeof(struct want)),
			      .n_wants = 1};

	(void)state;
	d.totals.ram_bytes = 5;
	diagnosis_clear(&d);
	assert_null(d.runs);
	assert_int_equal(d.n_runs + d.n_wants + d.totals.ram_bytes, 0);
	diagnosis_clear(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_lead_back),
		cmocka_unit_test(sets_of_nodes),
		cmocka_unit_test(sets_of_nodes_that_are_not_cut),
		cmocka_unit_test(words_are_interface),
		cmocka_unit_test(states_have_words_of_their_own),
		cmocka_unit_test(misalignment_is_modulo_the_block),
		cmocka_unit_test(whole_blocks_of_a_region),
		cmocka_unit_test(texts_of_a_hostile_process_are_tamed),
		cmocka_unit_test(free_blocks_are_summed_within_bounds),
		cmocka_unit_test(what_a_zone_keeps_is_not_handed_out),
		cmocka_unit_test(turned_knobs_are_noticed),
		cmocka_unit_test(diagnosis_can_be_cleared_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
