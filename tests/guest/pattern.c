/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work load of the test guests: owns most of the guest's memory, and for ever reads back what
 * it wrote there and writes something new.
 *
 * Theory of operation.  Every 8-byte word has one right value, made of three things: the page that
 * it belongs to, the pass in which it was last written, and its place in the page.  A page that was
 * lost (zeroes), swapped with another (wrong page number), copied too early (an older pass) or
 * shifted (wrong place) therefore cannot look right.  A pass goes over the memory once: each page
 * is checked against the pass before and then written with the new one, so at every moment there
 * are pages of two generations, and a copy of stale memory is found at the latest one pass later.
 *
 * On stdout (the serial console), one line each:
 *   PATTERN ready bytes=N
 *   PATTERN pass=N mismatches=M        M: wrong pages since the start
 *   PATTERN MISMATCH gpa=0x.. va=0x.. pass=N want=0x.. got=0x..   the first wrong word of a page
 *   PATTERN bye                        after the command `quit`
 * On stdin, one line each: `quit`.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / sizeof(uint64_t), LINES_PER_PASS = 32 };

/* Odd, so that no two words of a page are equal. */
#define WORD_STEP UINT64_C(0x9e3779b97f4a7c15)

struct area {
	uint64_t *words;
	uint64_t pages;
	int pagemap_fd;
};

/* splitmix64's finaliser: one step per page, so that the inner loops stay an addition and a store.
 */
static uint64_t page_seed(uint64_t page, uint64_t pass)
{
	uint64_t x =
		(page + 1) * UINT64_C(0xbf58476d1ce4e5b9) + pass * UINT64_C(0x94d049bb133111eb);

	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	return x;
}

static void page_write(uint64_t *words, uint64_t seed)
{
	for (unsigned i = 0; i < WORDS; i += 4) {
		words[i] = seed;
		words[i + 1] = seed + WORD_STEP;
		words[i + 2] = seed + WORD_STEP * 2;
		words[i + 3] = seed + WORD_STEP * 3;
		seed += WORD_STEP * 4;
	}
}

static bool page_is_right(const uint64_t *words, uint64_t seed)
{
	uint64_t differences = 0;

	for (unsigned i = 0; i < WORDS; i += 4) {
		differences |= words[i] ^ seed;
		differences |= words[i + 1] ^ (seed + WORD_STEP);
		differences |= words[i + 2] ^ (seed + WORD_STEP * 2);
		differences |= words[i + 3] ^ (seed + WORD_STEP * 3);
		seed += WORD_STEP * 4;
	}
	return differences == 0;
}

/* 0 where the guest's kernel does not say. */
static uint64_t gpa_of(const struct area *area, const void *address)
{
	uint64_t entry = 0;
	uintptr_t va = (uintptr_t)address;

	if (pread(area->pagemap_fd, &entry, sizeof(entry), (off_t)(va / PAGE * sizeof(entry))) !=
	    (ssize_t)sizeof(entry))
		return 0;
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE + va % PAGE;
}

static void report_mismatch(const struct area *area, const uint64_t *words, uint64_t seed,
			    uint64_t pass)
{
	unsigned i = 0;

	while (i < WORDS - 1 && words[i] == seed + WORD_STEP * i)
		i++;
	printf("PATTERN MISMATCH gpa=0x%" PRIx64 " va=0x%" PRIxPTR " pass=%" PRIu64
	       " want=0x%016" PRIx64 " got=0x%016" PRIx64 "\n",
	       gpa_of(area, &words[i]), (uintptr_t)&words[i], pass, seed + WORD_STEP * i, words[i]);
}

static void area_fill(const struct area *area, uint64_t pass)
{
	for (uint64_t p = 0; p < area->pages; p++)
		page_write(area->words + p * WORDS, page_seed(p, pass));
}

/* Checks what pass - 1 wrote and writes pass; the number of pages that were wrong. */
static uint64_t area_pass(const struct area *area, uint64_t pass)
{
	uint64_t wrong = 0;

	for (uint64_t p = 0; p < area->pages; p++) {
		uint64_t *words = area->words + p * WORDS;
		uint64_t seed = page_seed(p, pass - 1);

		if (!page_is_right(words, seed) && wrong++ < LINES_PER_PASS)
			report_mismatch(area, words, seed, pass - 1);
		page_write(words, page_seed(p, pass));
	}
	return wrong;
}

/* Waits at most timeout_ms for a line on stdin. */
static bool must_quit(int timeout_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[64];
	ssize_t n;

	if (poll(&in, 1, timeout_ms) <= 0 || !(in.revents & POLLIN))
		return false;
	n = read(STDIN_FILENO, line, sizeof(line) - 1);
	if (n <= 0)
		return false;
	line[n] = '\0';
	return strncmp(line, "quit", 4) == 0;
}

static uint64_t available_bytes(void)
{
	char line[128];
	uint64_t kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

int main(int argc, char **argv)
{
	/* The guest's kernel keeps some room for page tables and for itself. */
	uint64_t reserve = UINT64_C(12) << 20;
	uint64_t available = available_bytes();
	int pause_ms = argc > 1 ? atoi(argv[1]) : 0;
	uint64_t share = argc > 2 ? (uint64_t)atoi(argv[2]) : 100; /* percent */
	uint64_t bytes, wrong = 0;
	struct area area;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (available <= reserve * 2) {
		printf("PATTERN failed: only %" PRIu64 " bytes available\n", available);
		return EXIT_FAILURE;
	}
	bytes = (available - reserve) / 100 * share / PAGE * PAGE;
	area.pages = bytes / PAGE;
	area.pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	area.words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area.words == MAP_FAILED) {
		printf("PATTERN failed: mmap of %" PRIu64 " bytes: %s\n", bytes, strerror(errno));
		return EXIT_FAILURE;
	}

	area_fill(&area, 0);
	printf("PATTERN ready bytes=%" PRIu64 "\n", bytes);
	for (uint64_t pass = 1; !must_quit(pause_ms); pass++) {
		wrong += area_pass(&area, pass);
		printf("PATTERN pass=%" PRIu64 " mismatches=%" PRIu64 "\n", pass, wrong);
	}
	printf("PATTERN bye\n");
	return EXIT_SUCCESS;
}
