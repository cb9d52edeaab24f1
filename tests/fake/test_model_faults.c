/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The faults that a test has the model kernel make, and its files. */
#include "model_bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- Faults ---- */

static void fault(struct fixture *f, enum model_fault_kind kind, uint32_t skip, uint32_t calls)
{
	model_add_fault(f->m, &(struct model_fault){.kind = kind, .skip = skip, .calls = calls});
}

static void test_fault_counts_calls(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 4);
	touch(f, 0, 4 * BLOCK);
	fault(f, MODEL_FAULT_EAGAIN, 1, 2);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(collapse(f, BLOCK, PAGE), PAGE); /* a question is not a call */
	assert_int_equal(collapse(f, BLOCK, BLOCK), -EAGAIN);
	assert_int_equal(collapse(f, BLOCK, BLOCK), -EAGAIN);
	assert_int_equal(collapse(f, BLOCK, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).fired[MODEL_FAULT_EAGAIN], 2);
}

static void test_fault_until(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 1);
	touch(f, 0, BLOCK);
	model_add_fault(f->m, &(struct model_fault){.kind = MODEL_FAULT_ENOMEM,
						    .until_ns = model_now(f->m) + MODEL_MINUTE});
	assert_int_equal(collapse(f, 0, BLOCK), -ENOMEM);
	assert_int_equal(collapse(f, 0, BLOCK), -ENOMEM);
	model_advance(f->m, MODEL_MINUTE);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
}

static void test_faults_in_the_middle(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 4);
	touch(f, 0, 4 * BLOCK);
	fault(f, MODEL_FAULT_HALF_EINVAL, 0, 1);
	assert_int_equal(collapse(f, 0, 4 * BLOCK), -EINVAL);
	assert_int_equal(huge(f, 1), 1);
	assert_int_equal(huge(f, 2), 0);
	fault(f, MODEL_FAULT_VANISH, 0, 1);
	assert_int_equal(collapse(f, 2 * BLOCK, 2 * BLOCK), -EINVAL);
	assert_null(model_find(f->m, PID));
	assert_int_equal(collapse(f, 2 * BLOCK, 2 * BLOCK), -ESRCH);
}

static void test_faults_before_the_call(void **state)
{
	struct fixture *f = *state;

	map(f, MODEL_MEMFD, 2);
	touch(f, 0, 2 * BLOCK);
	fault(f, MODEL_FAULT_PUNCH, 0, 1);
	assert_int_equal(collapse(f, 0, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).raced_refilled_pages, 32);
	assert_int_equal(model_stats(f->m).refilled_pages, 0);
	fault(f, MODEL_FAULT_SWAP, 0, 1);
	assert_int_equal(collapse(f, BLOCK, BLOCK), BLOCK);
	assert_int_equal(model_stats(f->m).swapped_in_pages, 512);
	fault(f, MODEL_FAULT_EXEC, 0, 1);
	assert_int_equal(collapse(f, BLOCK, BLOCK), -ENOMEM);
	assert_int_equal(model_check_data(f->m), 0);
}

/* ---- The tree ---- */

static void read_process_file(struct fixture *f, const char *name, char *buffer, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/%s", PID, name);
	assert_true(sys_read_at(f->sys.rootfd, path, buffer, size) >= 0);
}

static void test_tree(void **state)
{
	struct fixture *f = *state;
	char text[4096];
	int statm;

	map(f, MODEL_MEMFD, 4);
	model_make_huge(f->m, PID, RAM, BLOCK);
	touch(f, BLOCK, 10 * PAGE);
	read_process_file(f, "maps", text, sizeof(text));
	assert_non_null(strstr(text, "7f0000000000-7f0000800000 rw-s 00000000 00:01 "));
	assert_non_null(strstr(text, " /memfd:memory-backend-memfd (deleted)\n"));
	read_process_file(f, "smaps", text, sizeof(text));
	assert_non_null(strstr(text, "Rss:                2088 kB\n"));
	assert_non_null(strstr(text, "ShmemPmdMapped:     2048 kB\n"));
	statm = openat(f->sys.rootfd, "proc/100/statm", O_RDONLY | O_CLOEXEC);
	assert_true(pread(statm, text, 64, 0) > 0);
	assert_int_equal(strncmp(text, "2048 522 ", 9), 0);
	model_exit(f->m, PID);
	assert_int_equal(pread(statm, text, 64, 0), 0);
	assert_int_equal(faccessat(f->sys.rootfd, "proc/100", F_OK, 0), -1);
	(void)close_fd(statm);
}

static void test_other_geometry(void **state)
{
	struct model_options o = MODEL_OPTIONS_INIT;
	uint64_t block = UINT64_C(512) << 20;
	struct sys sys;
	int pidfd;

	(void)state;
	o.geometry = (struct mmu_geometry){16, 13, 26};
	struct model *m = model_new(&o);

	assert_int_equal(model_open_sys(m, &sys), 0);
	(void)model_spawn(m, &(struct model_vm){.pid = 7});
	model_mmap(m, 7,
		   &(struct model_map){.start = block, .bytes = 2 * block, .backing = MODEL_MEMFD});
	model_touch(m, 7, block, 2 * block);
	pidfd = sys.ops->pidfd_open(&sys, 7);
	assert_int_equal(sys.ops->collapse(&sys, pidfd, 7, block, block), block);
	assert_int_equal(model_huge_bytes(m, 7, block, 2 * block), block);
	(void)close_fd(pidfd);
	sys_close(&sys);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fault_counts_calls),
		T(test_fault_until),
		T(test_faults_in_the_middle),
		T(test_faults_before_the_call),
		T(test_tree),
		cmocka_unit_test(test_other_geometry),
	};

	return cmocka_run_group_tests_name("model_faults", tests, NULL, NULL);
}
