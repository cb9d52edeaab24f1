/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of the nodes of the host, of a made-up tree. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostfacts.h"
#include "tree.h"

struct world {
	char path[TREE_PATH_MAX];
	struct sys sys;
	struct host host;
};

static int start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->sys = (struct sys)SYS_INIT;
	w->sys.rootfd = tree_open(w->path, "nodes");
	*state = w;
	return 0;
}

static int stop(void **state)
{
	struct world *w = *state;

	sys_close(&w->sys);
	tree_remove(w->path);
	free(w);
	return 0;
}

static void put(struct world *w, const char *path, const char *text)
{
	tree_put(w->sys.rootfd, path, text);
}

static void put_node(struct world *w, int node, const char *file, const char *text)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/%s", node, file);
	put(w, path, text);
}

static void have_nodes(struct world *w, const int *ids, uint16_t n)
{
	memset(&w->host, 0, sizeof(w->host));
	w->host.n_nodes = n;
	for (uint16_t i = 0; i < n; i++)
		w->host.nodes[i].id = (int16_t)ids[i];
}

static void everything_of_a_node_is_read(void **state)
{
	static const int ids[] = {0, 1};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0-1\n");
	put(w, "proc/sys/kernel/numa_balancing", "1\n");
	put_node(w, 0, "cpulist", "0-3\n");
	put_node(w, 0, "meminfo",
		 "Node 0 MemTotal:       24683444 kB\nNode 0 MemFree:        1 kB\n");
	put_node(w, 0, "distance", "10 21\n");
	put_node(w, 1, "cpulist", "\n");
	put_node(w, 1, "meminfo", "Node 1 MemTotal:       100 kB\n");
	put_node(w, 1, "distance", "21 10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.is_numa_balancing);
	assert_true(w->host.nodes[0].has_cpus);
	assert_false(w->host.nodes[1].has_cpus);
	assert_int_equal(w->host.nodes[0].total_bytes, UINT64_C(24683444) * 1024);
	assert_int_equal(w->host.nodes[1].total_bytes, 100 * 1024);
	assert_string_equal(w->host.nodes[0].distances, "10 21");
	assert_int_equal(host_distance(&w->host, 0, 1), 21);
	assert_int_equal(host_distance(&w->host, 1, 0), 21);
	assert_int_equal(host_distance(&w->host, 1, 1), 10);
	/* Modes: 2 is tiering, and it moves memory as well. */
	put(w, "proc/sys/kernel/numa_balancing", "2\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.is_numa_balancing);
	put(w, "proc/sys/kernel/numa_balancing", "0\n");
	host_read_nodes(&w->sys, &w->host);
	assert_false(w->host.is_numa_balancing);
}

static void first_line_of_meminfo_is_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"Node 0 MemTotal:       24683444 kB\nNode 0 MemFree: 1 kB\n", 24683444 * 1024ULL},
		{"Node 0 MemTotal: 18446744073709551615 kB\n", 0},
		{"Node 0 MemTotal: 18446744073709551616 kB\n", 0},
		{"Node 0 MemTotal: 18014398509481983 kB\n", 18014398509481983 * 1024ULL},
		{"Node 0 MemTotal: 18014398509481984 kB\n", 0},
		{"Node 0 MemTotal: x kB\n", 0},
		{"Node 0 MemTotal:\n5 kB\n", 0},
		{"Node 0 MemFree: 5 kB\n", 0},
		{"", 0},
		{"MemTotal:", 0},
	};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		have_nodes(w, ids, 2);
		put_node(w, 0, "meminfo", cases[i].text);
		host_read_nodes(&w->sys, &w->host);
		if (w->host.nodes[0].total_bytes != cases[i].bytes)
			fail_msg("\"%s\": %llu", cases[i].text,
				 (unsigned long long)w->host.nodes[0].total_bytes);
	}
}

static void one_node_costs_nothing(void **state)
{
	static const int ids[] = {0};
	struct world *w = *state;

	have_nodes(w, ids, 1);
	put_node(w, 0, "cpulist", "0-3\n");
	put(w, "proc/sys/kernel/numa_balancing", "1\n");
	host_read_nodes(&w->sys, &w->host);
	assert_false(w->host.nodes[0].has_cpus);
	assert_false(w->host.is_numa_balancing);
}

static void without_files_nothing_is_known(void **state)
{
	static const int ids[] = {0, 1, 64, 32767};
	struct world *w = *state;

	have_nodes(w, ids, 4);
	host_read_nodes(&w->sys, &w->host);
	for (uint16_t i = 0; i < 4; i++) {
		assert_false(w->host.nodes[i].has_cpus);
		assert_int_equal(w->host.nodes[i].total_bytes, 0);
		assert_int_equal(host_distance(&w->host, 0, ids[i]), 0);
	}
	assert_false(w->host.is_numa_balancing);
}

/* Rows go by the nodes that are online; the host has those with memory. */
static void nodes_without_memory_are_left_out_of_rows(void **state)
{
	static const int ids[] = {0, 3, 5};
	struct world *w = *state;

	have_nodes(w, ids, 3);
	put(w, "sys/devices/system/node/online", "0-1,3,5\n");
	put_node(w, 0, "distance", "10 11 13 15\n");
	put_node(w, 3, "distance", "30 31 10 35\n");
	put_node(w, 5, "distance", "50 51 53 10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "10 13 15");
	assert_string_equal(w->host.nodes[1].distances, "30 10 35");
	assert_string_equal(w->host.nodes[2].distances, "50 53 10");
	assert_int_equal(host_distance(&w->host, 0, 3), 13);
	assert_int_equal(host_distance(&w->host, 5, 3), 53);
	assert_int_equal(host_distance(&w->host, 0, 1), 0);
}

static void broken_rows_are_unknown(void **state)
{
	static const char *const rows[] = {
		"10\n",
		"",
		"\n",
		"10 x\n",
		"x\n",
		"10,20\n",
		"-10 20\n",
		"99999999999999999999 10\n",
		"10 4294967306\n",
		"10 256\n",
	};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	put(w, "sys/devices/system/node/online", "0-1\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		have_nodes(w, ids, 2);
		put_node(w, 0, "distance", rows[i]);
		host_read_nodes(&w->sys, &w->host);
		if (host_distance(&w->host, 0, 1) != 0)
			fail_msg("\"%s\": taken for \"%s\"", rows[i], w->host.nodes[0].distances);
	}
	/* A row that grew between two files: what there is of it is right. */
	have_nodes(w, ids, 2);
	put_node(w, 0, "distance", "10 20 30 40\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 20);
}

static void row_that_was_read_before_is_forgotten(void **state)
{
	static const int ids[] = {0, 1};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0-1\n");
	put_node(w, 0, "distance", "10 20\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 20);
	put_node(w, 0, "distance", "10\n");
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(host_distance(&w->host, 0, 1), 0);
}

static void many_nodes_fit_or_are_unknown(void **state)
{
	int ids[HOST_NODES_MAX];
	struct world *w = *state;
	char row[512] = "";

	put(w, "sys/devices/system/node/online", "0-63\n");
	for (int i = 0; i < HOST_NODES_MAX; i++) {
		ids[i] = i;
		(void)strcat(row, "255 ");
	}
	have_nodes(w, ids, HOST_NODES_MAX);
	put_node(w, 0, "distance", row);
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "");
	have_nodes(w, ids, 16); /* 63 characters, and the NUL */
	host_read_nodes(&w->sys, &w->host);
	assert_int_equal(strlen(w->host.nodes[0].distances), 63);
	assert_int_equal(host_distance(&w->host, 0, 15), 255);
	have_nodes(w, ids, 17);
	host_read_nodes(&w->sys, &w->host);
	assert_string_equal(w->host.nodes[0].distances, "");
}

/* In no set of nodes, so nothing is moved there; but nothing else is disturbed by it. */
static void nodes_beyond_the_set_are_unknown(void **state)
{
	static const int ids[] = {0, 64};
	struct world *w = *state;

	have_nodes(w, ids, 2);
	put(w, "sys/devices/system/node/online", "0,64\n");
	put_node(w, 0, "distance", "10 20\n");
	put_node(w, 64, "distance", "20 10\n");
	put_node(w, 64, "cpulist", "7\n");
	host_read_nodes(&w->sys, &w->host);
	assert_true(w->host.nodes[1].has_cpus);
	assert_int_equal(host_distance(&w->host, 0, 0), 10);
	assert_int_equal(host_distance(&w->host, 0, 64), 0);
}

static void offline_list_of_any_form_is_survived(void **state)
{
	static const char *const lists[] = {"", "\n", "x\n", "1-0\n", "0-4294967295\n", "0-\n"};
	static const int ids[] = {0, 1};
	struct world *w = *state;

	put_node(w, 0, "distance", "10 20\n");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		have_nodes(w, ids, 2);
		put(w, "sys/devices/system/node/online", lists[i]);
		host_read_nodes(&w->sys, &w->host);
		assert_int_equal(host_distance(&w->host, 0, 1), 0);
	}
}

int main(void)
{
#define NODES_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		NODES_TEST(everything_of_a_node_is_read),
		NODES_TEST(first_line_of_meminfo_is_read),
		NODES_TEST(one_node_costs_nothing),
		NODES_TEST(without_files_nothing_is_known),
		NODES_TEST(nodes_without_memory_are_left_out_of_rows),
		NODES_TEST(broken_rows_are_unknown),
		NODES_TEST(row_that_was_read_before_is_forgotten),
		NODES_TEST(many_nodes_fit_or_are_unknown),
		NODES_TEST(nodes_beyond_the_set_are_unknown),
		NODES_TEST(offline_list_of_any_form_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
