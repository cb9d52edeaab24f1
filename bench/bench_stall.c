/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arm (f): how long does a thread that keeps touching its memory stand still while somebody
 * collapses it?
 *
 *   bench_stall anon|memfd small|pte MIB COMMAND... (@PID, @START, @BYTES in it are replaced)
 *
 * A child holds the memory; its thread writes one word of each page, round and round, and keeps the
 * longest time between two writes, first undisturbed, then while the command runs. One JSON line:
 * {"quiet_worst_ns","worst_ns","huge_bytes"}; what the command prints goes to fd 3. */

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "memstate.h"

enum { CALLS_FD = 3 };

struct watch { /* shared between parent and child */
	_Atomic uint64_t worst_ns;
};

static memstate_map map = MEMSTATE_MAP_INIT;
static struct watch *watch;

static void touch_for_ever(void)
{
	uint64_t page = memstate_page_bytes(), last_ns = clock_ns(CLOCK_MONOTONIC);

	for (uint64_t at = 0;; at = (at + page) % map.bytes) {
		uint64_t t;

		((volatile uint8_t *)map.addr)[at + 64]++;
		t = clock_ns(CLOCK_MONOTONIC);
		if (t - last_ns > watch->worst_ns)
			watch->worst_ns = t - last_ns;
		last_ns = t;
	}
}

static int prepare(const char *kind, const char *state, uint64_t bytes)
{
	int r = strcmp(kind, "anon") == 0 ? memstate_map_anon(&map, bytes, 0)
					  : memstate_map_memfd(&map, bytes, 0);

	if (r == 0)
		r = memstate_fill_small(map.addr, map.bytes, 1);
	if (r == 0 && strcmp(state, "pte") == 0) {
		r = memstate_make_huge(map.addr, map.bytes);
		if (r == 0)
			r = memstate_make_pte_mapped(map.addr, map.bytes);
	}
	return r;
}

static void hold(const char *kind, const char *state, uint64_t bytes, int answers)
{
	uint64_t start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prepare(kind, state, bytes) < 0)
		_exit(1);
	start = (uint64_t)(uintptr_t)map.addr;
	if (write(answers, &start, sizeof(start)) != sizeof(start))
		_exit(1);
	touch_for_ever();
}

static uint64_t worst_of_quiet(void)
{
	watch->worst_ns = 0;
	(void)sleep(1);
	return watch->worst_ns;
}

static uint64_t worst_of_command(char **command)
{
	int status = 0;
	pid_t child;

	watch->worst_ns = 0;
	child = fork();
	if (child == 0) {
		(void)alarm(MEASURED_SECONDS_MAX);
		(void)dup2(CALLS_FD, STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		exit(1);
	return watch->worst_ns;
}

/* Copies need as much again. Where the host of this host takes free memory back, new memory costs a
 * multiple (bench/scene.sh): it is taken now and freed right before it is needed. */
static void *take_warm(uint64_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(1);
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	memset(memory, 1, bytes);
	return memory;
}

static void substitute(char **command, const char *key, uint64_t value)
{
	for (char **word = command; *word; word++)
		if (strcmp(*word, key) == 0 &&
		    asprintf(word, "%llu", (unsigned long long)value) < 0)
			exit(1);
}

int main(int argc, char **argv)
{
	uint64_t start, quiet_ns, worst_ns, bytes;
	int answers[2];
	int64_t huge;
	void *warm;
	pid_t child;

	if (argc < 5 || pipe(answers) < 0)
		return 2;
	bytes = strtoull(argv[3], NULL, 10) << 20;
	watch = mmap(NULL, sizeof(*watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (watch == MAP_FAILED)
		return 1;
	child = fork();
	if (child == 0)
		hold(argv[1], argv[2], bytes, answers[1]);
	(void)close(answers[1]);
	if (read(answers[0], &start, sizeof(start)) != sizeof(start))
		return 1;
	substitute(argv + 4, "@PID", (uint64_t)child);
	substitute(argv + 4, "@START", start);
	substitute(argv + 4, "@BYTES", bytes);
	warm = take_warm(bytes);
	quiet_ns = worst_of_quiet();
	(void)munmap(warm, bytes);
	worst_ns = worst_of_command(argv + 4);
	huge = memstate_count_huge(child, (const void *)(uintptr_t)start, bytes);
	printf("{\"quiet_worst_ns\":%llu,\"worst_ns\":%llu,\"huge_bytes\":%lld}\n",
	       (unsigned long long)quiet_ns, (unsigned long long)worst_ns,
	       (long long)huge * (long long)memstate_block_bytes());
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return 0;
}
