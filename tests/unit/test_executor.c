/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The executor: every job comes back exactly once, in any order; stopping loses nothing but what
 * had not started. Also run under ThreadSanitizer. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "executor.h"
#include "hostfacts.h"

enum { JOBS = 2000, BLOCKS = 4 };

struct scene {
	struct sys sys;
	struct process process;
	struct mmu_geometry geometry;
	void *map;
	size_t map_bytes;
	hva_t start;
};

static int scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(sys_open_host(&s->sys), 0);
	assert_int_equal(process_open(&s->sys, getpid(), &s->process), 0);
	assert_int_equal(host_read_geometry(&s->sys, &s->geometry), 0);
	s->map_bytes = (BLOCKS + 1) * block_bytes(&s->geometry);
	s->map = mmap(NULL, s->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(s->map, MAP_FAILED);
	s->start = align_up((hva_t)(uintptr_t)s->map, block_bytes(&s->geometry));
	*(volatile char *)(uintptr_t)s->start = 1;
	*state = s;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *s = *state;

	munmap(s->map, s->map_bytes);
	process_close(&s->process);
	sys_close(&s->sys);
	free(s);
	return 0;
}

static struct job *look_job(struct scene *s, uint64_t id)
{
	struct job *j = job_new(JOB_COUNT, id, &s->process);

	assert_non_null(j);
	j->look = (struct look){.sys = &s->sys, .process = &s->process, .geometry = s->geometry};
	j->start = s->start;
	j->end = s->start + BLOCKS * block_bytes(&s->geometry);
	return j;
}

static void wait_for_fd(const struct executor *e)
{
	struct pollfd p = {.fd = executor_fd(e), .events = POLLIN};

	assert_int_equal(poll(&p, 1, 60000), 1);
}

static void every_job_comes_back_once(void **state)
{
	static unsigned seen[JOBS];
	struct scene *s = *state;
	struct executor *e = NULL;
	unsigned back = 0;

	assert_int_equal(executor_new(&s->sys, 4, &e), 0);
	assert_int_equal(executor_workers(e), 4);
	for (unsigned i = 0; i < JOBS; i++)
		executor_submit(e, look_job(s, i));
	while (back < JOBS) {
		struct job *j;

		wait_for_fd(e);
		while ((j = executor_collect(e))) {
			assert_in_range(j->guest, 0, JOBS - 1);
			assert_int_equal(j->err, 0);
			assert_true(j->n_sights > 0);
			seen[j->guest]++;
			back++;
			job_free(j);
		}
	}
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(seen[i], 1);
	assert_null(executor_collect(e));
	executor_free(e);
}

static void the_fd_is_quiet_when_all_is_collected(void **state)
{
	struct scene *s = *state;
	struct executor *e = NULL;
	struct pollfd p;
	struct job *j;

	assert_int_equal(executor_new(&s->sys, 1, &e), 0);
	executor_submit(e, look_job(s, 1));
	wait_for_fd(e);
	j = executor_collect(e);
	assert_non_null(j);
	job_free(j);
	assert_null(executor_collect(e));
	p = (struct pollfd){.fd = executor_fd(e), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	executor_free(e);
}

static void stopping_with_work_left_frees_everything(void **state)
{
	struct scene *s = *state;

	for (int round = 0; round < 20; round++) {
		struct executor *e = NULL;

		assert_int_equal(executor_new(&s->sys, 2, &e), 0);
		for (unsigned i = 0; i < 50; i++)
			executor_submit(e, look_job(s, i));
		executor_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_job_comes_back_once, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(the_fd_is_quiet_when_all_is_collected, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(stopping_with_work_left_frees_everything,
						scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
