/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One VM on a model kernel whose cycles are driven by hand. The laws of laws.h hold in each. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "driver.h"
#include "laws.h"

enum { PID = 100 };

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)

struct world {
	struct model *m;
	struct driver d;
	struct driver_vm vm;
	struct laws laws;
};

static inline void world_init(struct world *w, const struct model_options *o,
			      const struct model_vm *vm)
{
	const struct budget budget = {.copy_bytes_per_s = UINT64_MAX};
	struct policy policy = POLICY_INIT;

	policy.min_region_bytes = block_bytes(&o->geometry);
	w->m = model_new(o);
	assert_int_equal(driver_init(&w->d, w->m, &budget), 0);
	(void)model_spawn(w->m, vm);
	driver_vm_init(&w->vm, vm->pid, &policy);
	laws_init(&w->laws, &w->d);
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	laws_clear(&w->laws);
	driver_vm_clear(&w->vm);
	driver_clear(&w->d);
	model_free(w->m);
	free(w);
	return 0;
}

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w, &(struct model_options)MODEL_OPTIONS_INIT, &(struct model_vm){.pid = PID});
	*state = w;
	return 0;
}

/* Another machine or process than the usual one. */
static inline void world_change(struct world *w, const struct model_options *o,
				const struct model_vm *vm)
{
	laws_clear(&w->laws);
	driver_vm_clear(&w->vm);
	driver_clear(&w->d);
	model_free(w->m);
	world_init(w, o, vm);
}

static inline void map(struct world *w, enum model_backing backing, uint64_t blocks)
{
	model_mmap(w->m, PID,
		   &(struct model_map){.start = RAM, .bytes = blocks * BLOCK, .backing = backing});
}

static inline void touch(struct world *w, uint64_t offset, uint64_t bytes)
{
	model_touch(w->m, PID, RAM + offset, bytes);
}

static inline int cycle(struct world *w)
{
	int r = driver_cycle(&w->d, &w->vm);

	if (!laws_check(&w->laws, &w->d, &w->vm, r, true))
		fail_msg("%s", w->laws.why);
	return r;
}

static inline uint64_t calls(struct world *w)
{
	size_t n;

	(void)model_calls(w->m, &n);
	model_forget_calls(w->m);
	return n;
}

static inline uint64_t huge_blocks(struct world *w)
{
	return model_huge_bytes(w->m, PID, RAM, UINT64_C(1) << 40) / BLOCK;
}

static inline enum reason reason_at(const struct world *w, uint64_t offset)
{
	for (size_t i = 0; i < w->vm.diagnosis.n_runs; i++) {
		const struct run *r = &w->vm.diagnosis.runs[i];

		if (RAM + offset >= r->start && RAM + offset < r->start + r->bytes)
			return r->reason;
	}
	fail_msg("nothing is said about offset %llx", (unsigned long long)offset);
	return REASON_NONE;
}

static inline void assert_reason(const struct world *w, uint64_t offset, enum reason expected)
{
	assert_string_equal(reason_slug(reason_at(w, offset)), reason_slug(expected));
}

static inline void fault(struct world *w, enum model_fault_kind kind, uint32_t number)
{
	model_add_fault(w->m, &(struct model_fault){.kind = kind, .calls = number});
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
