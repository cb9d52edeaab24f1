/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostfacts.h"
#include "process.h"
#include "pulse.h"

static int start(void **state)
{
	struct sys *sys = calloc(1, sizeof(*sys));

	if (!sys || sys_open_host(sys) < 0)
		return -1;
	*state = sys;
	return 0;
}

static int stop(void **state)
{
	sys_close(*state);
	free(*state);
	return 0;
}

static pid_t fork_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			(void)pause();
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void living_process_is_held(void **state)
{
	struct process p = PROCESS_INIT;
	pid_t pid = fork_sleeper();

	assert_int_equal(process_open(*state, pid, &p), 0);
	assert_int_equal(p.pid, pid);
	assert_true(p.starttime > 0);
	assert_true(p.dirfd >= 0 && p.pidfd >= 0 && p.statm_fd >= 0 && p.stat_fd >= 0);
	assert_true(process_is_alive(*state, &p));
	assert_int_equal(process_attach(*state, &p), 0);
	end(pid);
	assert_false(process_is_alive(*state, &p));
	assert_int_equal(process_attach(*state, &p), -ESRCH);
	process_close(&p);
	assert_int_equal(p.dirfd, -EBADF);
}

static void every_fd_closes_on_exec(void **state)
{
	struct process p = PROCESS_INIT;

	assert_int_equal(process_open(*state, getpid(), &p), 0);
	assert_true(fcntl(p.dirfd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(p.pidfd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(p.pagemap_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(p.stat_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(p.statm_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(((struct sys *)*state)->rootfd, F_GETFD) & FD_CLOEXEC);
	process_close(&p);
}

static void vanished_pid_is_an_outcome(void **state)
{
	struct process p = {.pid = 4711};
	pid_t pid = fork_sleeper();

	end(pid);
	assert_int_equal(process_open(*state, pid, &p), -ESRCH);
	assert_int_equal(p.pid, 4711);
}

static void zombie_is_not_alive(void **state)
{
	struct process p = PROCESS_INIT;
	siginfo_t info;
	pid_t pid = fork_sleeper();

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_open(*state, pid, &p), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A child that becomes another program when told to. */
static pid_t fork_changer(int *ret_fd)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		(void)!read(fds[0], &c, 1);
		(void)execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	assert_true(pid > 0);
	(void)close(fds[0]);
	*ret_fd = fds[1];
	return pid;
}

static void another_program_is_another_mm(void **state)
{
	struct process p = PROCESS_INIT;
	uint64_t key, starttime;
	int fd, r = 0;
	pid_t pid = fork_changer(&fd);

	assert_int_equal(process_open(*state, pid, &p), 0);
	key = p.mm_key;
	starttime = p.starttime;
	assert_int_equal(write(fd, "x", 1), 1);
	/* Bounded: the exec happens now or never. */
	for (int i = 0; i < 500 && r == 0; i++) {
		r = process_attach(*state, &p);
		if (r == 0)
			(void)poll(NULL, 0, 10);
	}
	assert_int_equal(r, 1);
	/* Once more, in case the call fell into the middle of the exec. */
	assert_true(process_attach(*state, &p) >= 0);
	assert_int_not_equal(p.mm_key, key);
	assert_int_equal(p.starttime, starttime);
	assert_true(process_is_alive(*state, &p));
	(void)close(fd);
	end(pid);
	process_close(&p);
}

static void list_is_sorted_and_complete(void **state)
{
	pid_t *pids = NULL, pid = fork_sleeper();
	size_t n = 0;
	bool is_found = false;

	assert_int_equal(process_list(*state, &pids, &n), 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || pids[i - 1] < pids[i]);
		is_found |= pids[i] == pid;
	}
	assert_true(is_found);
	free(pids);
	end(pid);
}

static void pulse_moves_with_memory(void **state)
{
	enum { PAGES = 64 };
	struct process p = PROCESS_INIT;
	struct pulse before = {0}, after = {0};
	size_t bytes = PAGES * (size_t)sysconf(_SC_PAGESIZE);
	char *memory;

	assert_int_equal(process_open(*state, getpid(), &p), 0);
	assert_int_equal(pulse_read(&p, &before), 0);
	assert_int_equal(pulse_read_faults(&p, &before), 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	(void)madvise(memory, bytes, MADV_NOHUGEPAGE);
	memset(memory, 1, bytes);
	assert_int_equal(pulse_read(&p, &after), 0);
	assert_int_equal(pulse_read_faults(&p, &after), 0);
	assert_true(after.size_pages >= before.size_pages + PAGES);
	assert_true(after.minor_faults >= before.minor_faults + PAGES);
	(void)munmap(memory, bytes);
	process_close(&p);
}

static void pulse_of_the_dead_fails(void **state)
{
	struct process p = PROCESS_INIT;
	struct pulse pulse;
	pid_t pid = fork_sleeper();

	assert_int_equal(process_open(*state, pid, &p), 0);
	end(pid);
	assert_int_equal(pulse_read(&p, &pulse), -ESRCH);
	assert_int_equal(pulse_read_faults(&p, &pulse), -ESRCH);
	process_close(&p);
}

static void host_pulse_moves_with_processes(void **state)
{
	struct host_pulse_reader r;
	struct host_pulse before, after;

	assert_int_equal(host_pulse_open(*state, &r), 0);
	assert_int_equal(host_pulse_read(&r, &before), 0);
	end(fork_sleeper());
	assert_int_equal(host_pulse_read(&r, &after), 0);
	assert_int_not_equal(before.last_pid, after.last_pid);
	assert_true(after.split_pmd >= before.split_pmd);
	host_pulse_close(&r);
	assert_int_equal(r.vmstat_fd, -EBADF);
}

/* Does the pulse move by a quarter of what is mapped between two readings? The counters lag. */
static bool moves_with_pages(const struct host_pulse_reader *r, size_t pages)
{
	const size_t bytes = pages * (size_t)sysconf(_SC_PAGESIZE);
	struct host_pulse before, after;
	char *memory;

	assert_int_equal(host_pulse_read(r, &before), 0);
	assert_true(before.anon_pages > 0);
	assert_true(before.file_pages > 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, bytes);
	assert_int_equal(host_pulse_read(r, &after), 0);
	munmap(memory, bytes);
	return host_pulse_has_moved(&before, &after, pages / 4);
}

/* Once: in any one try another process may give as much back meanwhile. */
static void host_pulse_moves_with_memory(void **state)
{
	enum { PAGES = 4096, TRIES = 64 };
	struct host_pulse_reader r;
	bool has_moved = false;

	assert_int_equal(host_pulse_open(*state, &r), 0);
	for (int i = 0; i < TRIES && !has_moved; i++)
		has_moved = moves_with_pages(&r, PAGES);
	assert_true(has_moved);
	host_pulse_close(&r);
}

static void moving_means_either_sum(void **state)
{
	const struct host_pulse then = {.anon_pages = 1000, .file_pages = 1000};
	struct host_pulse now = then;

	(void)state;
	now.last_pid = now.split_pmd = 7;
	assert_false(host_pulse_has_moved(&then, &now, 256));
	now.anon_pages = 1255;
	now.file_pages = 745;
	assert_false(host_pulse_has_moved(&then, &now, 256));
	now.file_pages = 744;
	assert_true(host_pulse_has_moved(&then, &now, 256));
	now = then;
	now.anon_pages = 1256; /* what the other one lost does not weigh against it */
	now.file_pages = 744;
	assert_true(host_pulse_has_moved(&then, &now, 256));
}

static void reading_is_bounded(void **state)
{
	struct sys *sys = *state;
	char small[4], *text = NULL;
	size_t size = 0;

	assert_int_equal(sys_read_at(sys->rootfd, "proc/version", small, sizeof(small)), -EFBIG);
	assert_int_equal(sys_read_at(sys->rootfd, "/proc/version", small, sizeof(small)), -EINVAL);
	assert_int_equal(sys_read_at(sys->rootfd, "proc/no-such", small, sizeof(small)), -ENOENT);
	assert_int_equal(sys_read_all_at(sys->rootfd, "proc/self/maps", 16, &text, &size), -EFBIG);
	assert_null(text);
	assert_int_equal(sys_read_all_at(sys->rootfd, "proc/self/maps", 1 << 24, &text, &size), 0);
	assert_int_equal(strlen(text), size);
	free(text);
	/* The last component is not followed: /proc/self is a link. */
	assert_int_equal(sys_read_at(sys->rootfd, "proc/self", small, sizeof(small)), -ELOOP);
}

static void geometry_is_that_of_the_kernel(void **state)
{
	struct mmu_geometry g;
	struct host h = {0};

	if (host_read_geometry(*state, &g) == -EOPNOTSUPP)
		skip();
	assert_int_equal(page_bytes(&g), sysconf(_SC_PAGESIZE));
	assert_true(mmu_geometry_is_valid(&g));
	assert_int_equal(host_read_knobs(*state, &g, &h), 0);
	assert_true(h.kernel_release[0] != '\0');
	assert_int_equal(h.cpus, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(host_read_memory(*state, &g, &h), 0);
	assert_true(h.mem_total_bytes > h.mem_available_bytes);
	assert_true(h.n_nodes >= 1);
	assert_true(h.nodes[0].free_block_bytes <= h.nodes[0].free_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(living_process_is_held),
		cmocka_unit_test(every_fd_closes_on_exec),
		cmocka_unit_test(vanished_pid_is_an_outcome),
		cmocka_unit_test(zombie_is_not_alive),
		cmocka_unit_test(another_program_is_another_mm),
		cmocka_unit_test(list_is_sorted_and_complete),
		cmocka_unit_test(pulse_moves_with_memory),
		cmocka_unit_test(pulse_of_the_dead_fails),
		cmocka_unit_test(host_pulse_moves_with_processes),
		cmocka_unit_test(host_pulse_moves_with_memory),
		cmocka_unit_test(moving_means_either_sum),
		cmocka_unit_test(reading_is_bounded),
		cmocka_unit_test(geometry_is_that_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
