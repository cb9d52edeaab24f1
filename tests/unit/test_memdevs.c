/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which memory backend is which guest node, and where it lies: what QEMU says, and what it might
 * say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_map.h"
#include "memdevs.h"
#include "monitor_samples.h"

#define SIZE (UINT64_C(128) << 20)

/* Two backends of a size that is known. */
static struct memdevs two(void)
{
	struct memdevs m = {.n = 0};

	assert_int_equal(memdevs_add(&m, "m0", 2, 0), 0);
	assert_int_equal(memdevs_add(&m, "m1", 2, 1), 0);
	for (size_t i = 0; i < 2; i++) {
		m.items[i].has_bytes = true;
		m.items[i].bytes = SIZE;
	}
	return m;
}

static int read_cmdline(struct memdevs *m, const char *text, size_t size)
{
	*m = (struct memdevs){.n = 0};
	return memdevs_read_cmdline(m, text, size);
}

#define CMDLINE(m, text) read_cmdline(m, text, sizeof(text))

static void the_command_line_says_which_is_which(void **state)
{
	(void)state;
	struct memdevs m;

	assert_int_equal(CMDLINE(&m, "qemu\0-m\0"
				     "256M\0-numa\0node,nodeid=0,cpus=0,memdev=ram-node0\0"
				     "-numa\0node,nodeid=5,memdev=ram.5,cpus=1\0"
				     "-numa\0dist,src=0,dst=5,val=20\0-numa\0"
				     "cpu,node-id=0,socket-id=0"),
			 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(m.items[0].id, "ram-node0");
	assert_int_equal(m.items[0].guest_node, 0);
	assert_string_equal(m.items[1].id, "ram.5");
	assert_int_equal(m.items[1].guest_node, 5);
	/* Without a number it is the next; a node may have no memory. */
	assert_int_equal(CMDLINE(&m, "qemu\0--numa\0node,cpus=0\0-numa\0type=node,memdev=m1"), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.items[0].guest_node, 1);
	assert_int_equal(CMDLINE(&m, "qemu\0-m\0"
				     "4G\0-numa"),
			 0);
	assert_int_equal(m.n, 0);
}

static void a_command_line_that_cannot_be_is_refused(void **state)
{
	(void)state;
	struct memdevs m;
	char text[MEMDEV_ID_MAX + 64];

	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,mem=128M,cpus=0"), -ENOTSUP);
	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,nodeid=x,memdev=m0"), -ENOTSUP);
	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,nodeid=128,memdev=m0"), -EINVAL);
	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,nodeid=18446744073709551615,memdev=m0"),
			 -EINVAL);
	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,memdev=m 0"), -EINVAL);
	assert_int_equal(CMDLINE(&m, "q\0-numa\0node,memdev=m0\0-numa\0node,memdev=m0"), -EINVAL);
	(void)snprintf(text, sizeof(text), "-numa%cnode,memdev=%0*d", 'X', MEMDEV_ID_MAX, 0);
	text[5] = '\0';
	assert_int_equal(read_cmdline(&m, text, sizeof("-numa\0node,memdev=") - 1 + MEMDEV_ID_MAX),
			 -EINVAL);
}

static void no_more_than_there_is_room_for(void **state)
{
	(void)state;
	struct memdevs m = {.n = 0};
	char id[16];

	for (int i = 0; i < MEMDEVS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "m%d", i);
		assert_int_equal(memdevs_add(&m, id, strlen(id), 0), 0);
	}
	assert_int_equal(memdevs_add(&m, "more", 4, 0), -E2BIG);
	assert_int_equal(m.n, MEMDEVS_MAX);
}

static void new_qemu_says_where_each_block_is(void **state)
{
	(void)state;
	struct memdevs m = two();

	assert_int_equal(memdevs_read_ramblock(&m, RAMBLOCK_10), 0);
	assert_int_equal(m.items[0].start, 0x7f858bfff000);
	assert_int_equal(m.items[1].start, 0x7f8583ffe000);
}

/* Machine types of before 4.0 name a block by its path. */
static void old_machines_name_blocks_by_path(void **state)
{
	(void)state;
	struct memdevs m = {.n = 0};

	assert_int_equal(memdevs_add(&m, "m0", 2, 0), 0);
	m.items[0].has_bytes = true;
	m.items[0].bytes = 4096;
	assert_int_equal(memdevs_read_ramblock(&m, "/objects/m0 4 KiB 0x0 0x0 0x1000 0x7000 rw"),
			 0);
	assert_int_equal(m.items[0].start, 0x7000);
}

static void old_qemu_does_not_say_where(void **state)
{
	(void)state;
	struct memdevs m = two();

	assert_int_equal(memdevs_read_ramblock(&m, RAMBLOCK_7_2), -ENODATA);
}

static void a_table_that_cannot_be_is_refused(void **state)
{
	(void)state;
	/* What is wrong is m0's row, or that there is none. */
	static const char *const tables[] = {
		"",
		"m0 4 KiB 0x0 0x0 0x8001000 0x7000 rw\n",	    /* another size */
		"m0 4 KiB 0 0 0 0x7000 rw\n",			    /* no hexadecimal */
		"m0 4 KiB 0x0 0x0 0x10000000008000000 0x7000 rw\n", /* too large a number */
		"m0 -4 KiB 0x0 0x0 0x8000000 0x7000 rw\n",	    /* no page size */
		"m0 4 KiB 0x0 0x0 0x8000000 0x0 rw\n"		    /* twice */
		"m0 4 KiB 0x0 0x0 0x8000000 0x0 rw\n",
	};
	static const char good[] = "m0 4 KiB 0x0 0x0 0x8000000 0x7000 rw\n";
	static const char rest[] = "m1 4 KiB 0x0 0x0 0x8000000 0x9000 rw\n";
	struct memdevs whole;
	char text[256];

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct memdevs m = two();

		(void)snprintf(text, sizeof(text), "%s%s", tables[i], rest);
		if (memdevs_read_ramblock(&m, text) != -EPROTO)
			fail_msg("table %zu passed", i);
	}
	(void)snprintf(text, sizeof(text), "%s%s", good, rest);
	whole = two();
	assert_int_equal(memdevs_read_ramblock(&whole, text), 0);
}

static void old_qemu_says_where_a_place_is(void **state)
{
	(void)state;
	struct memdevs m = two();

	assert_int_equal(memdevs_read_mtree(&m, MTREE), 0);
	assert_int_equal(m.items[0].gpa, 0xe8000);
	assert_int_equal(m.items[0].gpa_offset, 0xe8000);
	assert_int_equal(m.items[1].gpa, 0x8000000);
	assert_int_equal(m.items[1].gpa_offset, 0);
	assert_int_equal(memdev_read_gpa2hva(&m.items[0], GPA2HVA_M0), 0);
	assert_int_equal(memdev_read_gpa2hva(&m.items[1], GPA2HVA_M1), 0);
	assert_int_equal(m.items[0].start, 0x7fe237fff000);
	assert_int_equal(m.items[1].start, 0x7fe22fffe000);
}

static void a_tree_that_cannot_be_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int error;
	} trees[] = {
		{"", -EPROTO},
		{"FlatView #0\n AS \"memory\", root: system\n", -ENODATA},
		/* Not in the memory of the machine. */
		{"FlatView #0\n AS \"memory\", root: system\nFlatView #1\n"
		 "  0-fff (prio 0, ram): m0\n  1000-1fff (prio 0, ram): m1\n",
		 -ENODATA},
		/* Beyond its end, backwards, read-only, no number. */
		{" AS \"memory\", root: system\n  0-fff (prio 0, ram): m0\n"
		 "  1000-1fff (prio 0, ram): m1 @8000000\n",
		 -ENODATA},
		{" AS \"memory\", root: system\n  0-fff (prio 0, ram): m0\n"
		 "  1000-fff (prio 0, ram): m1\n",
		 -ENODATA},
		{" AS \"memory\", root: system\n  0-fff (prio 0, ram): m0\n"
		 "  1000-1fff (prio 0, rom): m1\n",
		 -ENODATA},
		{" AS \"memory\", root: system\n  0-fff (prio 0, ram): m0\n"
		 "  1000-1fff (prio 0, ram): m1 @x\n",
		 -ENODATA},
	};

	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		struct memdevs m = two();

		if (memdevs_read_mtree(&m, trees[i].text) != trees[i].error)
			fail_msg("tree %zu", i);
	}
}

static void an_address_is_of_what_was_asked(void **state)
{
	(void)state;
	static const char *const answers[] = {
		"",
		"No memory is mapped at address 0xe8000\r\n",
		"Host virtual address for 0xe9000 (m0) is 0x7fe2380e7000\r\n",
		"Host virtual address for 0xe8000 (m1) is 0x7fe2380e7000\r\n",
		"Host virtual address for 0xe8000 (m0x) is 0x7fe2380e7000\r\n",
		"Host virtual address for 0xe8000 (m0) is (nil)\r\n",
		"Host virtual address for 0xe8000 (m0) is 0xe7fff\r\n", /* less than the offset */
	};
	struct memdevs m = two();

	assert_int_equal(memdevs_read_mtree(&m, MTREE), 0);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (memdev_read_gpa2hva(&m.items[0], answers[i]) != -EPROTO)
			fail_msg("answer %zu passed", i);
		assert_false(m.items[0].has_start);
	}
}

/* ---- The map -------------------------------------------------------------------------------- */

static int settle(const struct guest_span *spans, size_t n, struct guest_map *map)
{
	*map = (struct guest_map)GUEST_MAP_INIT;
	map->spans = malloc((n + 1) * sizeof(*spans));
	assert_non_null(map->spans);
	memcpy(map->spans, spans, n * sizeof(*spans));
	map->n_spans = n;
	return guest_map_settle(map, 4096);
}

static void a_map_is_sorted_and_disjoint(void **state)
{
	(void)state;
	static const struct guest_span good[] = {{0x9000, 0x1000, 0}, {0x1000, 0x8000, 127}};
	static const struct guest_span bad[][2] = {
		{{0x1000, 0x2000, 0}, {0x2000, 0x1000, 1}},
		{{0x1000, 0, 0}, {0x2000, 0x1000, 1}},
		{{0x1001, 0x1000, 0}, {0x3000, 0x1000, 1}},
		{{0x1000, 0x1001, 0}, {0x3000, 0x1000, 1}},
		{{0x1000, 0x1000, 128}, {0x3000, 0x1000, 1}},
		{{0x1000, 0x1000, -1}, {0x3000, 0x1000, 1}},
		{{0x1000, UINT64_MAX - 0xfff, 0}, {0x3000, 0x1000, 1}},
	};
	struct guest_map map;

	assert_int_equal(settle(good, 2, &map), 0);
	assert_int_equal(map.spans[0].start, 0x1000);
	assert_int_equal(map.spans[1].guest_node, 0);
	guest_map_clear(&map);
	assert_null(map.spans);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (settle(bad[i], 2, &map) != -EINVAL)
			fail_msg("map %zu passed", i);
		guest_map_clear(&map);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_says_which_is_which),
		cmocka_unit_test(a_command_line_that_cannot_be_is_refused),
		cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(new_qemu_says_where_each_block_is),
		cmocka_unit_test(old_machines_name_blocks_by_path),
		cmocka_unit_test(old_qemu_does_not_say_where),
		cmocka_unit_test(a_table_that_cannot_be_is_refused),
		cmocka_unit_test(old_qemu_says_where_a_place_is),
		cmocka_unit_test(a_tree_that_cannot_be_is_refused),
		cmocka_unit_test(an_address_is_of_what_was_asked),
		cmocka_unit_test(a_map_is_sorted_and_disjoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
