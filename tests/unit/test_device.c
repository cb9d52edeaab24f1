/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of DAX devices, by a table: the lab has two of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bits.h"
#include "device_checkup.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const struct mmu_geometry geometry = {.base_shift = 12, .pmd_order = 9, .pud_order = 18};

static const struct check *find(const struct check_list *list, const char *id)
{
	for (size_t i = 0; i < list->n_items; i++)
		if (strcmp(list->items[i].id, id) == 0)
			return &list->items[i];
	return NULL;
}

static void sizes_and_places(void **state)
{
	static const struct {
		struct dax_device device;
		bool is_small, is_misplaced, is_odd;
	} cases[] = {
		{{1 * GIB, 4 * GIB, 8 * GIB, 0}, false, false, false},
		{{2 * MIB, 4 * GIB, 8 * GIB, 0}, true, false, false},
		{{2 * MIB, 4 * GIB, 8 * GIB + 2 * MIB, 0}, false, true, false},
		{{2 * MIB, 4 * GIB + 2 * MIB, 8 * GIB, 0}, false, false, true},
		{{2 * MIB, 3 * GIB - 64 * MIB, 8 * GIB + 64 * MIB, 0}, false, true, true},
		{{4 * KIB, 512 * MIB, 8 * GIB, 0}, true, false, true},
		{{4 * KIB, 4 * GIB, 8 * GIB + 4 * KIB, 0}, false, true, false},
		{{0, 0, 0, -1}, false, false, false},
		{{2 * MIB, 4 * GIB, DAX_ADDRESS_UNKNOWN, 0}, false, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check_list list;

		device_checkup(&cases[i].device, &(struct mapping_list){NULL, 0}, &geometry, &list);
		if ((find(&list, "devdax-align-small") != NULL) != cases[i].is_small ||
		    (find(&list, "place") != NULL) != cases[i].is_misplaced ||
		    (find(&list, "size") != NULL) != cases[i].is_odd)
			fail_msg("case %zu", i);
		assert_int_equal(
			dax_device_is_small(&cases[i].device, cases[i].device.bytes, &geometry),
			cases[i].is_small);
		assert_int_equal(find(&list, "node") != NULL, cases[i].device.node >= 0);
	}
}

static void a_small_mapping_needs_no_large_pages(void **state)
{
	const struct dax_device d = {2 * MIB, 4 * GIB, 8 * GIB, 0};

	(void)state;
	assert_true(dax_device_is_small(&d, 1 * GIB, &geometry));
	assert_false(dax_device_is_small(&d, 1 * GIB - 2 * MIB, &geometry));
}

static void mappings_that_defeat_large_pages(void **state)
{
	static const struct {
		uint64_t start, bytes, offset;
		bool is_named;
	} cases[] = {
		{64 * GIB, 2 * GIB, 1 * GIB, false},
		{64 * GIB + 2 * MIB, 2 * GIB, 0, true},
		{64 * GIB, 2 * GIB, 2 * MIB, true},
		{64 * GIB, 2 * GIB + 2 * MIB, 0, true},
	};
	const struct dax_device d = {2 * MIB, 4 * GIB, 8 * GIB, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct mapping m = {.pid = 7,
					  .start = cases[i].start,
					  .end = cases[i].start + cases[i].bytes,
					  .offset = cases[i].offset};
		struct check_list list;

		device_checkup(&d, &(struct mapping_list){&m, 1}, &geometry, &list);
		assert_int_equal(find(&list, "mapping") != NULL, cases[i].is_named);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_places),
		cmocka_unit_test(a_small_mapping_needs_no_large_pages),
		cmocka_unit_test(mappings_that_defeat_large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
