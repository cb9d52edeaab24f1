/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "holds.h"
#include "ledger.h"
#include "snapshot_builder.h"

#define MINUTE (UINT64_C(60) * 1000000000)

struct bench {
	struct snapshot s; /* its sights serve as looks */
	struct ledger l;
	struct action a;
	uint64_t now_ns;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM);
	b->a = (struct action){.kind = ACTION_COPY, .target = {.start = BASE, .bytes = 4 * BLOCK}};
	b->now_ns = MINUTE;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	ledger_clear(&b->l);
	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static void see(struct bench *b, uint32_t block, uint32_t blocks, enum seen seen, uint8_t fill)
{
	build_sight(&b->s, BASE + block * BLOCK, blocks, seen, fill);
}

static void learn(struct bench *b, int err)
{
	const struct outcome o = {.err = err};

	assert_int_equal(ledger_learn(&b->l, &b->a, &o, b->s.sights, b->s.n_sights, &b->s.geometry,
				      b->now_ns),
			 0);
}

static void observe(struct bench *b)
{
	assert_int_equal(ledger_observe(&b->l, &b->s, b->now_ns), 0);
}

static void forget_sights(struct bench *b)
{
	b->s.n_sights = 0;
}

static void expect_hold(const struct bench *b, size_t i, uint32_t from, uint32_t to,
			enum reason reason)
{
	assert_true(i < b->l.n_holds);
	assert_int_equal(b->l.holds[i].start, BASE + from * BLOCK);
	assert_int_equal(b->l.holds[i].end, BASE + to * BLOCK);
	assert_string_equal(reason_slug(b->l.holds[i].reason), reason_slug(reason));
}

static void test_success_is_remembered(void **state)
{
	struct bench *b = *state;

	see(b, 0, 4, SEEN_HUGE, FILL_FULL);
	learn(b, 0);
	assert_true(interval_set_covers(&b->l.made, BASE, BASE + 4 * BLOCK));
	assert_int_equal(interval_set_bytes(&b->l.made), 4 * BLOCK);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_progress_counts_even_if_the_call_failed(void **state)
{
	struct bench *b = *state;

	see(b, 0, 1, SEEN_SMALL, FILL_FULL);
	see(b, 1, 3, SEEN_HUGE, FILL_FULL);
	learn(b, EAGAIN);
	assert_int_equal(interval_set_bytes(&b->l.made), 3 * BLOCK);
	assert_int_equal(b->l.n_holds, 1);
	expect_hold(b, 0, 0, 1, REASON_BUSY_RETRY);
}

static void test_eagain_backs_off_1_4_16_64_minutes(void **state)
{
	static const uint64_t minutes[] = {1, 4, 16, 64, 64, 64};
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
		learn(b, EAGAIN);
		assert_int_equal(b->l.n_holds, 1);
		expect_hold(b, 0, 0, 4, i < 3 ? REASON_BUSY_RETRY : REASON_PINNED_SUSPECTED);
		assert_int_equal(b->l.holds[0].until_ns, b->now_ns + minutes[i] * MINUTE);
		b->now_ns += minutes[i] * MINUTE + 10 * MINUTE; /* found at the next look */
		observe(b);
	}
}

static void test_strikes_are_forgotten_after_a_long_quiet_time(void **state)
{
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	learn(b, EAGAIN);
	b->now_ns += MINUTE + 64 * MINUTE;
	observe(b);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_strikes_are_counted_by_block(void **state)
{
	struct bench *b = *state;

	see(b, 0, 1, SEEN_SMALL, FILL_FULL);
	see(b, 1, 3, SEEN_HUGE, FILL_FULL);
	learn(b, EAGAIN);
	forget_sights(b);
	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	learn(b, EAGAIN);
	assert_int_equal(b->l.n_holds, 2);
	expect_hold(b, 0, 0, 1, REASON_BUSY_RETRY);
	assert_int_equal(b->l.holds[0].until_ns, b->now_ns + 4 * MINUTE);
	expect_hold(b, 1, 1, 4, REASON_BUSY_RETRY);
	assert_int_equal(b->l.holds[1].until_ns, b->now_ns + MINUTE);
}

static void test_eagain_without_a_second_look_still_backs_off(void **state)
{
	struct bench *b = *state;

	learn(b, EAGAIN);
	assert_int_equal(b->l.n_holds, 1);
	expect_hold(b, 0, 0, 4, REASON_BUSY_RETRY);
}

static void test_success_clears_the_hold(void **state)
{
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	learn(b, EAGAIN);
	forget_sights(b);
	see(b, 0, 4, SEEN_HUGE, FILL_FULL);
	learn(b, 0);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_claimed_success_that_is_none_backs_off(void **state)
{
	struct bench *b = *state;

	see(b, 0, 2, SEEN_HUGE, FILL_FULL);
	see(b, 2, 1, SEEN_SMALL, FILL_FULL);
	see(b, 3, 1, SEEN_NOTHING, 0);
	learn(b, 0);
	assert_int_equal(b->l.n_holds, 1);
	expect_hold(b, 0, 2, 3, REASON_BUSY_RETRY);
	ledger_clear(&b->l);
	forget_sights(b);
	learn(b, 0); /* the second look failed: nothing is known */
	assert_int_equal(b->l.n_holds, 0);
}

static void test_einval_holds_the_culprit_only(void **state)
{
	struct bench *b = *state;

	see(b, 0, 1, SEEN_HUGE, FILL_FULL);
	see(b, 1, 3, SEEN_SMALL, FILL_FULL);
	learn(b, EINVAL);
	assert_int_equal(b->l.n_holds, 1);
	expect_hold(b, 0, 1, 2, REASON_KERNEL_REFUSED);
	assert_int_equal(b->l.holds[0].until_ns, b->now_ns + 60 * MINUTE);
	b->now_ns += 60 * MINUTE;
	observe(b);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_einval_at_a_block_that_became_empty(void **state)
{
	struct bench *b = *state;

	see(b, 0, 1, SEEN_HUGE, FILL_FULL);
	see(b, 1, 1, SEEN_NOTHING, 0);
	see(b, 2, 2, SEEN_SMALL, FILL_FULL);
	learn(b, EINVAL);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_errors_that_hold_nothing(void **state)
{
	static const int errors[] = {ENOMEM, ESRCH, EPERM, EACCES};
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		learn(b, errors[i]);
		assert_int_equal(b->l.n_holds, 0);
		assert_int_equal(b->l.memcg_until_ns, 0);
	}
}

static void test_ebusy_backs_the_vm_off(void **state)
{
	static const uint64_t minutes[] = {1, 4, 16, 64, 64};
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
		learn(b, EBUSY);
		assert_int_equal(b->l.n_holds, 0);
		assert_int_equal(b->l.memcg_until_ns, b->now_ns + minutes[i] * MINUTE);
		b->now_ns += minutes[i] * MINUTE;
	}
	learn(b, 0);
	assert_int_equal(b->l.memcg_strikes, 0);
	assert_int_equal(b->l.memcg_until_ns, 0);
}

static void make(struct bench *b, uint32_t from, uint32_t to)
{
	assert_int_equal(interval_set_add(&b->l.made, BASE + from * BLOCK, BASE + to * BLOCK), 0);
}

static void test_lost_pages_are_remembered(void **state)
{
	struct bench *b = *state;

	make(b, 0, 4);
	b->s.policy.hold_lost_ns = 5 * MINUTE;
	see(b, 0, 1, SEEN_HUGE, FILL_FULL);
	see(b, 1, 1, SEEN_SMALL, 15);
	see(b, 2, 1, SEEN_NOTHING, 0);
	see(b, 3, 5, SEEN_SMALL, FILL_FULL);
	observe(b);
	assert_int_equal(b->l.n_holds, 1);
	expect_hold(b, 0, 1, 3, REASON_LOST_PAGES);
	assert_int_equal(b->l.holds[0].until_ns, b->now_ns + 5 * MINUTE);
	assert_true(interval_set_covers(&b->l.made, BASE, BASE + BLOCK));
	assert_false(interval_set_overlaps(&b->l.made, BASE + BLOCK, BASE + 3 * BLOCK));
	assert_true(interval_set_covers(&b->l.made, BASE + 3 * BLOCK, BASE + 4 * BLOCK));
	b->now_ns += 5 * MINUTE;
	forget_sights(b);
	observe(b);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_hold_lost_for_ever(void **state)
{
	struct bench *b = *state;

	make(b, 0, 1);
	b->s.policy.hold_lost_ns = UINT64_MAX;
	see(b, 0, 1, SEEN_NOTHING, 0);
	observe(b);
	b->now_ns = UINT64_MAX;
	observe(b);
	assert_int_equal(b->l.n_holds, 1);
}

static void test_what_thpd_did_not_make_was_not_lost(void **state)
{
	struct bench *b = *state;

	make(b, 0, 1);
	see(b, 0, 1, SEEN_HUGE, FILL_FULL);
	see(b, 1, 4, SEEN_SMALL, 3);
	observe(b);
	assert_int_equal(b->l.n_holds, 0);
}

static void test_swapped_or_uncounted_is_not_lost(void **state)
{
	struct bench *b = *state;

	make(b, 0, 4);
	see(b, 0, 1, SEEN_SMALL, FILL_UNKNOWN);
	see(b, 1, 1, SEEN_SMALL, 8);
	b->s.sights[1].swapped_pages = 256;
	see(b, 2, 1, SEEN_SWAPPED, 0);
	b->s.sights[2].swapped_pages = 512;
	see(b, 3, 1, SEEN_UNKNOWN, FILL_UNKNOWN);
	observe(b);
	assert_int_equal(b->l.n_holds, 0);
	assert_int_equal(interval_set_bytes(&b->l.made), 4 * BLOCK);
}

static void test_unmapped_memory_is_forgotten(void **state)
{
	struct bench *b = *state;

	make(b, 6, 12); /* the region ends at 8 */
	observe(b);
	assert_int_equal(interval_set_bytes(&b->l.made), 2 * BLOCK);
	assert_int_equal(b->l.n_holds, 0);
	b->s.is_truncated = true; /* then what is missing may just not be listed */
	b->s.n_regions = 0;
	observe(b);
	assert_int_equal(interval_set_bytes(&b->l.made), 2 * BLOCK);
}

static void test_export(void **state)
{
	struct bench *b = *state;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	learn(b, EAGAIN);
	b->s.taken_ns = b->now_ns;
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	assert_int_equal(b->s.n_holds, 1);
	assert_int_equal(b->s.vm.memcg_headroom_bytes, UINT64_MAX);
	b->s.taken_ns = b->now_ns + MINUTE; /* over, but remembered for its strikes */
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	assert_int_equal(b->s.n_holds, 0);
	assert_int_equal(b->l.n_holds, 1);
}

static void test_export_of_a_full_memcg_bars_copies(void **state)
{
	struct bench *b = *state;
	struct diagnosis d = DIAGNOSIS_INIT;

	see(b, 0, 4, SEEN_SMALL, FILL_FULL);
	see(b, 4, 4, SEEN_FOLIO, FILL_UNKNOWN);
	learn(b, EBUSY);
	b->s.taken_ns = b->now_ns;
	assert_int_equal(ledger_export(&b->l, &b->s), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &d), 0);
	assert_int_equal(d.runs[0].reason, REASON_MEMCG_LIMIT);
	assert_int_equal(d.runs[1].state, BLOCK_REMAPPABLE);
	diagnosis_clear(&d);
}

/* ---- The list of holds against a plain array of blocks ---- */

static void check_against(const struct hold *list, size_t n, const uint64_t *model, size_t blocks)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(list[i].start < list[i].end);
		assert_true(i == 0 || list[i - 1].end <= list[i].start);
	}
	for (size_t block = 0; block < blocks; block++) {
		size_t i = hold_list_find(list, n, block * BLOCK);
		bool is_inside = i < n && list[i].start <= block * BLOCK;

		assert_int_equal(is_inside ? list[i].until_ns : 0, model[block]);
	}
}

static void test_hold_list_is_a_map(void **state)
{
	enum { BLOCKS = 48 };

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t model[BLOCKS] = {0}, random = seed;
		struct hold *list = NULL;
		size_t n = 0;

		for (int step = 0; step < 200; step++) {
			uint64_t from = random_below(&random, BLOCKS);
			uint64_t to = from + random_below(&random, BLOCKS - from + 1);
			uint64_t until = one_in(&random, 3) ? 0 : 1 + random_below(&random, 3);
			const struct hold h = {from * BLOCK, to * BLOCK, until, 1,
					       REASON_BUSY_RETRY};

			assert_int_equal(until == 0 ? hold_list_cut(&list, &n, h.start, h.end)
						    : hold_list_set(&list, &n, &h),
					 0);
			for (uint64_t i = from; i < to; i++)
				model[i] = until;
			check_against(list, n, model, BLOCKS);
		}
		free(list);
	}
}

static void test_hold_list_is_bounded_and_never_forgets(void **state)
{
	struct hold *list = NULL;
	size_t n = 0;

	(void)state;
	for (uint64_t i = 0; i < HOLDS_MAX + 1000; i++) {
		const struct hold h = {i * 4 * BLOCK, (i * 4 + 3) * BLOCK, 5, 1, REASON_BUSY_RETRY};

		assert_int_equal(hold_list_set(&list, &n, &h), 0);
	}
	for (uint64_t i = 0; i < 500; i++) {
		const struct hold h = {(i * 4 + 1) * BLOCK, (i * 4 + 2) * BLOCK, 9, 1,
				       REASON_LOST_PAGES};

		assert_int_equal(hold_list_set(&list, &n, &h), 0);
		assert_int_equal(
			hold_list_cut(&list, &n, (i * 4 + 1001) * BLOCK, (i * 4 + 1002) * BLOCK),
			0);
		assert_true(list[hold_list_find(list, n, h.start)].until_ns == 9);
	}
	assert_int_equal(n, HOLDS_MAX);
	assert_true(list[n - 1].end >= ((HOLDS_MAX + 999) * UINT64_C(4) + 3) * BLOCK);
	free(list);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_success_is_remembered),
		TEST(test_progress_counts_even_if_the_call_failed),
		TEST(test_eagain_backs_off_1_4_16_64_minutes),
		TEST(test_strikes_are_forgotten_after_a_long_quiet_time),
		TEST(test_strikes_are_counted_by_block),
		TEST(test_eagain_without_a_second_look_still_backs_off),
		TEST(test_success_clears_the_hold),
		TEST(test_claimed_success_that_is_none_backs_off),
		TEST(test_einval_holds_the_culprit_only),
		TEST(test_einval_at_a_block_that_became_empty),
		TEST(test_errors_that_hold_nothing),
		TEST(test_ebusy_backs_the_vm_off),
		TEST(test_lost_pages_are_remembered),
		TEST(test_hold_lost_for_ever),
		TEST(test_what_thpd_did_not_make_was_not_lost),
		TEST(test_swapped_or_uncounted_is_not_lost),
		TEST(test_unmapped_memory_is_forgotten),
		TEST(test_export),
		TEST(test_export_of_a_full_memcg_bars_copies),
		cmocka_unit_test(test_hold_list_is_a_map),
		cmocka_unit_test(test_hold_list_is_bounded_and_never_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
