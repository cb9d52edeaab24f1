/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the memory of a VM is, against where it should: sums, findings, verdicts. */
#include "node_bench.h"
#include "whereabouts.h"

/* ---- whereabouts ---- */

static struct sight *see(struct bench *b, uint32_t block, uint32_t blocks, enum seen seen,
			 int16_t node)
{
	struct sight *v = build_sight(&b->s, BASE + block * BLOCK, blocks, seen, FILL_FULL);

	v->node = node;
	return v;
}

static struct whereabouts judge(struct bench *b, uint64_t reserve_bytes)
{
	assert_int_equal(snapshot_validate(&b->s, NULL), 0);
	assert_int_equal(diagnose(&b->s, b->s.taken_ns, &b->d), 0);
	return whereabouts_of(&b->s, &b->d, reserve_bytes);
}

static void expect_verdict(const struct whereabouts *w, enum whereabouts_verdict verdict)
{
	assert_string_equal(whereabouts_verdict_name(w->verdict),
			    whereabouts_verdict_name(verdict));
}

static void expect_finding(const struct whereabouts *w, size_t i, enum reason reason, int node,
			   uint64_t bytes)
{
	assert_true(i < w->n_findings);
	assert_string_equal(reason_slug(w->findings[i].reason), reason_slug(reason));
	assert_int_equal(w->findings[i].node, node);
	assert_int_equal(w->findings[i].bytes, bytes);
}

static void test_bytes_are_told_by_node(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	b->s.policy.nodes = N0;
	see(b, 0, 40, SEEN_HUGE, 0);
	see(b, 40, 64, SEEN_HUGE, 1);
	build_sight(&b->s, BASE + 104 * BLOCK, 2, SEEN_SMALL, 8)->node = 1; /* half of each */
	see(b, 106, 3, SEEN_SMALL, -1);
	see(b, 109, 1, SEEN_SMALL, 64);
	build_sight(&b->s, BASE + 110 * BLOCK, 4, SEEN_SMALL, FILL_UNKNOWN)->node = 1;
	/* Resident as a whole, however much of it is mapped. */
	build_sight(&b->s, BASE + 114 * BLOCK, 5, SEEN_FOLIO, FILL_UNKNOWN)->node = 1;
	build_sight(&b->s, BASE + 119 * BLOCK, 9, SEEN_NOTHING, 0)->node = -1;
	w = judge(b, 0);
	assert_int_equal(w.by_node[0], 40 * BLOCK);
	assert_int_equal(w.by_node[1], 70 * BLOCK);
	assert_int_equal(w.unknown_bytes, 4 * BLOCK);
	assert_int_equal(w.home_bytes, 40 * BLOCK);
	assert_int_equal(w.remote_bytes, 70 * BLOCK);
	expect_verdict(&w, WHEREABOUTS_REMOTE);
}

static void test_without_a_home_nothing_is_remote(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	see(b, 0, 40, SEEN_HUGE, 0);
	w = judge(b, 0);
	assert_int_equal(w.by_node[0], 40 * BLOCK);
	assert_int_equal(w.home_bytes + w.remote_bytes, 0);
	assert_int_equal(w.n_findings, 0);
	expect_verdict(&w, WHEREABOUTS_UNKNOWN);
}

static void test_verdicts(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	add_vcpus(b, 1, 0, 5000);
	see(b, 0, 40, SEEN_HUGE, 0);
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_HOME);
	add_vcpus(b, 1, 1, 5000);
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_WIDE);
	b->s.vcpus[0].node = 1;
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_REMOTE);
	b->s.policy.min_gain_bytes = 40 * BLOCK; /* exactly that is worth it */
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_REMOTE);
	b->s.policy.min_gain_bytes++;
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_HOME);
	b->s.policy.min_gain_bytes = 0;
	b->s.sights[0].node = 1;
	w = judge(b, 0);
	expect_verdict(&w, WHEREABOUTS_HOME); /* nothing is no gain */
}

static void test_remote_memory_is_told_the_largest_first(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 4);
	strcpy(b->s.host.nodes[0].distances, "10 21 31 31");
	b->s.policy.nodes = N0;
	see(b, 0, 40, SEEN_HUGE, 1);
	see(b, 40, 70, SEEN_HUGE, 2);
	see(b, 110, 40, SEEN_HUGE, 3);
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 3);
	expect_finding(&w, 0, REASON_REMOTE_MEMORY, 2, 70 * BLOCK);
	expect_finding(&w, 1, REASON_REMOTE_MEMORY, 1, 40 * BLOCK);
	expect_finding(&w, 2, REASON_REMOTE_MEMORY, 3, 40 * BLOCK);
	assert_int_equal(w.findings[0].distance, 31);
	assert_int_equal(w.findings[1].distance, 21);
}

static void test_the_smallest_findings_are_left_out(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 12);
	b->s.policy.nodes = N0;
	for (uint32_t i = 1; i < 12; i++)
		see(b, i * 20, i, SEEN_HUGE, (int16_t)i);
	w = judge(b, 0);
	assert_int_equal(w.n_findings, WHEREABOUTS_FINDINGS_MAX);
	for (size_t i = 0; i < w.n_findings; i++)
		expect_finding(&w, i, REASON_REMOTE_MEMORY, 11 - (int)i, (11 - i) * BLOCK);
}

static void test_home_that_is_full(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_node(b, 0, 4 * BLOCK);
	add_node(b, 1, 8 * BLOCK);
	b->s.policy.nodes = N0;
	see(b, 0, 40, SEEN_HUGE, 1);
	w = judge(b, 3 * BLOCK);
	assert_int_equal(w.n_findings, 1);
	w = judge(b, 3 * BLOCK + 1);
	assert_int_equal(w.n_findings, 2);
	expect_finding(&w, 0, REASON_NODE_FULL, 0, 40 * BLOCK);
	assert_int_equal(w.findings[0].distance, 0);
	expect_finding(&w, 1, REASON_REMOTE_MEMORY, 1, 40 * BLOCK);
	b->s.sights[0].node = 0; /* then it does not matter */
	w = judge(b, 4 * BLOCK);
	assert_int_equal(w.n_findings, 0);
}

static void test_a_collapse_would_cement(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	b->s.policy.nodes = N0;
	b->s.policy.min_gain_bytes = 5 * BLOCK;
	see(b, 0, 4, SEEN_SMALL, 0);
	see(b, 4, 5, SEEN_SMALL, 1);
	see(b, 9, 6, SEEN_SMALL, -1);
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 2);
	expect_finding(&w, 0, REASON_COLLAPSE_WOULD_CEMENT, -1, 5 * BLOCK);
	expect_finding(&w, 1, REASON_REMOTE_MEMORY, 1, 5 * BLOCK);
	b->s.policy.min_gain_bytes++; /* not worth a word */
	w = judge(b, UINT64_MAX);
	assert_int_equal(w.n_findings, 0);
}

static void test_memory_of_a_working_vm_on_nodes_without_cpus(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 4);
	b->s.host.nodes[1].has_cpus = b->s.host.nodes[2].has_cpus = b->s.host.nodes[3].has_cpus =
		false;
	add_vcpus(b, 1, 0, 400);
	add_vcpus(b, 1, 0, 599);
	add_vcpus(b, 1, 0, VCPU_BUSY_UNKNOWN);
	see(b, 0, 40, SEEN_HUGE, 1);
	see(b, 40, 50, SEEN_HUGE, 2);
	w = judge(b, 0);
	expect_finding(&w, 0, REASON_REMOTE_MEMORY, 2, 50 * BLOCK); /* it sleeps */
	b->s.vcpus[1].busy_bp++;
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 4);
	expect_finding(&w, 0, REASON_TIER_MISMATCH, 2, 50 * BLOCK);
	expect_finding(&w, 1, REASON_TIER_MISMATCH, 1, 40 * BLOCK);
	expect_finding(&w, 2, REASON_REMOTE_MEMORY, 2, 50 * BLOCK);
}

static void test_balancing_that_does_not_come_to_rest(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	add_vcpus(b, 1, 0, 0)->migrated_pages_per_s = 1000;
	add_vcpus(b, 1, 0, 0)->migrated_pages_per_s = 24;
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 0);
	b->s.host.is_numa_balancing = true;
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 1);
	expect_finding(&w, 0, REASON_AUTONUMA_THRASH, -1, 1024 * PAGE);
	b->s.vcpus[1].migrated_pages_per_s--;
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 0);
}

static void test_a_cpuset_that_keeps_memory_away(void **state)
{
	struct bench *b = *state;
	struct whereabouts w;

	add_nodes(b, 2);
	add_vcpus(b, 1, 1, 5000);
	b->s.vm.allowed_nodes = N0;
	see(b, 0, 40, SEEN_HUGE, 0);
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 1);
	expect_finding(&w, 0, REASON_PINNED_BY_CPUSET, 0, 40 * BLOCK);
	b->s.policy.nodes = N0; /* so it is wanted */
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 0);
	b->s.policy.nodes = 0;
	add_vcpus(b, 1, 0, 5000);
	w = judge(b, 0);
	assert_int_equal(w.n_findings, 0);
}

/* ---- Laws ---- */

static void random_nodes(uint64_t *seed, struct snapshot *s)
{
	s->host.n_nodes = (uint16_t)random_below(seed, 5);
	for (uint16_t i = 0; i < s->host.n_nodes; i++)
		s->host.nodes[i] = (struct host_node){
			.id = (int16_t)i,
			.free_block_bytes = random_below(seed, 40) * block_bytes(&s->geometry),
			.has_cpus = !one_in(seed, 4),
		};
	s->host.is_numa_balancing = one_in(seed, 2);
	s->vm.bound_nodes = one_in(seed, 4) ? random_below(seed, 16) : 0;
	s->vm.allowed_nodes = one_in(seed, 3) ? random_below(seed, 16) : 0;
	s->policy.nodes = one_in(seed, 3) ? random_below(seed, 16) : 0;
	s->policy.placement = (enum placement)random_below(seed, PLACEMENT_MAX);
	s->policy.wide = (enum wide)random_below(seed, WIDE_MAX);
	s->policy.wide_stripe_bytes = random_below(seed, 40 * BLOCK);
	for (uint64_t n = random_below(seed, 6); n > 0; n--) {
		const struct vcpu v = {
			.tid = (pid_t)n,
			.node = (int16_t)random_below(seed, 5),
			.allowed = one_in(seed, 3) ? random_below(seed, 16) : 0,
			.busy_bp = one_in(seed, 3) ? VCPU_BUSY_UNKNOWN
						   : (uint32_t)random_below(seed, 10001),
			.migrated_pages_per_s = (uint32_t)random_below(seed, 2000),
			.guest_node = (int16_t)random_below(seed, 2),
		};

		assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
	}
}

static void random_guest(uint64_t *seed, struct snapshot *s)
{
	hva_t at = BASE;

	for (uint64_t n = one_in(seed, 3) ? 0 : 2 + random_below(seed, 5); n > 0; n--) {
		struct guest_span span = {at, 1 + random_below(seed, 30 * BLOCK),
					  (int16_t)random_below(seed, 2)};

		assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
		at += span.bytes;
	}
}

static void check_home(const struct snapshot *s, const struct home *h)
{
	node_set_t all = host_node_set(&s->host);

	assert_true((h->nodes & ~all) == 0);
	assert_true((h->nodes == 0) == (h->source == HOME_UNKNOWN));
	assert_true(h->source != HOME_POLICY || (h->nodes & ~s->policy.nodes) == 0);
	assert_true(h->source != HOME_CPUSET || (h->nodes & ~s->vm.allowed_nodes) == 0);
	assert_true(h->source != HOME_VCPUS || (h->nodes & ~h->vcpu_nodes) == 0);
	assert_true(s->policy.placement != PLACEMENT_BIND || h->source != HOME_VCPUS);
}

static void check_whereabouts(const struct snapshot *s, const struct whereabouts *w)
{
	uint64_t home = 0, remote = 0, counted = 0;

	for (int node = 0; node < NODE_SET_MAX; node++) {
		remote += w->remote_by_node[node];
		home += w->by_node[node] - w->remote_by_node[node];
		assert_true(w->remote_by_node[node] <= w->by_node[node]);
		if (w->home.rule == HOME_WHOLE || w->home.rule == HOME_LEFT)
			assert_true(w->remote_by_node[node] == 0 ||
				    !node_set_has(w->home.nodes, node));
		if (w->home.nodes && !node_set_has(w->home.nodes, node))
			assert_int_equal(w->remote_by_node[node], w->by_node[node]);
	}
	for (size_t i = 0; i < s->n_sights; i++)
		if (s->sights[i].seen == SEEN_FOLIO)
			counted += s->sights[i].blocks * block_bytes(&s->geometry);
		else if (s->sights[i].fill != FILL_UNKNOWN)
			counted += s->sights[i].present_pages * page_bytes(&s->geometry);
	assert_int_equal(home + remote + w->unknown_bytes, counted);
	assert_int_equal(w->home_bytes, w->home.nodes ? home : 0);
	assert_int_equal(w->remote_bytes, remote);
	assert_true(w->n_findings <= WHEREABOUTS_FINDINGS_MAX);
	for (size_t i = 0; i + 1 < w->n_findings; i++)
		assert_true(w->findings[i].reason != w->findings[i + 1].reason ||
			    w->findings[i].bytes >= w->findings[i + 1].bytes);
	for (size_t i = 0; i < w->n_findings; i++)
		assert_true(w->findings[i].reason != REASON_REMOTE_MEMORY ||
			    w->findings[i].bytes == w->remote_by_node[w->findings[i].node]);
}

static void test_laws_hold_on_random_snapshots(void **state)
{
	uint64_t sources[HOME_SOURCE_MAX] = {0}, verdicts[WHEREABOUTS_MAX] = {0},
		 rules[HOME_RULE_MAX] = {0};

	(void)state;
	for (uint64_t round = 1; round <= 4000; round++) {
		uint64_t seed = round * 0x9e3779b97f4a7c15u;
		struct bench b = {.d = DIAGNOSIS_INIT};
		struct whereabouts w;

		build_random(&b.s, &seed);
		random_nodes(&seed, &b.s);
		random_guest(&seed, &b.s);
		assert_int_equal(snapshot_validate(&b.s, NULL), 0);
		b.s.policy.min_gain_bytes = random_below(&seed, 3) * BLOCK;
		w = judge(&b, random_below(&seed, 20) * BLOCK);
		check_home(&b.s, &w.home);
		check_whereabouts(&b.s, &w);
		sources[w.home.source]++;
		rules[w.home.rule]++;
		verdicts[w.verdict]++;
		diagnosis_clear(&b.d);
		snapshot_clear(&b.s);
	}
	for (size_t i = 0; i < HOME_SOURCE_MAX; i++)
		assert_true(sources[i] > 200);
	for (size_t i = 0; i < WHEREABOUTS_MAX; i++)
		assert_true(verdicts[i] > 200);
	for (size_t i = 0; i < HOME_RULE_MAX; i++)
		assert_true(rules[i] > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_region, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_are_told_by_node),
		TEST(test_without_a_home_nothing_is_remote),
		TEST(test_verdicts),
		TEST(test_remote_memory_is_told_the_largest_first),
		TEST(test_the_smallest_findings_are_left_out),
		TEST(test_home_that_is_full),
		TEST(test_a_collapse_would_cement),
		TEST(test_memory_of_a_working_vm_on_nodes_without_cpus),
		TEST(test_balancing_that_does_not_come_to_rest),
		TEST(test_a_cpuset_that_keeps_memory_away),
		TEST(test_laws_hold_on_random_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
