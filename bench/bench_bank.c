/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps memory warm for a measurement that will allocate huge pages: see bench/scene.sh.
 *
 *   bench_bank MIB
 *
 * Lines on stdin, each answered by `ok`: `take` allocates the memory, huge if possible; `lend`
 * gives it back as fast as the host's huge memory grows, always a little ahead, until the next
 * `take`. Lent all at once, most of it would be cold again before it is needed. Ends with stdin. */

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { THREADS = 2 /* memory that the host has taken back comes twice as fast */, TICK_MS = 2 };
#define SLICE_BYTES ((size_t)64 << 20)
#define AHEAD_BYTES ((size_t)512 << 20)

struct bank {
	char *memory;
	size_t bytes, lent_bytes;
	size_t huge_bytes; /* of the host, when lending began, without ours */
	bool is_lending;
};

struct part {
	void *memory;
	size_t bytes;
	int result;
};

static void *populate(void *userdata)
{
	struct part *p = userdata;

	p->result = madvise(p->memory, p->bytes, MADV_POPULATE_WRITE);
	return NULL;
}

static int take(struct bank *b)
{
	struct part parts[THREADS];
	pthread_t ids[THREADS];
	int result = 0;

	for (size_t i = 0; i < THREADS; i++) {
		parts[i] =
			(struct part){b->memory + b->bytes / THREADS * i, b->bytes / THREADS, -1};
		if (pthread_create(&ids[i], NULL, populate, &parts[i]) != 0)
			exit(1);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
		result |= parts[i].result;
	}
	b->is_lending = false;
	b->lent_bytes = 0;
	return result;
}

/* What huge pages hold on this host, but for what we hold. */
static size_t huge_bytes_of_others(const struct bank *b)
{
	size_t sum = 0, kib;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		exit(1);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %zu", &kib) == 1 ||
		    sscanf(line, "ShmemHugePages: %zu", &kib) == 1)
			sum += kib << 10;
	(void)fclose(f);
	return sum - (b->bytes - b->lent_bytes);
}

static int lend(struct bank *b)
{
	size_t grown = huge_bytes_of_others(b) - b->huge_bytes;

	if ((ssize_t)grown < 0)
		grown = 0;
	while (b->lent_bytes < b->bytes && b->lent_bytes < grown + AHEAD_BYTES) {
		if (madvise(b->memory + b->lent_bytes, SLICE_BYTES, MADV_DONTNEED) < 0)
			return -1;
		b->lent_bytes += SLICE_BYTES;
	}
	return 0;
}

static int obey(struct bank *b, const char *line)
{
	if (strcmp(line, "take\n") == 0)
		return take(b);
	if (strcmp(line, "lend\n") != 0)
		return -1;
	b->is_lending = true;
	b->huge_bytes = huge_bytes_of_others(b);
	return lend(b);
}

int main(int argc, char **argv)
{
	struct bank b = {.bytes = argc > 1 ? strtoull(argv[1], NULL, 10) << 20 : 0};
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[16];

	b.bytes -= b.bytes % (THREADS * SLICE_BYTES);
	b.memory = mmap(NULL, b.bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b.memory == MAP_FAILED)
		return 1;
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)madvise(b.memory, b.bytes, MADV_HUGEPAGE);
	for (;;) {
		int n = poll(&in, 1, b.is_lending ? TICK_MS : -1);

		if (n == 0 ? lend(&b) < 0 : n < 0 || !fgets(line, sizeof(line), stdin))
			return n == 1 ? 0 : 1;
		if (n == 1)
			puts(obey(&b, line) == 0 ? "ok" : "failed");
	}
}
