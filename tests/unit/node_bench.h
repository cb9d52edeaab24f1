/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A VM on a host with nodes and vCPUs: for the tests of where it belongs, and of where its memory
 * is. */

#include "judged_bench.h"

enum { N0 = 1 << 0, N1 = 1 << 1, N2 = 1 << 2 };

static inline int set_up_region(void **state)
{
	struct bench *b;

	if (set_up(state) < 0)
		return -1;
	b = *state;
	build_region(&b->s, BASE, 4096 * BLOCK, BACKING_SHMEM);
	return 0;
}

static inline struct host_node *add_node(struct bench *b, int16_t id, uint64_t free_block_bytes)
{
	struct host_node *node = &b->s.host.nodes[b->s.host.n_nodes++];

	*node = (struct host_node){
		.id = id, .free_block_bytes = free_block_bytes, .has_cpus = true};
	return node;
}

static inline void add_nodes(struct bench *b, int16_t n)
{
	for (int16_t id = 0; id < n; id++)
		add_node(b, id, 1024 * BLOCK);
}

static inline struct vcpu *add_vcpus(struct bench *b, size_t n, int16_t node, uint32_t busy_bp)
{
	for (size_t i = 0; i < n; i++) {
		const struct vcpu v = {
			.tid = 100 + (pid_t)b->s.n_vcpus, .node = node, .busy_bp = busy_bp};

		assert_int_equal(ARRAY_APPEND(&b->s.vcpus, &b->s.n_vcpus, &v), 0);
	}
	return &b->s.vcpus[b->s.n_vcpus - 1];
}
