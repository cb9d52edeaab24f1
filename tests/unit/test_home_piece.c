/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which part of the memory of a VM on several nodes belongs to which. */
#include "home_piece.h"
#include "node_bench.h"

#define GIB (UINT64_C(1) << 30)

static void make_wide(struct bench *b, enum wide wide)
{
	b->s.n_regions = 0;
	add_nodes(b, 4);
	b->s.policy.nodes = N0 | N2;
	b->s.policy.wide = wide;
	b->s.policy.wide_stripe_bytes = 4 * BLOCK;
}

static void add_span(struct bench *b, hva_t start, uint64_t bytes, int16_t guest_node)
{
	const struct guest_span span = {start, bytes, guest_node};

	assert_int_equal(ARRAY_APPEND(&b->s.guest_spans, &b->s.n_guest_spans, &span), 0);
}

/* A thread of a guest node. */
static void add_guest_cpu(struct bench *b, int16_t guest_node, int16_t node, uint32_t busy_bp)
{
	add_vcpus(b, 1, node, busy_bp);
	b->s.vcpus[b->s.n_vcpus - 1].guest_node = guest_node;
}

static void expect_piece(const struct bench *b, hva_t at, hva_t end, hva_t piece_end,
			 node_set_t nodes)
{
	struct home h = home_of(&b->s);
	struct home_piece p = home_piece_at(&h, &b->s, at, end);

	assert_int_equal(p.start, at);
	assert_int_equal(p.end, piece_end);
	assert_int_equal(p.nodes, nodes);
}

static void expect_rule(const struct bench *b, enum home_rule rule)
{
	assert_string_equal(home_rule_name(home_of(&b->s).rule), home_rule_name(rule));
}

/* ---- Rules ---- */

static void test_one_node_is_not_divided(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	add_span(b, BASE, 4 * BLOCK, 0);
	add_span(b, BASE + 4 * BLOCK, 4 * BLOCK, 1);
	b->s.policy.nodes = N2;
	expect_rule(b, HOME_WHOLE);
	expect_piece(b, BASE, BASE + 64 * BLOCK, BASE + 64 * BLOCK, N2);
	b->s.policy.nodes = 0;
	expect_rule(b, HOME_WHOLE);
	expect_piece(b, BASE, BASE + 64 * BLOCK, BASE + 64 * BLOCK, 0);
}

static void test_a_wide_home_is_left_where_policy_says_so(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_LEAVE);
	expect_rule(b, HOME_LEFT);
	expect_piece(b, BASE + BLOCK, BASE + 64 * BLOCK, BASE + 64 * BLOCK, N0 | N2);
	expect_piece(b, BASE + BLOCK, BASE + BLOCK, BASE + BLOCK, N0 | N2);
}

/* ---- Stripes ---- */

static void test_memory_without_a_file_is_striped_by_address(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	build_region(&b->s, BASE + BLOCK, 63 * BLOCK, BACKING_ANON);
	expect_rule(b, HOME_INTERLEAVED);
	expect_piece(b, BASE + BLOCK, BASE + 64 * BLOCK, BASE + 4 * BLOCK, N0);
	expect_piece(b, BASE + 4 * BLOCK, BASE + 64 * BLOCK, BASE + 8 * BLOCK, N2);
	expect_piece(b, BASE + 8 * BLOCK, BASE + 10 * BLOCK, BASE + 10 * BLOCK, N0);
	/* The mapping is cut: all stays as it was. */
	b->s.regions[0].end = BASE + 5 * BLOCK;
	build_region(&b->s, BASE + 5 * BLOCK, 59 * BLOCK, BACKING_ANON);
	expect_piece(b, BASE + 5 * BLOCK, BASE + 64 * BLOCK, BASE + 8 * BLOCK, N2);
}

static void test_files_are_striped_by_their_offset(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM)->file_offset = 6 * BLOCK;
	build_region(&b->s, BASE + 8 * BLOCK, 8 * BLOCK, BACKING_SHMEM)->file_offset = 0;
	expect_piece(b, BASE, BASE + 16 * BLOCK, BASE + 2 * BLOCK, N2);
	expect_piece(b, BASE + 2 * BLOCK, BASE + 16 * BLOCK, BASE + 6 * BLOCK, N0);
	/* The next mapping counts anew. */
	expect_piece(b, BASE + 6 * BLOCK, BASE + 16 * BLOCK, BASE + 8 * BLOCK, N2);
	expect_piece(b, BASE + 8 * BLOCK, BASE + 16 * BLOCK, BASE + 12 * BLOCK, N0);
}

static void test_a_stripe_is_whole_blocks(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	build_region(&b->s, BASE, 8 * BLOCK, BACKING_SHMEM)->file_offset = BLOCK / 2;
	b->s.policy.wide_stripe_bytes = 3 * BLOCK - PAGE;
	assert_int_equal(home_of(&b->s).stripe_bytes, 2 * BLOCK);
	/* The file's second stripe begins in the middle of a block, which is of the first. */
	expect_piece(b, BASE, BASE + 8 * BLOCK, BASE + 2 * BLOCK, N0);
	expect_piece(b, BASE + 2 * BLOCK, BASE + 8 * BLOCK, BASE + 4 * BLOCK, N2);
	b->s.policy.wide_stripe_bytes = 1;
	assert_int_equal(home_of(&b->s).stripe_bytes, BLOCK);
	b->s.policy.wide_stripe_bytes = UINT64_MAX;
	expect_piece(b, BASE, BASE + 8 * BLOCK, BASE + 8 * BLOCK, N0);
}

static void test_stripes_go_round_all_nodes(void **state)
{
	static const node_set_t nodes[] = {N0, N1, N2, 1 << 3, N0};
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	b->s.policy.nodes = N0 | N1 | N2 | 1 << 3;
	build_region(&b->s, BASE, 5 * GIB, BACKING_SHMEM);
	b->s.policy.wide_stripe_bytes = ((struct policy)POLICY_INIT).wide_stripe_bytes;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		expect_piece(b, BASE + i * GIB, BASE + 5 * GIB, BASE + (i + 1) * GIB, nodes[i]);
}

/* ---- Guest nodes ---- */

static void test_a_guest_node_belongs_where_its_vcpus_run(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	add_span(b, BASE, 4 * BLOCK, 1);
	add_span(b, BASE + 4 * BLOCK, 2 * BLOCK + PAGE, 0);
	add_span(b, BASE + 8 * BLOCK + PAGE, 4 * BLOCK, 1);
	add_guest_cpu(b, 0, 0, 5000);
	add_guest_cpu(b, 1, 2, 5000);
	expect_rule(b, HOME_BY_GUEST);
	expect_piece(b, BASE, BASE + 64 * BLOCK, BASE + 4 * BLOCK, N2);
	expect_piece(b, BASE + BLOCK, BASE + 2 * BLOCK, BASE + 2 * BLOCK, N2);
	expect_piece(b, BASE + 4 * BLOCK, BASE + 64 * BLOCK, BASE + 7 * BLOCK, N0);
	/* Of no guest node: any of them. A block is where its first byte is. */
	expect_piece(b, BASE + 7 * BLOCK, BASE + 64 * BLOCK, BASE + 9 * BLOCK, N0 | N2);
	expect_piece(b, BASE + 9 * BLOCK, BASE + 64 * BLOCK, BASE + 13 * BLOCK, N2);
	expect_piece(b, BASE + 13 * BLOCK, BASE + 64 * BLOCK, BASE + 64 * BLOCK, N0 | N2);
}

static void test_vcpus_of_a_guest_node_count_by_their_work(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_LEAVE);
	add_span(b, BASE, 4 * BLOCK, 0);
	add_span(b, BASE + 4 * BLOCK, 4 * BLOCK, 1);
	add_guest_cpu(b, 0, 0, 9500);
	add_guest_cpu(b, 0, 2, 500); /* has strayed there */
	add_guest_cpu(b, 1, 2, 5000);
	add_guest_cpu(b, -1, 0, 10000); /* of nobody knows which */
	assert_int_equal(home_of(&b->s).by_guest_node[0], N0);
	assert_int_equal(home_of(&b->s).by_guest_node[1], N2);
	b->s.vcpus[1].busy_bp = 2000;
	assert_int_equal(home_of(&b->s).by_guest_node[0], N0 | N2);
	b->s.vcpus[1].busy_bp = 500;
	b->s.vcpus[2].node = 1; /* where the VM is not bound to */
	assert_int_equal(home_of(&b->s).by_guest_node[1], N0 | N2);
	b->s.vcpus[2].node = -1;
	assert_int_equal(home_of(&b->s).by_guest_node[1], N0 | N2);
}

static void test_a_guest_of_one_node_says_nothing(void **state)
{
	struct bench *b = *state;

	make_wide(b, WIDE_INTERLEAVE);
	add_span(b, BASE, 4 * BLOCK, 1);
	add_span(b, BASE + 4 * BLOCK, 4 * BLOCK, 1);
	expect_rule(b, HOME_INTERLEAVED);
	b->s.policy.wide = WIDE_LEAVE;
	expect_rule(b, HOME_LEFT);
}

static bool is_changed(const struct bench *b, const struct home *before)
{
	struct home now = home_of(&b->s);

	return !home_is_same(before, &now);
}

static void test_what_changes_a_home(void **state)
{
	struct bench *b = *state;
	struct home before;

	make_wide(b, WIDE_LEAVE);
	add_guest_cpu(b, 0, 0, 5000);
	add_guest_cpu(b, 1, 2, 5000);
	before = home_of(&b->s);
	b->s.vcpus[0].busy_bp = 4000;
	assert_false(is_changed(b, &before));
	b->s.policy.wide = WIDE_INTERLEAVE;
	assert_true(is_changed(b, &before));
	before = home_of(&b->s);
	b->s.policy.wide_stripe_bytes *= 2;
	assert_true(is_changed(b, &before));
	add_span(b, BASE, 4 * BLOCK, 0);
	add_span(b, BASE + 4 * BLOCK, 4 * BLOCK, 1);
	assert_true(is_changed(b, &before));
	before = home_of(&b->s);
	assert_false(is_changed(b, &before));
	b->s.guest_spans[0].bytes -= BLOCK;
	assert_true(is_changed(b, &before));
	b->s.guest_spans[0].bytes += BLOCK;
	b->s.vcpus[0].node = 2;
	b->s.vcpus[1].node = 0; /* they change places: the VM is where it was */
	assert_int_equal(home_of(&b->s).nodes, before.nodes);
	assert_true(is_changed(b, &before));
}

/* ---- Law ---- */

static void random_home(struct bench *b, uint64_t *seed)
{
	uint64_t at = BASE;

	add_nodes(b, 4);
	b->s.policy.nodes = 1 + random_below(seed, 15);
	b->s.policy.wide = (enum wide)random_below(seed, WIDE_MAX);
	b->s.policy.wide_stripe_bytes = random_below(seed, 5 * BLOCK);
	for (uint64_t n = 1 + random_below(seed, 4); n > 0; n--)
		add_guest_cpu(b, (int16_t)random_below(seed, 3), (int16_t)random_below(seed, 4),
			      5000);
	for (uint64_t n = random_below(seed, 6); n > 0; n--) {
		uint64_t bytes = 1 + random_below(seed, 6 * BLOCK);

		at += random_below(seed, 2) * random_below(seed, 2 * BLOCK);
		add_span(b, at, bytes, (int16_t)random_below(seed, 3));
		at += bytes;
	}
	for (at = BASE; at < BASE + 20 * BLOCK; at = b->s.regions[b->s.n_regions - 1].end)
		build_region(&b->s, at, (1 + random_below(seed, 6)) * BLOCK,
			     (enum backing)random_below(seed, 2))
			->file_offset = random_below(seed, 3000) * PAGE;
}

/* Whoever asks, from wherever: a block belongs to the same nodes, and all blocks of a piece do. */
static void test_pieces_say_of_every_block_the_same(void **state)
{
	hva_t end = BASE + 24 * BLOCK;

	(void)state;
	for (uint64_t n = 1, seed = 1; n <= 3000; n++) {
		struct bench b = {0};
		struct home h;
		struct home_piece p;

		build_begin(&b.s);
		random_home(&b, &seed);
		h = home_of(&b.s);
		for (p = home_piece_at(&h, &b.s, BASE, end); p.start < end;
		     p = home_piece_at(&h, &b.s, p.end, end)) {
			assert_true(p.end > p.start && p.end <= end && p.end % BLOCK == 0);
			assert_true(p.nodes && !(p.nodes & ~h.nodes));
			for (hva_t at = p.start; at < p.end; at += BLOCK) {
				struct home_piece one = home_piece_at(&h, &b.s, at, at + BLOCK);

				assert_true(one.nodes == p.nodes && one.end == at + BLOCK);
			}
		}
		snapshot_clear(&b.s);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_region, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_node_is_not_divided),
		TEST(test_a_wide_home_is_left_where_policy_says_so),
		TEST(test_memory_without_a_file_is_striped_by_address),
		TEST(test_files_are_striped_by_their_offset),
		TEST(test_a_stripe_is_whole_blocks),
		TEST(test_stripes_go_round_all_nodes),
		TEST(test_a_guest_node_belongs_where_its_vcpus_run),
		TEST(test_vcpus_of_a_guest_node_count_by_their_work),
		TEST(test_a_guest_of_one_node_says_nothing),
		TEST(test_what_changes_a_home),
		cmocka_unit_test(test_pieces_say_of_every_block_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
