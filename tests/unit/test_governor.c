/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "governor.h"
#include "snapshot_builder.h"

#define SECOND UINT64_C(1000000000)

struct bench {
	struct governor g;
	struct host host;
	enum reason reason;
	uint64_t retry_ns;
};

static struct bench bench_with(uint64_t rate, uint64_t reserve)
{
	const struct budget budget = {
		.copy_bytes_per_s = rate, .free_reserve_bytes = reserve, .block_bytes = BLOCK};
	struct bench b = {.host = {.n_nodes = 2}, .reason = REASON_MAX};

	b.host.nodes[0].free_block_bytes = 512 * MIB;
	b.host.nodes[1].free_block_bytes = 512 * MIB;
	governor_init(&b.g, &budget, SECOND);
	return b;
}

static uint64_t ask(struct bench *b, uint64_t now_ns)
{
	return governor_copy_allowance(&b->g, &b->host, now_ns, &b->reason, &b->retry_ns);
}

static struct action copy_of(uint64_t bytes)
{
	return (struct action){.kind = ACTION_COPY, .target = {.bytes = bytes}};
}

static void settle(struct bench *b, uint64_t bytes, int err, uint64_t now_ns)
{
	const struct action a = copy_of(bytes);
	const struct outcome o = {.err = err};

	governor_settle(&b->g, &a, &o, now_ns);
}

static void spend(struct bench *b, uint64_t bytes)
{
	const struct action a = copy_of(bytes);

	governor_spend(&b->g, &a);
}

static void test_burst_is_one_second(void **state)
{
	struct bench b = bench_with(256 * MIB, 0);

	(void)state;
	assert_int_equal(ask(&b, SECOND), 256 * MIB);
	assert_int_equal(b.reason, REASON_NONE);
	assert_int_equal(ask(&b, 100 * SECOND), 256 * MIB); /* saved up no further */
}

static void test_bucket_refills_at_the_rate(void **state)
{
	struct bench b = bench_with(256 * MIB, 0);

	(void)state;
	spend(&b, 256 * MIB);
	settle(&b, 256 * MIB, 0, SECOND);
	assert_int_equal(ask(&b, SECOND), 0);
	assert_int_equal(b.reason, REASON_NONE);
	assert_in_range(b.retry_ns, SECOND + SECOND / 128, SECOND + SECOND / 128 + 2);
	assert_int_equal(ask(&b, b.retry_ns - 2), 0);
	assert_int_equal(ask(&b, b.retry_ns), BLOCK);
	assert_int_equal(ask(&b, SECOND + SECOND / 2), 128 * MIB);
}

static void test_asking_often_loses_nothing(void **state)
{
	struct bench b = bench_with(3 * MIB + 1, 0);
	uint64_t now = SECOND;

	(void)state;
	b.g.budget.block_bytes = 1;
	spend(&b, 3 * MIB + 1);
	settle(&b, 3 * MIB + 1, 0, now);
	while (now < 2 * SECOND - 97) {
		now += 97; /* far less than a byte's worth */
		if (now % 1000 < 97)
			(void)ask(&b, now);
	}
	assert_in_range(ask(&b, 2 * SECOND), 3 * MIB - 8, 3 * MIB + 1);
}

static void test_slow_budget_pays_for_one_block(void **state)
{
	struct bench b = bench_with(MIB, 0);

	(void)state;
	assert_int_equal(ask(&b, SECOND), BLOCK);
	spend(&b, BLOCK);
	settle(&b, BLOCK, 0, SECOND);
	assert_int_equal(ask(&b, 2 * SECOND), 0);
	assert_in_range(b.retry_ns, 3 * SECOND, 3 * SECOND + 2);
	assert_int_equal(ask(&b, 3 * SECOND), BLOCK);
}

static void test_reserve_and_copies_under_way_are_not_free(void **state)
{
	struct bench b = bench_with(UINT64_MAX, 1000 * MIB);

	(void)state;
	assert_int_equal(ask(&b, SECOND), 24 * MIB);
	spend(&b, 24 * MIB);
	assert_int_equal(ask(&b, SECOND), 0);
	assert_int_equal(b.reason, REASON_NO_FREE_HUGE_PAGE);
	assert_true(b.retry_ns > SECOND && b.retry_ns != UINT64_MAX);
	settle(&b, 24 * MIB, 0, SECOND);
	assert_int_equal(ask(&b, SECOND), 24 * MIB);
}

static uint64_t ask_to_populate(struct bench *b, node_set_t nodes, uint64_t now_ns)
{
	return governor_populate_allowance(&b->g, &b->host, nodes, now_ns, &b->reason,
					   &b->retry_ns);
}

/* However much another node has, and whatever the bucket holds. */
static void test_populating_leaves_the_reserve_of_its_node(void **state)
{
	struct bench b = bench_with(MIB, 100 * MIB);

	(void)state;
	b.host.nodes[1] = (struct host_node){.id = 1, .free_block_bytes = 109 * MIB};
	assert_int_equal(ask_to_populate(&b, 1, SECOND), 412 * MIB);
	assert_int_equal(ask_to_populate(&b, 2, SECOND), 8 * MIB);
	assert_int_equal(ask_to_populate(&b, 3, SECOND), 8 * MIB);
	assert_int_equal(b.reason, REASON_NONE);
	assert_int_equal(b.retry_ns, SECOND);
	spend(&b, 6 * MIB);
	assert_int_equal(ask_to_populate(&b, 2, SECOND), 2 * MIB);
	spend(&b, 2 * MIB);
	/* It is under way, which is over soon. */
	assert_int_equal(ask_to_populate(&b, 2, SECOND), 0);
	assert_int_equal(b.reason, REASON_NONE);
	assert_int_equal(b.retry_ns, 2 * SECOND);
	b.host.nodes[1].free_block_bytes = 101 * MIB;
	assert_int_equal(ask_to_populate(&b, 2, SECOND), 0);
	assert_int_equal(b.reason, REASON_NODE_FULL);
	assert_int_equal(b.retry_ns, 11 * SECOND);
	assert_true(ask_to_populate(&b, 0, SECOND) > UINT64_MAX / 2); /* not known */
}

static void test_unknown_free_memory_does_not_limit(void **state)
{
	struct bench b = bench_with(UINT64_MAX, 256 * MIB);

	(void)state;
	b.host.n_nodes = 0;
	assert_true(ask(&b, SECOND) >= UINT64_MAX - BLOCK);
}

static void test_zero_budget_never_copies(void **state)
{
	struct bench b = bench_with(0, 0);

	(void)state;
	assert_int_equal(ask(&b, 1000 * SECOND), 0);
	assert_int_equal(b.reason, REASON_POLICY_OFF);
	assert_int_equal(b.retry_ns, UINT64_MAX);
}

static void test_remaps_cost_nothing(void **state)
{
	struct bench b = bench_with(256 * MIB, 0);
	const struct action remap = {.kind = ACTION_REMAP, .target = {.bytes = 256 * MIB}};
	const struct outcome o = {.err = ENOMEM};

	(void)state;
	governor_spend(&b.g, &remap);
	governor_settle(&b.g, &remap, &o, SECOND);
	assert_int_equal(ask(&b, SECOND), 256 * MIB);
}

static void test_what_was_never_started_is_given_back(void **state)
{
	struct bench b = bench_with(8 * MIB, 0);

	(void)state;
	spend(&b, 8 * MIB);
	settle(&b, 4 * MIB, ECANCELED, SECOND);
	settle(&b, 4 * MIB, EAGAIN, SECOND);
	assert_int_equal(ask(&b, SECOND), 4 * MIB);
	settle(&b, 64 * MIB, ECANCELED, SECOND);
	assert_int_equal(ask(&b, SECOND), 8 * MIB); /* never more than the burst */
}

static void test_enomem_backs_off_and_doubles(void **state)
{
	static const uint64_t seconds[] = {1, 2, 4, 8, 16, 32, 64, 64};
	struct bench b = bench_with(UINT64_MAX, 0);
	uint64_t now = SECOND;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		spend(&b, BLOCK);
		settle(&b, BLOCK, ENOMEM, now);
		assert_int_equal(ask(&b, now + seconds[i] * SECOND - 1), 0);
		assert_int_equal(b.reason, REASON_NO_FREE_HUGE_PAGE);
		assert_int_equal(b.retry_ns, now + seconds[i] * SECOND);
		now += seconds[i] * SECOND;
		assert_true(ask(&b, now) > 0);
	}
	settle(&b, BLOCK, 0, now);
	settle(&b, BLOCK, ENOMEM, now);
	assert_int_equal(ask(&b, now), 0);
	assert_int_equal(b.retry_ns, now + SECOND); /* a success starts over */
}

static void test_copies_that_fail_together_are_one_strike(void **state)
{
	struct bench b = bench_with(UINT64_MAX, 0);

	(void)state;
	for (int i = 0; i < 4; i++)
		settle(&b, BLOCK, ENOMEM, 5 * SECOND);
	assert_int_equal(ask(&b, 5 * SECOND), 0);
	assert_int_equal(b.retry_ns, 6 * SECOND);
}

static void test_reload_keeps_no_more_than_the_new_burst(void **state)
{
	struct bench b = bench_with(UINT64_MAX, 0);
	const struct budget slow = {.copy_bytes_per_s = 8 * MIB, .block_bytes = BLOCK};

	(void)state;
	governor_set_budget(&b.g, &slow, 2 * SECOND);
	assert_int_equal(ask(&b, 2 * SECOND), 8 * MIB);
	spend(&b, 8 * MIB);
	settle(&b, 8 * MIB, 0, 2 * SECOND);
	assert_int_equal(ask(&b, 2 * SECOND + SECOND / 2), 4 * MIB);
}

static void test_time_that_stands_still_buys_nothing(void **state)
{
	struct bench b = bench_with(8 * MIB, 0);

	(void)state;
	spend(&b, 8 * MIB);
	settle(&b, 8 * MIB, 0, SECOND);
	assert_int_equal(ask(&b, SECOND), 0);
	assert_int_equal(ask(&b, 0), 0);
}

/* Greedy use at random moments: over every window what was spent stays within rate times length
 * plus one burst. */
static void test_rate_holds_over_every_window(void **state)
{
	enum { STEPS = 400 };
	static uint64_t when[STEPS], spent[STEPS];

	(void)state;
	for (uint64_t seed = 1; seed <= 25; seed++) {
		uint64_t random = seed, rate = (1 + random_below(&random, 600)) * MIB,
			 burst = max_u64(rate, BLOCK), now = SECOND;
		struct bench b = bench_with(rate, 0);

		for (size_t i = 0; i < STEPS; i++) {
			now += random_below(&random, one_in(&random, 9) ? 3 * SECOND : SECOND / 9);
			when[i] = now;
			spent[i] = align_down(random_below(&random, ask(&b, now) + BLOCK), BLOCK);
			spent[i] = min_u64(spent[i], ask(&b, now));
			spend(&b, spent[i]);
			settle(&b, spent[i], 0, now);
		}
		for (size_t from = 0; from < STEPS; from++) {
			uint64_t sum = 0;

			for (size_t to = from; to < STEPS; to++) {
				uint64_t ms = (when[to] - when[from]) / 1000000 + 1;

				sum += spent[to];
				assert_true(sum <= burst + rate / 1000 * ms +
							   rate % 1000 * ms / 1000 + ms);
			}
		}
	}
}

static void test_huge_numbers_do_not_wrap(void **state)
{
	struct bench b = bench_with(UINT64_MAX - 1, 0);

	(void)state;
	b.host.n_nodes = 0;
	spend(&b, UINT64_MAX - 1);
	b.g.in_flight_bytes = 0;
	assert_int_equal(ask(&b, UINT64_MAX), align_down(UINT64_MAX - 1, BLOCK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_is_one_second),
		cmocka_unit_test(test_bucket_refills_at_the_rate),
		cmocka_unit_test(test_asking_often_loses_nothing),
		cmocka_unit_test(test_slow_budget_pays_for_one_block),
		cmocka_unit_test(test_reserve_and_copies_under_way_are_not_free),
		cmocka_unit_test(test_populating_leaves_the_reserve_of_its_node),
		cmocka_unit_test(test_unknown_free_memory_does_not_limit),
		cmocka_unit_test(test_zero_budget_never_copies),
		cmocka_unit_test(test_remaps_cost_nothing),
		cmocka_unit_test(test_what_was_never_started_is_given_back),
		cmocka_unit_test(test_enomem_backs_off_and_doubles),
		cmocka_unit_test(test_copies_that_fail_together_are_one_strike),
		cmocka_unit_test(test_reload_keeps_no_more_than_the_new_burst),
		cmocka_unit_test(test_time_that_stands_still_buys_nothing),
		cmocka_unit_test(test_rate_holds_over_every_window),
		cmocka_unit_test(test_huge_numbers_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
