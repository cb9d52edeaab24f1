/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arm (a): what it costs, in CPU time, to find out how a mapping looks. Every reader looks at the
 * same memory of another process, in the same run, in turns; one JSON line per state, reader and
 * round.
 *
 *   bench_look GIB ROUNDS */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "features.h"
#include "hostfacts.h"
#include "look.h"
#include "memstate.h"

enum { READERS = 4 };

/* Cheap readers are repeated within a round, so that one interrupt does not decide. */
static const struct state {
	const char *name;
	char command; /* what the holder is told */
	enum seen seen;
	int repeats[READERS];
} states[] = {
	{"small", 's', SEEN_SMALL, {1, 4, 4, 2}},
	{"huge", 'h', SEEN_HUGE, {1, 50, 50, 50}},
	{"pte-mapped", 'p', SEEN_FOLIO, {1, 4, 4, 2}},
};

struct scene {
	const struct state *state;
	struct look look;
	hva_t start, end;
	pid_t pid;
};

static void read_all(const struct scene *s)
{
	read_smaps(s->pid);
}

/* Aborts where the look fails or says anything else than what the memory was made to be: a wrong
 * answer would be cheap. */
static void look(const struct scene *s, bool want_nodes)
{
	struct look how = s->look;
	struct sight *sights = NULL;
	uint64_t right = 0;
	size_t n = 0;

	how.want_nodes = want_nodes;
	if (look_blocks(&how, s->start, s->end, &sights, &n) < 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if (sights[i].seen == s->state->seen && (sights[i].node >= 0) == want_nodes)
			right += sights[i].blocks;
	if (right * block_bytes(&s->look.geometry) != s->end - s->start)
		abort();
	free(sights);
}

static void read_blocks(const struct scene *s)
{
	look(s, false);
}

/* As on a host with several nodes; the price is the same where there is one. */
static void read_nodes(const struct scene *s)
{
	look(s, true);
}

static void read_pages(const struct scene *s)
{
	struct sight *sights = NULL;
	uint64_t present = 0;
	size_t n = 0;

	if (look_pages(&s->look, s->start, s->end, &sights, &n) < 0)
		abort();
	for (size_t i = 0; i < n; i++)
		present += sights[i].present_pages;
	if (present * page_bytes(&s->look.geometry) != s->end - s->start)
		abort();
	free(sights);
}

static const struct {
	const char *name;
	void (*read)(const struct scene *s);
} readers[READERS] = {
	{"smaps", read_all},
	{"look", read_blocks},
	{"nodes", read_nodes},
	{"count", read_pages},
};

static void measure(const struct scene *s, int rounds, double gib)
{
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < READERS; i++) {
			uint64_t began_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

			for (int k = 0; k < s->state->repeats[i]; k++)
				readers[i].read(s);
			printf("{\"state\":\"%s\",\"reader\":\"%s\",\"cpu_us_per_gib\":%.1f}\n",
			       s->state->name, readers[i].name,
			       (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / 1000 /
				       s->state->repeats[i] / gib);
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

	(void)alarm(MEASURED_SECONDS_MAX);
	if (rounds < 1 || sys_open_host(&sys) < 0 || pipe(commands) < 0 || pipe(answers) < 0 ||
	    memstate_map_memfd(&map, (uint64_t)(gib * (1 << 30)), 0) < 0)
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
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		s.state = &states[i];
		ask(commands[1], answers[0], s.state->command);
		measure(&s, rounds, gib);
	}
	(void)kill(s.pid, SIGKILL);
	(void)waitpid(s.pid, NULL, 0);
	process_close(&process);
	sys_close(&sys);
	return 0;
}
