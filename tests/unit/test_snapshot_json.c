/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written can be read, and is what was written. */
#include "snapshot_samples.h"

static void nothing_is_lost_on_the_way(void **state)
{
	struct snapshot s = full_snapshot(), empty = SNAPSHOT_INIT;

	(void)state;
	check_round_trip(&s, true);
	check_round_trip(&s, false);
	snapshot_clear(&s);
	empty.geometry = (struct mmu_geometry){16, 13, 26};
	check_round_trip(&empty, true);
	check_round_trip(&empty, false);
}

/* D-Bus refuses what is no UTF-8; the file name of a hostile process may be none. */
static void the_text_is_plain_ascii(void **state)
{
	struct snapshot s = full_snapshot();
	char *text = NULL;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	for (const char *c = text; *c; c++)
		assert_in_range(*c, ' ', '~');
	free(text);
	snapshot_clear(&s);
}

static void pretty_has_a_line_for_each_sight(void **state)
{
	struct snapshot s = full_snapshot();
	char *text = NULL;
	size_t lines = 0;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, true, &text), 0);
	for (const char *c = strstr(text, "\"sights\""); c; c = strchr(c + 1, '\n'))
		lines++;
	/* key, sights, "],", key, holds, "],", key, extents, "],", key, vcpus, "],", key, spans,
	 * "],", are known, inferred, key, memslots, "]", "}", end */
	assert_int_equal(lines, s.n_sights + s.n_holds + s.n_extents + s.n_vcpus + s.n_guest_spans +
					s.n_memslots + 16);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	snapshot_clear(&s);
}

/* A list that was read can be used like one that was built. */
static void what_was_read_can_grow(void **state)
{
	struct snapshot s = full_snapshot(), back = SNAPSHOT_INIT;
	struct hold hold = {0, BLOCK, 0, 0, REASON_NONE};
	char *text = NULL;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	assert_int_equal(snapshot_from_json(text, strlen(text), &back, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ARRAY_APPEND(&back.holds, &back.n_holds, &hold), 0);
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_on_the_way),
		cmocka_unit_test(the_text_is_plain_ascii),
		cmocka_unit_test(pretty_has_a_line_for_each_sight),
		cmocka_unit_test(what_was_read_can_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
