/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knobs and free memory of a made-up host. */
#include "inventory_bench.h"

#include <string.h>

#include "hostfacts.h"

static void knobs_of_a_recorded_host_are_read(void **state)
{
#define THP "sys/kernel/mm/transparent_hugepage/"
	struct tree *t = *state;
	struct mmu_geometry g;
	struct host h = {0};

	assert_int_equal(host_read_geometry(&t->sys, &g), -EOPNOTSUPP);
	put(t, THP "hpage_pmd_size", "2097152\n");
	assert_int_equal(host_read_geometry(&t->sys, &g), 0);
	assert_int_equal(g.pmd_order, 9);
	assert_int_equal(g.pud_order, 18);
	assert_int_equal(host_read_knobs(&t->sys, &g, &h), 0);
	assert_int_equal(h.shmem_global, SHMEM_KNOB_ABSENT);
	assert_int_equal(h.cpus, 0);
	put(t, THP "enabled", "always [madvise] never\n");
	put(t, THP "shmem_enabled", "always within_size advise never [deny] force\n");
	put(t, THP "hugepages-2048kB/shmem_enabled", "always [inherit] within_size advise never\n");
	put(t, "sys/kernel/mm/ksm/run", "1\n");
	put(t, "sys/devices/system/cpu/online", "0-3,8,10-11\n");
	assert_int_equal(host_read_knobs(&t->sys, &g, &h), 0);
	assert_string_equal(h.thp_enabled, "madvise");
	assert_int_equal(h.shmem_global, SHMEM_KNOB_DENY);
	assert_int_equal(h.shmem_block, SHMEM_KNOB_INHERIT);
	assert_true(h.is_ksm_running);
	assert_int_equal(h.cpus, 7);
	assert_string_equal(h.kernel_release, "6.18.0-test");
}

static void free_blocks_are_counted_per_node(void **state)
{
	struct tree *t = *state;
	struct host h = {0};

	put(t, "proc/meminfo",
	    "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\nX\n");
	put(t, "proc/buddyinfo",
	    "Node 0, zone      DMA      1      0      0      0      0      0      0      0      0  "
	    "    2      3 \n"
	    "Node 0, zone   Normal      0      0      0      0      0      0      0      0      0  "
	    "    1      0 \n"
	    "Node 1, zone   Normal      5      0      0      0      0      0      0      0      0  "
	    "    0      1 \n"
	    "Node x, zone\nnonsense\n");
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, &h), 0);
	assert_int_equal(h.mem_total_bytes, 1000 * 1024);
	assert_int_equal(h.mem_available_bytes, 500 * 1024);
	assert_int_equal(h.n_nodes, 2);
	assert_int_equal(h.nodes[0].free_block_bytes, (3 + 3 * 2) * (2 << 20));
	assert_int_equal(h.nodes[0].free_bytes, (3 + 3 * 2) * (2 << 20) + 4096);
	assert_int_equal(h.nodes[1].id, 1);
	assert_int_equal(h.nodes[1].free_block_bytes, 4 << 20);
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, &h), 0);
	assert_int_equal(h.n_nodes, 2);
}

/* Node 0: 14 MiB free in the zone DMA, 12 of them in blocks; 100 blocks and a page in DMA32. Node
 * 1: 3 blocks. */
#define FREE_ZONES                                        \
	"Node 0, zone      DMA 0 0 0 0 0 0 0 0 2 0 3 \n"  \
	"Node 0, zone    DMA32 1 0 0 0 0 0 0 0 0 0 50 \n" \
	"Node 1, zone   Normal 0 0 0 0 0 0 0 0 0 1 1 \n"

static void read_zones(struct tree *t, struct host *h, const char *zoneinfo)
{
	put(t, "proc/buddyinfo", FREE_ZONES);
	put(t, "proc/zoneinfo", zoneinfo);
	assert_int_equal(host_read_memory(&t->sys, &t->snapshot.geometry, h), 0);
}

static void what_zones_keep_is_not_free(void **state)
{
	struct tree *t = *state;
	struct host h = {0};

	/* 3500 of 3584 free pages are kept; of DMA32 a page less than two blocks, and the page is
	 * there; of Normal nothing but what is for the zone above, which has no memory. */
	read_zones(t, &h,
		   "Node 0, zone      DMA\n"
		   "  per-node stats\n"
		   "      nr_low 7\n"
		   "  pages free     3584\n"
		   "        boost    0\n"
		   "        min      1\n"
		   "        low      500\n"
		   "        high     1000\n"
		   "        managed  3840\n"
		   "        protection: (0, 2000, 3000)\n"
		   "  pagesets\n"
		   "    cpu: 0\n"
		   "              low  999999\n"
		   "Node 0, zone    DMA32\n"
		   "        low      1024\n"
		   "        protection: (0, 0, 1)\n"
		   "Node 0, zone   Normal\n"
		   "        low      999999\n"
		   "        protection: (0, 0, 0)\n"
		   "Node 1, zone    DMA32\n"
		   "        low      999999\n"
		   "        protection: (0, 0, 0)\n"
		   "Node 1, zone   Normal\n"
		   "        low      511\n"
		   "        protection: (0, 0, 0)\n");
	assert_int_equal(h.nodes[0].free_block_bytes, 98 * (2 << 20));
	assert_int_equal(h.nodes[0].free_bytes, (14 << 20) + 100 * (2 << 20) + 4096);
	assert_int_equal(h.nodes[1].free_block_bytes, 2 * (2 << 20));
}

static void zones_that_tell_nothing_keep_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"Node 0, zone",
		"Node 0, zone      DMA\n",
		"Node 0, zone      DMA\n        protection: (0, 0\n",
		"Node 0, zone      DMA\n        low x\n        protection: x\n",
		"Node 7, zone      DMA\n        low 5000\n        protection: (0, 5000)\n",
		"Node 0, zone     DMAX\n        low 5000\n        protection: (0, 5000)\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct host h = {0};

		read_zones(*state, &h, texts[i]);
		assert_int_equal(h.nodes[0].free_block_bytes, 106 * (2 << 20));
		assert_int_equal(h.nodes[1].free_block_bytes, 3 * (2 << 20));
	}
}

static void a_zone_may_keep_all_there_is(void **state)
{
	struct host h = {0};

	read_zones(*state, &h,
		   "Node 0, zone    DMA32\n        low 1\n"
		   "        protection: (0, 18446744073709551615)\n");
	assert_int_equal(h.nodes[0].free_block_bytes, 6 * (2 << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(knobs_of_a_recorded_host_are_read),
		TREE_TEST(free_blocks_are_counted_per_node),
		TREE_TEST(what_zones_keep_is_not_free),
		TREE_TEST(zones_that_tell_nothing_keep_nothing),
		TREE_TEST(a_zone_may_keep_all_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
