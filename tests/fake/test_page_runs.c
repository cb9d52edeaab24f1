/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Runs of equal pages, of which the model kernel's memory is made. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "page_runs.h"

static void test_runs_split_and_merge(void **state)
{
	struct page_runs r = {0};
	struct page_run run = {
		.first = 0, .pages = 10, .kind = PAGES_SMALL, .pfn = 100, .pfn_step = 2};

	(void)state;
	page_runs_set(&r, &run);
	page_runs_remove(&r, 3, 2);
	assert_int_equal(r.n_items, 2);
	assert_int_equal(page_runs_at(&r, 6, 10).pfn, 112);
	assert_int_equal(page_runs_at(&r, 3, 10).kind, PAGES_NONE);
	assert_int_equal(page_runs_at(&r, 3, 10).pages, 2);
	run = (struct page_run){
		.first = 3, .pages = 2, .kind = PAGES_SMALL, .pfn = 106, .pfn_step = 2};
	page_runs_set(&r, &run);
	assert_int_equal(r.n_items, 1);
	assert_int_equal(page_runs_count(&r, PAGES_SMALL, 0, 100), 10);
	assert_int_equal(page_runs_count(&r, PAGES_NONE, 0, 100), 90);
	page_runs_free(&r);
}

/* Every operation compared with an array of pages. */
static void test_runs_are_like_an_array(void **state)
{
	enum { PAGES = 64 };
	uint8_t truth[PAGES] = {0};
	struct page_runs r = {0};
	uint64_t seed = 1;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		struct page_run run = {0};

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		run.first = (seed >> 33) % PAGES;
		run.pages = (seed >> 43) % (PAGES - run.first) + 1;
		run.kind = (enum page_kind)((seed >> 53) % 4);
		page_runs_set(&r, &run);
		memset(&truth[run.first], (int)run.kind, run.pages);
		for (uint64_t i = 0; i < PAGES; i++)
			assert_int_equal(page_runs_at(&r, i, PAGES).kind, truth[i]);
		for (size_t i = 1; i < r.n_items; i++)
			assert_true(r.items[i - 1].first + r.items[i - 1].pages <
					    r.items[i].first ||
				    r.items[i - 1].kind != r.items[i].kind);
	}
	page_runs_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_split_and_merge),
		cmocka_unit_test(test_runs_are_like_an_array),
	};

	return cmocka_run_group_tests_name("page_runs", tests, NULL, NULL);
}
