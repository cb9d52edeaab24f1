/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where what is populated lands, and how much of it there is room for. */
#include "landing.h"
#include "snapshot_builder.h"

#define ROOM (100 * MIB)

struct bench {
	struct snapshot s;
	struct home home;
};

/* Node 0 is full, node 1 has most, node 2 some. */
static int set_up(void **state)
{
	static const uint64_t free_bytes[] = {0, 4 * ROOM, 2 * ROOM};
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->s);
	b->s.host.n_nodes = ARRAY_SIZE(free_bytes);
	for (size_t i = 0; i < ARRAY_SIZE(free_bytes); i++)
		b->s.host.nodes[i] =
			(struct host_node){.id = (int16_t)i, .free_block_bytes = free_bytes[i]};
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	snapshot_clear(&b->s);
	free(b);
	return 0;
}

static node_set_t lands(const struct bench *b)
{
	return landing_nodes(&b->s, &b->home, &b->s.host);
}

static void by_the_policy_of_the_file_first(void **state)
{
	struct bench *b = *state;

	b->home.nodes = 4;
	b->s.vm.bound_nodes = 1;
	assert_int_equal(lands(b), 1);
	b->s.vm.bound_nodes = 3;
	assert_int_equal(lands(b), 3);
	b->s.vm.allowed_nodes = 6; /* when its VMM bound it */
	assert_int_equal(lands(b), 2);
	b->s.vm.allowed_nodes = 4;
	assert_int_equal(lands(b), 7); /* it may be anywhere there */
	b->s.vm.bound_nodes = 1 << 9;  /* not there */
	assert_int_equal(lands(b), 4);
}

/* The command line is the VMM's own word. */
static void nobody_is_asked_for_a_node_outside_the_cpuset(void **state)
{
	struct bench *b = *state;

	for (node_set_t bound = 0; bound < 8; bound++) {
		for (node_set_t allowed = 1; allowed < 8; allowed++) {
			int node;

			b->s.vm.bound_nodes = bound;
			b->s.vm.allowed_nodes = allowed;
			node = landing_node(lands(b), &b->s.host);
			assert_true(node < 0 || node_set_has(allowed, node));
		}
	}
}

static void else_on_the_node_of_the_home_with_most_room(void **state)
{
	struct bench *b = *state;

	b->home.nodes = 1;
	assert_int_equal(lands(b), 1);
	b->home.nodes = 5;
	assert_int_equal(lands(b), 4);
	b->home.nodes = 7;
	assert_int_equal(lands(b), 2);
}

static void else_on_the_node_that_has_most_room(void **state)
{
	struct bench *b = *state;

	assert_int_equal(lands(b), 2);
	b->s.vm.allowed_nodes = 5;
	assert_int_equal(lands(b), 4);
	b->s.host.nodes[0].has_cpus = true; /* first of all */
	assert_int_equal(lands(b), 1);
	b->s.vm.allowed_nodes = 6;
	assert_int_equal(lands(b), 2);
}

static void without_a_choice_nothing_is_said(void **state)
{
	struct bench *b = *state;

	b->s.vm.bound_nodes = b->home.nodes = 1;
	b->s.host.n_nodes = 1;
	assert_int_equal(lands(b), 0);
	b->s.host.n_nodes = 0;
	assert_int_equal(lands(b), 0);
}

/* With one node there is nothing to ask for. */
static void one_node_is_asked_for(void **state)
{
	struct bench *b = *state;

	assert_int_equal(landing_node(4, &b->s.host), 2);
	assert_int_equal(landing_node(5, &b->s.host), -1);
	assert_int_equal(landing_node(0, &b->s.host), -1);
	b->s.host.n_nodes = 1;
	assert_int_equal(landing_node(1, &b->s.host), -1);
}

static void there_is_room_for_what_each_has(void **state)
{
	struct bench *b = *state;

	assert_int_equal(landing_room_bytes(2, &b->s.host, ROOM), 3 * ROOM);
	assert_int_equal(landing_room_bytes(6, &b->s.host, ROOM), ROOM);
	assert_int_equal(landing_room_bytes(7, &b->s.host, ROOM), 0);
	assert_int_equal(landing_room_bytes(6, &b->s.host, 3 * ROOM), 0);
	assert_int_equal(landing_room_bytes(1 << 9, &b->s.host, 0), 0);
	assert_true(landing_room_bytes(0, &b->s.host, ROOM) == UINT64_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_the_policy_of_the_file_first),
		TEST(else_on_the_node_of_the_home_with_most_room),
		TEST(nobody_is_asked_for_a_node_outside_the_cpuset),
		TEST(else_on_the_node_that_has_most_room),
		TEST(without_a_choice_nothing_is_said),
		TEST(one_node_is_asked_for),
		TEST(there_is_room_for_what_each_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
