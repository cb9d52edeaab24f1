/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One process on a model kernel, whose calls are made by hand. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cleanup.h"
#include "model_kernel.h"

enum { PID = 100 };

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define RAM   UINT64_C(0x7f0000000000)

struct fixture {
	struct model *m;
	struct sys sys;
	int pidfd, pagemap;
};

static inline int open_pagemap(struct fixture *f)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "proc/%d/pagemap", PID);
	return openat(f->sys.rootfd, path, O_RDONLY | O_CLOEXEC);
}

static inline int setup_with(void **state, const struct model_options *o)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->m = model_new(o);
	assert_int_equal(model_open_sys(f->m, &f->sys), 0);
	(void)model_spawn(f->m, &(struct model_vm){.pid = PID});
	f->pidfd = f->sys.ops->pidfd_open(&f->sys, PID);
	assert_true(f->pidfd >= 0);
	f->pagemap = open_pagemap(f);
	*state = f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, &(struct model_options)MODEL_OPTIONS_INIT);
}

static inline int setup_no_right(void **state)
{
	struct model_options o = MODEL_OPTIONS_INIT;

	o.has_collapse_right = false;
	o.has_pfn_right = false;
	o.has_scan = false;
	return setup_with(state, &o);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close_fd(f->pidfd);
	(void)close_fd(f->pagemap);
	sys_close(&f->sys);
	model_free(f->m);
	free(f);
	return 0;
}

static inline void map(struct fixture *f, enum model_backing backing, uint64_t blocks)
{
	model_mmap(f->m, PID,
		   &(struct model_map){.start = RAM, .bytes = blocks * BLOCK, .backing = backing});
}

static inline ssize_t collapse(struct fixture *f, uint64_t offset, uint64_t bytes)
{
	return f->sys.ops->collapse(&f->sys, f->pidfd, PID, RAM + offset, bytes);
}

static inline uint64_t huge(struct fixture *f, uint64_t block)
{
	return model_huge_bytes(f->m, PID, RAM + block * BLOCK, BLOCK) / BLOCK;
}

static inline void touch(struct fixture *f, uint64_t offset, uint64_t bytes)
{
	model_touch(f->m, PID, RAM + offset, bytes);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
