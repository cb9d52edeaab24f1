/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "snapshot_builder.h"
#include "verify.h"

struct bench {
	struct snapshot before, after; /* only their sights count */
};

static const struct action action_of_four = {
	.id = 5, .kind = ACTION_COPY, .target = {.start = BASE, .bytes = 4 * BLOCK}};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	build_begin(&b->before);
	build_begin(&b->after);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	snapshot_clear(&b->before);
	snapshot_clear(&b->after);
	free(b);
	return 0;
}

static void see(struct snapshot *s, uint32_t block, uint32_t blocks, enum seen seen, uint8_t fill)
{
	build_sight(s, BASE + block * BLOCK, blocks, seen, fill);
}

static struct verdict verify(const struct bench *b, int err)
{
	const struct outcome o = {.action = 5, .err = err};

	return verify_action(&action_of_four, &o, b->before.sights, b->before.n_sights,
			     b->after.sights, b->after.n_sights, &geometry_4k);
}

static void expect(const struct verdict *v, enum effect effect, int64_t delta, enum reason reason)
{
	assert_int_equal(v->action, 5);
	assert_string_equal(effect_name(v->effect), effect_name(effect));
	assert_int_equal(v->huge_bytes_delta, delta);
	assert_string_equal(reason_slug(v->reason), reason_slug(reason));
}

static void test_done(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	see(&b->after, 0, 4, SEEN_HUGE, FILL_FULL);
	v = verify(b, 0);
	expect(&v, EFFECT_DONE, (int64_t)(4 * BLOCK), REASON_NONE);
	assert_int_equal(v.refilled_bytes, 0);
}

static void test_failure_is_no_evidence_against_what_was_done(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	see(&b->after, 0, 4, SEEN_HUGE, FILL_FULL);
	v = verify(b, EINVAL);
	expect(&v, EFFECT_DONE, (int64_t)(4 * BLOCK), REASON_NONE);
}

static void test_success_is_no_evidence(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	see(&b->after, 0, 4, SEEN_SMALL, FILL_FULL);
	v = verify(b, 0);
	expect(&v, EFFECT_NONE, 0, REASON_BUSY_RETRY);
}

static void test_partial(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 1, SEEN_HUGE, FILL_FULL);
	see(&b->before, 1, 3, SEEN_FOLIO, FILL_UNKNOWN);
	see(&b->after, 0, 3, SEEN_HUGE, FILL_FULL);
	see(&b->after, 3, 1, SEEN_SMALL, FILL_FULL);
	v = verify(b, EAGAIN);
	expect(&v, EFFECT_PARTIAL, (int64_t)(2 * BLOCK), REASON_BUSY_RETRY);
}

static void test_worse(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_HUGE, FILL_FULL);
	see(&b->after, 0, 1, SEEN_HUGE, FILL_FULL);
	see(&b->after, 1, 3, SEEN_SMALL, FILL_FULL);
	v = verify(b, EINVAL);
	expect(&v, EFFECT_WORSE, -(int64_t)(3 * BLOCK), REASON_KERNEL_REFUSED);
}

static void test_reasons_by_errno(void **state)
{
	static const struct {
		int err;
		enum reason reason;
	} rows[] = {
		{EAGAIN, REASON_BUSY_RETRY},	    {EBUSY, REASON_MEMCG_LIMIT},
		{ENOMEM, REASON_NO_FREE_HUGE_PAGE}, {EINVAL, REASON_KERNEL_REFUSED},
		{ESRCH, REASON_VANISHED},	    {EPERM, REASON_NO_PERMISSION},
		{EACCES, REASON_NO_PERMISSION},	    {EFAULT, REASON_KERNEL_REFUSED},
	};
	struct bench *b = *state;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	see(&b->after, 0, 4, SEEN_SMALL, FILL_FULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct verdict v = verify(b, rows[i].err);

		expect(&v, EFFECT_NONE, 0, rows[i].reason);
	}
}

/* The same errno says two things. */
static void test_enomem_of_a_mapping_that_is_gone(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	see(&b->after, 0, 4, SEEN_NOTHING, 0);
	v = verify(b, ENOMEM);
	expect(&v, EFFECT_NONE, 0, REASON_VANISHED);
	b->after.sights[0].blocks = 3;
	see(&b->after, 3, 1, SEEN_SMALL, FILL_FULL);
	v = verify(b, ENOMEM);
	expect(&v, EFFECT_NONE, 0, REASON_NO_FREE_HUGE_PAGE);
	b->after.n_sights = 0;
	v = verify(b, ENOMEM);
	expect(&v, EFFECT_NONE, 0, REASON_NO_FREE_HUGE_PAGE);
}

static void test_second_look_that_failed(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, FILL_FULL);
	v = verify(b, 0);
	expect(&v, EFFECT_NONE, 0, REASON_NOT_LOOKED_YET);
}

static void test_refill_is_counted(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 1, SEEN_SMALL, FILL_FULL);
	see(&b->before, 1, 2, SEEN_SMALL, 12);
	see(&b->before, 3, 1, SEEN_NOTHING, 0);
	see(&b->after, 0, 4, SEEN_HUGE, FILL_FULL);
	v = verify(b, 0);
	assert_int_equal(v.refilled_bytes, 2 * BLOCK / 4 + BLOCK);
}

static void test_touches_of_the_guest_are_not_refill(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	see(&b->before, 0, 4, SEEN_SMALL, 8);
	see(&b->after, 0, 4, SEEN_SMALL, 12);
	v = verify(b, EAGAIN);
	assert_int_equal(v.refilled_bytes, 0);
}

static void test_only_the_target_counts(void **state)
{
	struct bench *b = *state;
	struct verdict v;

	build_sight(&b->before, BASE - 2 * BLOCK, 8, SEEN_SMALL, 8);
	build_sight(&b->after, BASE - 2 * BLOCK, 8, SEEN_HUGE, FILL_FULL);
	v = verify(b, 0);
	expect(&v, EFFECT_DONE, (int64_t)(4 * BLOCK), REASON_NONE);
	assert_int_equal(v.refilled_bytes, 2 * BLOCK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_done),
		TEST(test_failure_is_no_evidence_against_what_was_done),
		TEST(test_success_is_no_evidence),
		TEST(test_partial),
		TEST(test_worse),
		TEST(test_reasons_by_errno),
		TEST(test_enomem_of_a_mapping_that_is_gone),
		TEST(test_second_look_that_failed),
		TEST(test_refill_is_counted),
		TEST(test_touches_of_the_guest_are_not_refill),
		TEST(test_only_the_target_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
