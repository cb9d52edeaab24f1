/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What moves to another node may cost: granted beside copies, and given back. */
#include <errno.h>

#include "governor.h"
#include "snapshot_builder.h"

#define SECOND UINT64_C(1000000000)

struct purse {
	struct governor g;
	struct host host;
	enum reason reason;
	uint64_t retry_ns;
};

static struct purse purse_with(uint64_t rate, uint64_t reserve)
{
	const struct budget budget = {
		.copy_bytes_per_s = rate, .free_reserve_bytes = reserve, .block_bytes = BLOCK};
	struct purse p = {.host = {.n_nodes = 2}, .reason = REASON_MAX};

	p.host.nodes[0].free_block_bytes = 512 * MIB;
	p.host.nodes[1] = (struct host_node){.id = 1, .free_block_bytes = 16 * MIB};
	governor_init(&p.g, &budget, SECOND);
	return p;
}

static uint64_t ask(struct purse *p, int node, uint64_t now_ns)
{
	return governor_place_allowance(&p->g, &p->host, node, now_ns, &p->reason, &p->retry_ns);
}

static struct action action_of(enum action_kind kind, uint64_t bytes)
{
	return (struct action){.kind = kind, .target = {.bytes = bytes}};
}

static void settle(struct purse *p, const struct action *a, int err, uint64_t now_ns)
{
	const struct outcome o = {.err = err};

	governor_settle(&p->g, a, &o, now_ns);
}

static void test_only_the_node_itself_has_room(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 4 * MIB);

	(void)state;
	assert_int_equal(ask(&p, 1, SECOND), 12 * MIB);
	assert_int_equal(p.reason, REASON_NONE);
	assert_int_equal(p.retry_ns, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 508 * MIB);
	p.host.nodes[1].free_block_bytes = 5 * MIB + MIB / 2; /* less than a block above it */
	assert_int_equal(ask(&p, 1, SECOND), 0);
	assert_int_equal(p.reason, REASON_NODE_FULL);
	assert_int_equal(p.retry_ns, 11 * SECOND);
	assert_int_equal(ask(&p, 7, SECOND), 0); /* no such node */
	assert_int_equal(p.reason, REASON_NODE_FULL);
	assert_int_equal(ask(&p, -1, UINT64_MAX - 1), 0);
	assert_int_equal(p.retry_ns, UINT64_MAX);
}

static void test_moves_and_copies_share_a_bucket(void **state)
{
	struct purse p = purse_with(8 * MIB, 0);
	const struct action move = action_of(ACTION_PLACE, 6 * MIB);

	(void)state;
	assert_int_equal(ask(&p, 0, SECOND), 8 * MIB);
	governor_spend(&p.g, &move);
	assert_int_equal(ask(&p, 0, SECOND), 2 * MIB);
	assert_int_equal(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns),
			 2 * MIB);
	settle(&p, &move, 0, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 2 * MIB); /* what was done is spent */
	governor_spend(&p.g, &(struct action){.kind = ACTION_COPY, .target = {.bytes = 2 * MIB}});
	assert_int_equal(ask(&p, 0, SECOND), 0);
	assert_int_equal(p.reason, REASON_NONE);
	assert_in_range(p.retry_ns, SECOND + SECOND / 4, SECOND + SECOND / 4 + 2);
	assert_int_equal(ask(&p, 0, p.retry_ns), BLOCK);
}

static void test_moves_under_way_take_room(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 0);
	const struct action move = action_of(ACTION_PLACE, 12 * MIB);

	(void)state;
	governor_spend(&p.g, &move);
	assert_int_equal(ask(&p, 1, SECOND), 4 * MIB);
	settle(&p, &move, EBUSY, SECOND);
	assert_int_equal(ask(&p, 1, SECOND), 16 * MIB);
	assert_int_equal(p.g.in_flight_bytes, 0);
}

static void test_a_move_that_was_never_started_is_given_back(void **state)
{
	struct purse p = purse_with(8 * MIB, 0);
	const struct action move = action_of(ACTION_PLACE, 8 * MIB);

	(void)state;
	governor_spend(&p.g, &move);
	settle(&p, &move, ECANCELED, SECOND);
	assert_int_equal(ask(&p, 0, SECOND), 8 * MIB);
}

/* One node without room says nothing about copies, which go where the memory is. */
static void test_moves_neither_stop_copies_nor_set_them_free(void **state)
{
	struct purse p = purse_with(UINT64_MAX, 0);
	const struct action move = action_of(ACTION_PLACE, BLOCK),
			    copy = action_of(ACTION_COPY, BLOCK);

	(void)state;
	settle(&p, &move, ENOMEM, SECOND);
	assert_true(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns) > 0);
	settle(&p, &copy, ENOMEM, SECOND);
	settle(&p, &move, 0, SECOND);
	assert_int_equal(governor_copy_allowance(&p.g, &p.host, SECOND, &p.reason, &p.retry_ns), 0);
	assert_int_equal(p.reason, REASON_NO_FREE_HUGE_PAGE);
}

static void test_zero_budget_never_moves(void **state)
{
	struct purse p = purse_with(0, 0);

	(void)state;
	assert_int_equal(ask(&p, 0, 100 * SECOND), 0);
	assert_int_equal(p.reason, REASON_POLICY_OFF);
	assert_int_equal(p.retry_ns, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_node_itself_has_room),
		cmocka_unit_test(test_moves_and_copies_share_a_bucket),
		cmocka_unit_test(test_moves_under_way_take_room),
		cmocka_unit_test(test_a_move_that_was_never_started_is_given_back),
		cmocka_unit_test(test_moves_neither_stop_copies_nor_set_them_free),
		cmocka_unit_test(test_zero_budget_never_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
