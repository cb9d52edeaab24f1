/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of sights against the naive model: an array with an entry for each block. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "array.h"
#include "sight.h"

enum { UNIVERSE_BLOCKS = 64, STEPS = 20000 };

static const struct mmu_geometry g = {12, 9, 18};
static const hva_t base = UINT64_C(0x7f0000000000);

struct list {
	struct sight *items;
	size_t n;
};

/* One block: what a look may say of it. Equal words mean equal facts, page counts included. */
struct block {
	bool is_listed;
	uint8_t seen, fill, flags;
	int16_t node;
};

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static hva_t address_of(size_t block)
{
	return base + block * block_bytes(&g);
}

/* Few different values, so that neighbours are often equal. */
static struct block random_block(uint32_t *seed)
{
	static const uint8_t fills[] = {0, 7, FILL_FULL, FILL_UNKNOWN};
	uint32_t dice = random_next(seed) >> 4;

	return (struct block){
		.is_listed = dice % 5 != 0,
		.seen = (uint8_t)(dice / 5 % 2 ? SEEN_SMALL : SEEN_HUGE),
		.fill = fills[dice / 10 % 4 & (dice / 64 % 2 ? 1 : 3)],
		.flags = dice / 128 % 8 == 0 ? SIGHT_SWAP : 0,
		.node = (int16_t)(dice / 1024 % 8 == 0 ? -1 : 0),
	};
}

static uint64_t present_pages_of(const struct block *b)
{
	return b->fill == FILL_UNKNOWN ? 0
				       : b->fill * block_pages(&g) / 16 + (b->fill == 7 ? 5 : 0);
}

static struct sight sight_of(const struct block *b, size_t at, uint32_t blocks)
{
	return (struct sight){
		.start = address_of(at),
		.blocks = blocks,
		.seen = b->seen,
		.fill = b->fill,
		.flags = b->flags,
		.node = b->node,
		.present_pages = blocks * present_pages_of(b),
		.swapped_pages = b->flags ? blocks * UINT64_C(3) : 0,
	};
}

static bool blocks_equal(const struct block *a, const struct block *b)
{
	return a->is_listed == b->is_listed && a->seen == b->seen && a->fill == b->fill &&
	       a->flags == b->flags && a->node == b->node;
}

/* What the list must be: the model's runs, joined as far as they go. */
static void check_list(const struct list *list, const struct block *model)
{
	size_t i = 0;

	for (size_t at = 0; at < UNIVERSE_BLOCKS;) {
		size_t end = at + 1;
		struct sight expected;

		while (end < UNIVERSE_BLOCKS && blocks_equal(&model[at], &model[end]))
			end++;
		if (model[at].is_listed) {
			assert_true(i < list->n);
			expected = sight_of(&model[at], at, (uint32_t)(end - at));
			assert_int_equal(list->items[i].start, expected.start);
			assert_int_equal(list->items[i].blocks, expected.blocks);
			assert_int_equal(list->items[i].seen, expected.seen);
			assert_int_equal(list->items[i].fill, expected.fill);
			assert_int_equal(list->items[i].flags, expected.flags);
			assert_int_equal(list->items[i].node, expected.node);
			assert_int_equal(list->items[i].present_pages, expected.present_pages);
			assert_int_equal(list->items[i].swapped_pages, expected.swapped_pages);
			i++;
		}
		at = end;
	}
	assert_int_equal(i, list->n);
}

static void random_replacements_match_an_array(void **state)
{
	struct block model[UNIVERSE_BLOCKS] = {{.is_listed = false}};
	struct list list = {NULL, 0};
	uint32_t seed = 20261121;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		size_t start = random_next(&seed) % UNIVERSE_BLOCKS;
		size_t end = start + random_next(&seed) % (UNIVERSE_BLOCKS - start + 1);
		struct list news = {NULL, 0};

		if (step % 2) /* mostly small ones, so that the list stays long */
			end = end > start + 4 ? start + 4 : end;
		for (size_t at = start; at < end; at++) {
			struct sight s;

			model[at] = random_block(&seed);
			if (!model[at].is_listed) {
				model[at] = (struct block){.is_listed = false};
				continue;
			}
			s = sight_of(&model[at], at, 1);
			/* Sometimes not joined: the list has to do it. */
			assert_int_equal(random_next(&seed) % 2
						 ? ARRAY_APPEND(&news.items, &news.n, &s)
						 : sight_list_append(&news.items, &news.n, &s, &g),
					 0);
		}
		assert_int_equal(sight_list_replace(&list.items, &list.n, address_of(start),
						    address_of(end), news.items, news.n, &g),
				 0);
		free(news.items);
		check_list(&list, model);
	}
	free(list.items);
}

static uint64_t sum_present(const struct list *list)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < list->n; i++)
		pages += list->items[i].present_pages;
	return pages;
}

/* Where the blocks of a sight differ in their counts, a cut can only estimate; but it neither makes
 * nor loses pages, and no piece leaves the bounds of its fill. */
static void a_cut_keeps_the_sum_and_the_bounds(void **state)
{
	(void)state;
	for (uint32_t blocks = 3; blocks < 24; blocks++) {
		for (uint64_t extra = 0; extra <= blocks * UINT64_C(31); extra += 7) {
			struct sight whole = {.start = base,
					      .blocks = blocks,
					      .seen = SEEN_SMALL,
					      .fill = 7,
					      .present_pages = blocks * UINT64_C(224) + extra};
			struct sight gap = {.start = address_of(1),
					    .blocks = 1,
					    .seen = SEEN_HUGE,
					    .fill = FILL_FULL,
					    .present_pages = 512};
			struct list list = {NULL, 0};
			struct list probe = {NULL, 0};

			assert_int_equal(sight_list_append(&list.items, &list.n, &whole, &g), 0);
			assert_int_equal(sight_list_append(&probe.items, &probe.n, &whole, &g), 0);
			/* An empty replacement inside: cut and joined again, the same as before. */
			assert_int_equal(sight_list_replace(&probe.items, &probe.n, address_of(2),
							    address_of(2), NULL, 0, &g),
					 0);
			assert_int_equal(probe.n, 1);
			assert_int_equal(probe.items[0].blocks, whole.blocks);
			assert_int_equal(probe.items[0].present_pages, whole.present_pages);

			assert_int_equal(sight_list_replace(&list.items, &list.n, gap.start,
							    address_of(2), &gap, 1, &g),
					 0);
			assert_int_equal(list.n, 3);
			for (size_t i = 0; i < 3; i += 2) {
				assert_true(list.items[i].present_pages >=
					    list.items[i].blocks * UINT64_C(224));
				assert_true(list.items[i].present_pages <
					    list.items[i].blocks * UINT64_C(256));
			}
			assert_in_range(sum_present(&list) - 512, whole.present_pages - 255,
					whole.present_pages - 224);
			free(list.items);
			free(probe.items);
		}
	}
}

static struct sight plain(uint32_t blocks)
{
	return (struct sight){
		.start = base, .blocks = blocks, .seen = SEEN_FOLIO, .fill = FILL_UNKNOWN};
}

static void only_equal_neighbours_join(void **state)
{
	struct sight a = plain(4), b = plain(2), c;

	(void)state;
	b.start = address_of(4);
	assert_true(sight_can_join(&a, &b, &g));
	assert_false(sight_can_join(&b, &a, &g));
	c = b, c.start += block_bytes(&g);
	assert_false(sight_can_join(&a, &c, &g));
	c = b, c.seen = SEEN_SMALL;
	assert_false(sight_can_join(&a, &c, &g));
	c = b, c.fill = 3;
	assert_false(sight_can_join(&a, &c, &g));
	c = b, c.flags = SIGHT_GUARD;
	assert_false(sight_can_join(&a, &c, &g));
	c = b, c.node = 1;
	assert_false(sight_can_join(&a, &c, &g));
}

static void the_number_of_blocks_does_not_wrap(void **state)
{
	struct sight a = plain(UINT32_MAX), b = plain(1);
	struct list list = {NULL, 0};

	(void)state;
	b.start = address_of(UINT32_MAX);
	assert_false(sight_can_join(&a, &b, &g));
	assert_int_equal(sight_list_append(&list.items, &list.n, &a, &g), 0);
	assert_int_equal(sight_list_append(&list.items, &list.n, &b, &g), 0);
	assert_int_equal(list.n, 2);
	free(list.items);
}

/* Nobody asks for this, but what is not said in whole blocks must not survive in part. */
static void an_unaligned_range_takes_its_blocks_with_it(void **state)
{
	struct sight s = plain(8);
	struct list list = {NULL, 0};

	(void)state;
	assert_int_equal(sight_list_append(&list.items, &list.n, &s, &g), 0);
	assert_int_equal(sight_list_replace(&list.items, &list.n, address_of(2) + 4096,
					    address_of(4) + 4096, NULL, 0, &g),
			 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.items[0].blocks, 2);
	assert_int_equal(list.items[1].start, address_of(5));
	assert_int_equal(list.items[1].blocks, 3);
	free(list.items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_replacements_match_an_array),
		cmocka_unit_test(a_cut_keeps_the_sum_and_the_bounds),
		cmocka_unit_test(only_equal_neighbours_join),
		cmocka_unit_test(the_number_of_blocks_does_not_wrap),
		cmocka_unit_test(an_unaligned_range_takes_its_blocks_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
