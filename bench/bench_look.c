/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arm (a): what it costs, in CPU time, to find out how a mapping looks. Every reader looks at the
 * same memory of another process, in the same run, in turns; one JSON line per state and reader
 * with the median of the rounds.
 *
 *   bench_look GIB ROUNDS */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "features.h"
#include "hostfacts.h"
#include "look.h"
#include "memstate.h"

enum { ROUNDS_MAX = 99, READERS = 3 };

struct scene {
	struct look look;
	hva_t start, end;
	pid_t pid;
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void read_smaps(const struct scene *s)
{
	static char buffer[1 << 16];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)s->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
		;
	if (fd >= 0)
		(void)close(fd);
}

static void read_ladder(const struct scene *s)
{
	struct sight *sights = NULL;
	size_t n = 0;

	if (look_blocks(&s->look, s->start, s->end, &sights, &n) < 0)
		abort();
	free(sights);
}

static void read_pages(const struct scene *s)
{
	struct sight *sights = NULL;
	size_t n = 0;

	if (look_pages(&s->look, s->start, s->end, &sights, &n) < 0)
		abort();
	free(sights);
}

static const struct {
	const char *name;
	void (*read)(const struct scene *s);
} readers[READERS] = {
	{"smaps", read_smaps},
	{"look", read_ladder},
	{"count", read_pages},
};

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure(const struct scene *s, const char *state, int rounds, double gib)
{
	uint64_t cost[READERS][ROUNDS_MAX];
	/* Cheap readers are repeated within a round, so that one interrupt does not decide. */
	int repeats[READERS] = {1, strcmp(state, "huge") == 0 ? 50 : 4,
				strcmp(state, "huge") == 0 ? 50 : 2};

	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < READERS; i++) {
			uint64_t began_ns = cpu_ns();

			for (int k = 0; k < repeats[i]; k++)
				readers[i].read(s);
			cost[i][round] = (cpu_ns() - began_ns) / (uint64_t)repeats[i];
		}
	for (int i = 0; i < READERS; i++) {
		qsort(cost[i], (size_t)rounds, sizeof(cost[i][0]), compare);
		printf("{\"state\":\"%s\",\"reader\":\"%s\",\"cpu_us_per_gib\":%.1f}\n", state,
		       readers[i].name, (double)cost[i][rounds / 2] / 1000 / gib);
	}
	fflush(stdout);
}

/* The holder: makes each state when told to, and says when it is there. */
static void hold(const memstate_map *map, int commands, int answers)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(commands, &c, 1) == 1) {
		int r = c == 's'   ? memstate_fill_small(map->addr, map->bytes, 1)
			: c == 'h' ? memstate_make_huge(map->addr, map->bytes)
				   : memstate_make_pte_mapped(map->addr, map->bytes);

		c = r < 0 ? 'n' : 'y';
		if (write(answers, &c, 1) != 1)
			break;
	}
	_exit(0);
}

static void ask(int commands, int answers, char state)
{
	char c = 0;

	if (write(commands, &state, 1) != 1 || read(answers, &c, 1) != 1 || c != 'y') {
		fprintf(stderr, "bench_look: the memory could not be brought into state '%c'\n",
			state);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	double gib = argc > 1 ? atof(argv[1]) : 2;
	int rounds = argc > 2 ? atoi(argv[2]) : 5, commands[2], answers[2];
	struct process process = PROCESS_INIT;
	memstate_map map = MEMSTATE_MAP_INIT;
	struct scene s = {0};
	struct sys sys = SYS_INIT;
	struct host host = {0};

	if (rounds < 1 || rounds > ROUNDS_MAX || sys_open_host(&sys) < 0 || pipe(commands) < 0 ||
	    pipe(answers) < 0 || memstate_map_memfd(&map, (uint64_t)(gib * (1 << 30)), 0) < 0)
		return 1;
	s.pid = fork();
	if (s.pid == 0)
		hold(&map, commands[0], answers[1]);
	if (host_read_geometry(&sys, &s.look.geometry) < 0 ||
	    features_probe(&sys, &s.look.geometry, &host, NULL) < 0 ||
	    process_open(&sys, s.pid, &process) < 0)
		return 1;
	s.look.sys = &sys;
	s.look.process = &process;
	s.look.features = host.features;
	s.start = (hva_t)(uintptr_t)map.addr;
	s.end = s.start + map.bytes;
	ask(commands[1], answers[0], 's');
	measure(&s, "small", rounds, gib);
	ask(commands[1], answers[0], 'h');
	measure(&s, "huge", rounds, gib);
	ask(commands[1], answers[0], 'p');
	measure(&s, "pte-mapped", rounds, gib);
	(void)kill(s.pid, SIGKILL);
	(void)waitpid(s.pid, NULL, 0);
	process_close(&process);
	sys_close(&sys);
	return 0;
}
