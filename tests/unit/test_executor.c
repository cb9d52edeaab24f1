/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The executor: every job comes back exactly once, in any order; stopping loses nothing but what
 * had not started; a guest that hangs keeps nobody else waiting. Also run under ThreadSanitizer. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "executor.h"
#include "hostfacts.h"

enum { JOBS = 2000, BLOCKS = 4 };
#define PATIENCE_NS (UINT64_C(60) * 1000000000)

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
	assert_true(executor_stop(e, PATIENCE_NS));
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
	assert_true(executor_stop(e, PATIENCE_NS));
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
		assert_true(executor_stop(e, PATIENCE_NS));
		executor_free(e);
	}
}

/* ---- a kernel that does not answer for one process, and a clock that is set ------------- */

enum { HUNG_PID = 1, HUNG_GUEST = 1, OTHER_GUEST = 2 };

struct hang {
	struct sys sys;
	struct sys_ops ops;
	struct process hung, other;
	int gate[2]; /* a read from it is the hang */
	_Atomic uint64_t now_ns;
	_Atomic unsigned hanging;
};

static struct hang *hang_of(struct sys *sys)
{
	return sys->userdata;
}

static int scan_that_hangs(struct sys *sys, int fd, pid_t pid, struct pm_scan_arg *arg)
{
	char c;

	(void)fd;
	arg->walk_end = arg->end;
	if (pid == HUNG_PID) {
		hang_of(sys)->hanging++;
		(void)!read(hang_of(sys)->gate[0], &c, 1);
		hang_of(sys)->hanging--;
	}
	return 0;
}

/* A living process without a page. */
static ssize_t read_nothing_present(struct sys *sys, int fd, pid_t pid, uint64_t first,
				    uint64_t *entries, size_t n)
{
	(void)sys;
	(void)fd;
	(void)pid;
	(void)first;
	memset(entries, 0, n * sizeof(*entries));
	return (ssize_t)n;
}

static uint64_t set_clock(struct sys *sys)
{
	return hang_of(sys)->now_ns;
}

static struct hang *hang_new(void)
{
	struct hang *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->ops = sys_real_ops;
	h->ops.pagemap_scan = scan_that_hangs;
	h->ops.pagemap_read = read_nothing_present;
	h->ops.now_ns = set_clock;
	h->sys = (struct sys){.rootfd = -EBADF, .kpageflags_fd = -EBADF, .ops = &h->ops};
	h->sys.userdata = h;
	h->hung.pid = HUNG_PID;
	h->other.pid = 2;
	h->now_ns = 1;
	assert_int_equal(pipe(h->gate), 0);
	return h;
}

static struct job *count_job(struct hang *h, uint64_t guest)
{
	struct process *p = guest == HUNG_GUEST ? &h->hung : &h->other;
	struct job *j = job_new(JOB_EDGES, guest, p);

	assert_non_null(j);
	j->look = (struct look){
		.sys = &h->sys,
		.process = p,
		.geometry = {.base_shift = 12, .pmd_order = 9, .pud_order = 18},
		.features = FEATURE_PAGEMAP_SCAN,
	};
	j->start = UINT64_C(1) << 30;
	j->end = j->start + block_bytes(&j->look.geometry);
	return j;
}

static void wait_until_hanging(struct hang *h, unsigned n)
{
	for (int i = 0; i < 6000 && h->hanging != n; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(h->hanging, n);
}

static void expect_one_of(struct executor *e, uint64_t guest, int err)
{
	struct job *j;

	wait_for_fd(e);
	j = executor_collect(e);
	assert_non_null(j);
	assert_int_equal(j->guest, guest);
	assert_int_equal(j->err, err);
	job_free(j);
	assert_null(executor_collect(e));
}

static void open_gate(struct hang *h, unsigned n)
{
	while (n-- > 0)
		assert_int_equal(write(h->gate[1], "x", 1), 1);
}

static void hang_free(struct hang *h)
{
	(void)close(h->gate[0]);
	(void)close(h->gate[1]);
	free(h);
}

static void a_guest_that_hangs_keeps_nobody_waiting(void **state)
{
	struct hang *h = hang_new();
	struct executor *e = NULL;

	(void)state;
	assert_int_equal(executor_new(&h->sys, 1, &e), 0);
	executor_submit(e, count_job(h, HUNG_GUEST));
	wait_until_hanging(h, 1);
	assert_int_equal(executor_busy_since(e, HUNG_GUEST), 1);
	assert_int_equal(executor_busy_since(e, OTHER_GUEST), 0);
	executor_submit(e, count_job(h, HUNG_GUEST));
	executor_submit(e, count_job(h, OTHER_GUEST));
	h->now_ns += UINT64_C(2) * 1000000000;
	assert_true(executor_keep_moving(e));
	/* The spare passes over the second job of the guest that hangs. */
	expect_one_of(e, OTHER_GUEST, 0);
	assert_int_equal(h->hanging, 1);
	executor_cancel(e, HUNG_GUEST);
	expect_one_of(e, HUNG_GUEST, -ECANCELED);

	open_gate(h, 1);
	expect_one_of(e, HUNG_GUEST, 0);
	assert_int_equal(executor_busy_since(e, HUNG_GUEST), 0);
	executor_submit(e, count_job(h, OTHER_GUEST));
	expect_one_of(e, OTHER_GUEST, 0);
	assert_true(executor_stop(e, PATIENCE_NS));
	executor_free(e);
	hang_free(h);
}

static void what_was_passed_over_is_taken_when_the_guest_lets_go(void **state)
{
	struct hang *h = hang_new();
	struct executor *e = NULL;

	(void)state;
	assert_int_equal(executor_new(&h->sys, 1, &e), 0);
	executor_submit(e, count_job(h, HUNG_GUEST));
	wait_until_hanging(h, 1);
	h->now_ns += UINT64_C(2) * 1000000000;
	executor_submit(e, count_job(h, HUNG_GUEST));
	assert_true(executor_keep_moving(e));
	open_gate(h, 1);
	expect_one_of(e, HUNG_GUEST, 0);
	open_gate(h, 1);
	expect_one_of(e, HUNG_GUEST, 0);
	assert_true(executor_stop(e, PATIENCE_NS));
	executor_free(e);
	hang_free(h);
}

static void what_must_be_alone_waits_its_turn(void **state)
{
	struct hang *h = hang_new();
	struct executor *e = NULL;

	(void)state;
	assert_int_equal(executor_new(&h->sys, 2, &e), 0);
	for (int i = 0; i < 2; i++) {
		struct job *j = count_job(h, HUNG_GUEST);

		j->is_alone = true;
		executor_submit(e, j);
	}
	executor_submit(e, count_job(h, OTHER_GUEST));
	wait_until_hanging(h, 1);
	/* The other worker had the second one before its eyes when it took this. */
	expect_one_of(e, OTHER_GUEST, 0);
	assert_int_equal(h->hanging, 1);
	open_gate(h, 1);
	expect_one_of(e, HUNG_GUEST, 0);
	open_gate(h, 1);
	expect_one_of(e, HUNG_GUEST, 0);
	assert_true(executor_stop(e, PATIENCE_NS));
	executor_free(e);
	hang_free(h);
}

static void spares_come_to_an_end_and_it_says_so(void **state)
{
	struct hang *h = hang_new();
	struct executor *e = NULL;
	uint64_t guest = 1000;
	unsigned n = 0;

	(void)state;
	h->other.pid = HUNG_PID; /* every guest hangs */
	assert_int_equal(executor_new(&h->sys, 1, &e), 0);
	for (;;) {
		executor_submit(e, count_job(h, guest++));
		if (!executor_keep_moving(e))
			break;
		wait_until_hanging(h, ++n);
		h->now_ns += UINT64_C(2) * 1000000000;
		assert_true(n < 1000);
	}
	assert_true(n >= 16);
	assert_false(executor_stop(e, 0));
	open_gate(h, n);
	assert_true(executor_stop(e, PATIENCE_NS));
	executor_free(e);
	hang_free(h);
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
		cmocka_unit_test(a_guest_that_hangs_keeps_nobody_waiting),
		cmocka_unit_test(what_was_passed_over_is_taken_when_the_guest_lets_go),
		cmocka_unit_test(what_must_be_alone_waits_its_turn),
		cmocka_unit_test(spares_come_to_an_end_and_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
