/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a VM belongs: facts about nodes and vCPUs, and what follows of them. */
#include "home.h"
#include "node_bench.h"

#define SECOND UINT64_C(1000000000)

/* ---- vcpu ---- */

static void test_where_a_vcpu_is_tied_to_counts_more_than_where_it_ran(void **state)
{
	(void)state;
	assert_int_equal(vcpu_node(&(struct vcpu){.node = 1}), 1);
	assert_int_equal(vcpu_node(&(struct vcpu){.node = -1}), -1);
	assert_int_equal(vcpu_node(&(struct vcpu){.node = 1, .allowed = N0}), 0);
	assert_int_equal(vcpu_node(&(struct vcpu){.node = -1, .allowed = N2}), 2);
	assert_int_equal(vcpu_node(&(struct vcpu){.node = 2, .allowed = N0 | N1}), 2);
}

static void test_vcpus_are_compared_thread_by_thread(void **state)
{
	struct vcpu olds[] = {
		{.tid = 2, .ran_ns = 1 * SECOND, .migrated_pages = 0},
		{.tid = 3, .ran_ns = 9 * SECOND, .migrated_pages = 7, .guest_node = 5},
		{.tid = 1, .ran_ns = 5 * SECOND, .migrated_pages = 100, .guest_node = -1},
	};
	/* One ended, one is new; the others stand elsewhere in the list. */
	struct vcpu news[] = {
		{.tid = 3, .ran_ns = 9 * SECOND + SECOND / 2, .migrated_pages = 27},
		{.tid = 9, .ran_ns = 4 * SECOND, .busy_bp = VCPU_BUSY_UNKNOWN, .guest_node = -1},
		{.tid = 1, .ran_ns = 7 * SECOND, .migrated_pages = 100},
	};

	(void)state;
	vcpus_compare(news, ARRAY_SIZE(news), olds, ARRAY_SIZE(olds), 2 * SECOND);
	assert_int_equal(news[0].busy_bp, 2500);
	assert_int_equal(news[0].migrated_pages_per_s, 10);
	assert_int_equal(news[1].busy_bp, VCPU_BUSY_UNKNOWN);
	assert_int_equal(news[1].migrated_pages_per_s, 0);
	assert_int_equal(news[2].busy_bp, 10000);
	assert_int_equal(news[2].migrated_pages_per_s, 0);
	assert_int_equal(news[0].guest_node, 5); /* the last word on it */
	assert_int_equal(news[1].guest_node, -1);
	assert_int_equal(news[2].guest_node, -1);
}

static void test_counters_that_run_backwards_or_wild_are_no_trouble(void **state)
{
	struct vcpu old = {.tid = 1, .ran_ns = 5 * SECOND, .migrated_pages = 100};
	struct vcpu back = {.tid = 1},
		    wild = {.tid = 1, .ran_ns = UINT64_MAX, .migrated_pages = UINT64_MAX},
		    none = {.tid = 1, .ran_ns = 6 * SECOND, .busy_bp = VCPU_BUSY_UNKNOWN};

	(void)state;
	vcpus_compare(&back, 1, &old, 1, SECOND);
	assert_int_equal(back.busy_bp, 0);
	assert_int_equal(back.migrated_pages_per_s, 0);
	vcpus_compare(&wild, 1, &old, 1, 1);
	assert_true(wild.busy_bp == UINT32_MAX - 1 && wild.migrated_pages_per_s == UINT32_MAX - 1);
	vcpus_compare(&none, 1, &old, 1, 0);
	assert_int_equal(none.busy_bp, VCPU_BUSY_UNKNOWN);
	vcpus_compare(&none, 1, NULL, 0, SECOND);
	assert_int_equal(none.busy_bp, VCPU_BUSY_UNKNOWN);
}

/* ---- host ---- */

static void test_nodes_are_found_by_their_number(void **state)
{
	struct bench *b = *state;

	assert_int_equal(host_node_set(&b->s.host), 0);
	add_node(b, 5, BLOCK);
	add_node(b, 0, 2 * BLOCK);
	add_node(b, 200, 3 * BLOCK); /* beyond what a set holds */
	assert_int_equal(host_node_set(&b->s.host), N0 | 1 << 5);
	assert_int_equal(host_find_node(&b->s.host, 5)->free_block_bytes, BLOCK);
	assert_int_equal(host_find_node(&b->s.host, 200)->free_block_bytes, 3 * BLOCK);
	assert_null(host_find_node(&b->s.host, 1));
	assert_null(host_find_node(&b->s.host, -1));
}

static void test_distances_are_in_the_order_of_the_nodes(void **state)
{
	struct bench *b = *state;

	strcpy(add_node(b, 0, 0)->distances, "10 21 31");
	strcpy(add_node(b, 2, 0)->distances, "21 10 17");
	strcpy(add_node(b, 7, 0)->distances, "31 17");
	assert_int_equal(host_distance(&b->s.host, 0, 0), 10);
	assert_int_equal(host_distance(&b->s.host, 0, 2), 21);
	assert_int_equal(host_distance(&b->s.host, 2, 7), 17);
	assert_int_equal(host_distance(&b->s.host, 7, 2), 17);
	/* Cut short, not known, no such node. */
	assert_int_equal(host_distance(&b->s.host, 7, 7), 0);
	assert_int_equal(host_distance(&b->s.host, 0, 1), 0);
	assert_int_equal(host_distance(&b->s.host, 1, 0), 0);
	assert_int_equal(host_distance(&b->s.host, -1, 0), 0);
}

static void test_distances_that_are_none(void **state)
{
	static const char *const texts[] = {"", "x 10", "10 256", "10 99999999999999999999",
					    "10 -1"};
	struct bench *b = *state;

	add_nodes(b, 2);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		strcpy(b->s.host.nodes[0].distances, texts[i]);
		assert_int_equal(host_distance(&b->s.host, 0, 1), 0);
	}
	strcpy(b->s.host.nodes[0].distances, "10 255");
	assert_int_equal(host_distance(&b->s.host, 0, 1), 255);
}

/* ---- home ---- */

static void expect_home(const struct bench *b, node_set_t nodes, enum home_source source)
{
	struct home h = home_of(&b->s);

	assert_int_equal(h.nodes, nodes);
	assert_string_equal(home_source_name(h.source), home_source_name(source));
}

static void test_home_is_not_known_where_nobody_says(void **state)
{
	struct bench *b = *state;

	expect_home(b, 0, HOME_UNKNOWN); /* no nodes at all */
	add_nodes(b, 2);
	expect_home(b, 0, HOME_UNKNOWN);
	add_vcpus(b, 2, -1, 5000);
	expect_home(b, 0, HOME_UNKNOWN);
	assert_string_equal(home_source_name(HOME_UNKNOWN), "none");
}

static void test_home_is_where_the_vcpus_run(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 2, 1, 5000);
	expect_home(b, N1, HOME_VCPUS);
	add_vcpus(b, 2, 0, 5000);
	expect_home(b, N0 | N1, HOME_VCPUS);
	assert_int_equal(home_of(&b->s).vcpu_nodes, N0 | N1);
}

static void test_what_binds_a_vm_comes_first(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 3);
	add_vcpus(b, 2, 0, 5000);
	b->s.vm.allowed_nodes = N1 | N2;
	expect_home(b, N1 | N2, HOME_CPUSET);
	b->s.policy.nodes = N2;
	expect_home(b, N2, HOME_POLICY);
	assert_int_equal(home_of(&b->s).vcpu_nodes, N0); /* all the same */
}

static void test_of_the_nodes_of_the_policy_those_that_the_cpuset_allows(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 3);
	b->s.policy.nodes = N0 | N1;
	expect_home(b, N0 | N1, HOME_POLICY);
	b->s.vm.allowed_nodes = N1 | N2;
	expect_home(b, N1, HOME_POLICY);
	b->s.vm.allowed_nodes = N2; /* they contradict: the administrator's word stands */
	expect_home(b, N0 | N1, HOME_POLICY);
}

static void test_what_the_vmm_was_told_binds(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 3);
	add_vcpus(b, 1, 0, 5000);
	b->s.vm.bound_nodes = N1 | N2;
	expect_home(b, N1 | N2, HOME_VMM);
	b->s.policy.placement = PLACEMENT_BIND;
	expect_home(b, N1 | N2, HOME_VMM);
	b->s.vm.allowed_nodes = N0 | N1; /* the cpuset cuts it */
	expect_home(b, N1, HOME_VMM);
	b->s.policy.nodes = N0;
	expect_home(b, N0, HOME_POLICY);
	b->s.policy.nodes = 0;
	b->s.vm.bound_nodes = 1 << 7; /* no such node here */
	expect_home(b, N0 | N1, HOME_CPUSET);
}

static void test_a_cpuset_of_all_nodes_binds_nothing(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 1, 0, 5000);
	b->s.vm.allowed_nodes = N0 | N1;
	expect_home(b, N0, HOME_VCPUS);
	b->s.vm.allowed_nodes = UINT64_MAX; /* nodes that the host does not have */
	expect_home(b, N0, HOME_VCPUS);
	b->s.vm.allowed_nodes = N1 | N2;
	expect_home(b, N1, HOME_CPUSET);
}

static void test_nodes_without_memory_are_no_home(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 2, 2, 5000);
	expect_home(b, 0, HOME_UNKNOWN);
	assert_int_equal(home_of(&b->s).vcpu_nodes, N2);
	b->s.policy.nodes = N2;
	expect_home(b, 0, HOME_UNKNOWN);
	b->s.policy.nodes = N1 | N2;
	expect_home(b, N1, HOME_POLICY);
}

static void test_follow_narrows_what_binds(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 3);
	add_vcpus(b, 2, 1, 5000);
	b->s.vm.allowed_nodes = N1 | N2;
	b->s.policy.placement = PLACEMENT_FOLLOW;
	expect_home(b, N1, HOME_CPUSET);
	b->s.vcpus[0].node = b->s.vcpus[1].node = 0; /* to where its memory may not be */
	expect_home(b, N1 | N2, HOME_CPUSET);
	b->s.vm.allowed_nodes = 0;
	b->s.policy.nodes = N0 | N2;
	expect_home(b, N0, HOME_POLICY);
}

static void test_bind_goes_by_nothing_else(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 2, 1, 5000);
	b->s.policy.placement = PLACEMENT_BIND;
	expect_home(b, 0, HOME_UNKNOWN);
	b->s.policy.nodes = N0 | N1;
	expect_home(b, N0 | N1, HOME_POLICY);
}

static void test_a_vcpu_counts_by_its_work(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 1, 0, 9000);
	add_vcpus(b, 8, 1, 0); /* asleep */
	add_vcpus(b, 1, 1, VCPU_BUSY_UNKNOWN);
	expect_home(b, N0, HOME_VCPUS);
}

static void test_a_vm_at_rest_has_a_home(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, 4, 1, 0);
	expect_home(b, N1, HOME_VCPUS);
}

/* Exactly a tenth counts, anything less does not: however small the sum is. */
static void test_a_node_with_less_than_a_tenth_of_the_work_is_none(void **state)
{
	for (uint32_t busy_bp = 0; busy_bp <= 10000; busy_bp += 10000)
		for (size_t n = 1; n <= 40; n++) {
			struct bench *b = *state;

			b->s.n_vcpus = b->s.host.n_nodes = 0;
			add_nodes(b, 2);
			add_vcpus(b, n, 0, busy_bp);
			add_vcpus(b, 1, 1, busy_bp);
			expect_home(b, n + 1 <= 10 ? N0 | N1 : N0, HOME_VCPUS);
		}
}

static void test_work_in_large_amounts_does_not_wrap(void **state)
{
	struct bench *b = *state;

	add_nodes(b, 2);
	add_vcpus(b, SNAPSHOT_VCPUS_MAX - 1, 0, UINT32_MAX - 1);
	add_vcpus(b, 1, 1, UINT32_MAX - 1);
	expect_home(b, N0, HOME_VCPUS);
}

static void test_best_node_has_most_free_blocks(void **state)
{
	struct bench *b = *state;

	assert_int_equal(home_best_node(N0 | N1, &b->s.host), -1);
	add_node(b, 0, 5 * BLOCK);
	add_node(b, 1, 9 * BLOCK);
	add_node(b, 2, 7 * BLOCK);
	assert_int_equal(home_best_node(N0 | N1 | N2, &b->s.host), 1);
	assert_int_equal(home_best_node(N0 | N2, &b->s.host), 2);
	assert_int_equal(home_best_node(0, &b->s.host), -1);
	assert_int_equal(home_best_node(1 << 3, &b->s.host), -1);
	b->s.host.nodes[0].free_block_bytes = b->s.host.nodes[2].free_block_bytes = 0;
	assert_int_equal(home_best_node(N0 | N2, &b->s.host), 0); /* full, yet the best */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_region, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_where_a_vcpu_is_tied_to_counts_more_than_where_it_ran),
		TEST(test_vcpus_are_compared_thread_by_thread),
		TEST(test_counters_that_run_backwards_or_wild_are_no_trouble),
		TEST(test_nodes_are_found_by_their_number),
		TEST(test_distances_are_in_the_order_of_the_nodes),
		TEST(test_distances_that_are_none),
		TEST(test_home_is_not_known_where_nobody_says),
		TEST(test_home_is_where_the_vcpus_run),
		TEST(test_what_binds_a_vm_comes_first),
		TEST(test_of_the_nodes_of_the_policy_those_that_the_cpuset_allows),
		TEST(test_what_the_vmm_was_told_binds),
		TEST(test_a_cpuset_of_all_nodes_binds_nothing),
		TEST(test_nodes_without_memory_are_no_home),
		TEST(test_follow_narrows_what_binds),
		TEST(test_bind_goes_by_nothing_else),
		TEST(test_a_vcpu_counts_by_its_work),
		TEST(test_a_vm_at_rest_has_a_home),
		TEST(test_a_node_with_less_than_a_tenth_of_the_work_is_none),
		TEST(test_work_in_large_amounts_does_not_wrap),
		TEST(test_best_node_has_most_free_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
