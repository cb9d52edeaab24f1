/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A VM on a host of four nodes, on the model kernel, whose memory is to follow it: for the tests of
 * placement. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"

enum { PID = 100, NODES = 4, BLOCKS = 16 };

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)
#define BYTES (BLOCKS * BLOCK)

#define STABLE	 (60 * MODEL_SECOND)
#define INTERVAL (600 * MODEL_SECOND)

struct world {
	struct model *m;
	struct driver d;
	struct driver_vm vm;
};

static inline struct policy follow(void)
{
	struct policy p = POLICY_INIT;

	p.min_region_bytes = BLOCK;
	p.min_gain_bytes = BLOCK;
	p.placement = PLACEMENT_FOLLOW;
	p.stable_ns = STABLE;
	p.move_interval_ns = INTERVAL;
	return p;
}

static inline void runs_on(struct world *w, int node)
{
	w->vm.n_vcpus = 2;
	for (size_t i = 0; i < w->vm.n_vcpus; i++)
		w->vm.vcpus[i] = (struct vcpu){
			.tid = PID + 1 + (pid_t)i, .node = (int16_t)node, .busy_bp = 5000};
}

static inline void world_begin(struct world *w, const struct model_vm *vm, uint64_t bytes_per_s)
{
	struct model_options o = MODEL_OPTIONS_INIT;
	const struct budget budget = {.copy_bytes_per_s = bytes_per_s};
	struct policy policy = follow();

	o.nodes = NODES;
	w->m = model_new(&o);
	assert_int_equal(driver_init(&w->d, w->m, &budget), 0);
	(void)model_spawn(w->m, vm);
	driver_vm_init(&w->vm, PID, &policy);
	runs_on(w, 0);
}

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_begin(w, &(struct model_vm){.pid = PID}, UINT64_MAX);
	*state = w;
	return 0;
}

static inline void world_end(struct world *w)
{
	assert_int_equal(model_check_data(w->m), 0);
	assert_int_equal(model_stats(w->m).barred_moves, 0);
	assert_int_equal(model_stats(w->m).split_by_move, 0);
	driver_vm_clear(&w->vm);
	driver_clear(&w->d);
	model_free(w->m);
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	world_end(w);
	free(w);
	return 0;
}

static inline void world_change(struct world *w, const struct model_vm *vm, uint64_t bytes_per_s)
{
	world_end(w);
	world_begin(w, vm, bytes_per_s);
}

/* The guest's memory, touched on a node. */
static inline void ram(struct world *w, enum model_backing backing, int node)
{
	model_set_touch_node(w->m, node);
	model_mmap(w->m, PID,
		   &(struct model_map){.start = RAM, .bytes = BYTES, .backing = backing});
	model_touch(w->m, PID, RAM, BYTES);
	model_set_touch_node(w->m, 0);
}

static inline void huge_ram(struct world *w, enum model_backing backing, int node)
{
	ram(w, backing, node);
	model_set_touch_node(w->m, node);
	model_make_huge(w->m, PID, RAM, BYTES);
	model_set_touch_node(w->m, 0);
}

static inline uint64_t blocks_on(struct world *w, int node)
{
	return model_bytes_on(w->m, PID, RAM, BYTES, node) / BLOCK;
}

static inline uint64_t huge_blocks(struct world *w)
{
	return model_huge_bytes(w->m, PID, RAM, BYTES) / BLOCK;
}

static inline void cycle(struct world *w)
{
	assert_int_equal(driver_cycle(&w->d, &w->vm), 0);
}

static inline void cycles(struct world *w, int n)
{
	for (int i = 0; i < n; i++)
		cycle(w);
}

static inline void wait(struct world *w, uint64_t ns)
{
	model_advance(w->m, ns);
}

static inline const struct whereabouts_finding *find(const struct world *w, enum reason reason)
{
	for (size_t i = 0; i < w->vm.whereabouts.n_findings; i++)
		if (w->vm.whereabouts.findings[i].reason == reason)
			return &w->vm.whereabouts.findings[i];
	return NULL;
}
