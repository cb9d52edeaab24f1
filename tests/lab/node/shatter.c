/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breaks the free memory of a NUMA node into pieces smaller than a huge page, which compaction
 * cannot put together again, until it ends: what a host looks like that has been up for long.
 *
 *   shatter NODE
 *
 * It takes all huge pages that compaction can make on the node, has the kernel take them apart,
 * pins a piece of each for long (as device assignment would: an io_uring's registered buffers), and
 * gives back the rest. What was left to the kernel meanwhile can be had then: so again, until there
 * is nothing left. It says `ready pinned=BLOCKS`, does it once more for each line that it reads
 * (`ok pinned=BLOCKS`), and ends with its stdin. Needs root and debugfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/io_uring.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memstate.h"

enum {
	/* The kernel takes so many buffers of one ring; one for each block. */
	PINS_MAX = 16384,
	/* What is pinned of a block. One would do, but single pages that come free stay on the list
	 * of a processor, each between what it kept apart: so more than such a list takes. */
	PIN_PAGES = 32,
};

/* Under pressure the kernel sets blocks apart for atomic allocations: so much stays free meanwhile.
 */
#define FLOOR_KIB (UINT64_C(128) << 10)

/* Addresses for blocks: those of a node several times over. */
struct room {
	uint8_t *start, *end;
};

struct pins {
	struct iovec pieces[PINS_MAX];
	uint32_t n;
};

static int room_make(struct room *room)
{
	const uint64_t bytes = PINS_MAX * memstate_block_bytes(), block = memstate_block_bytes();
	uint8_t *at = mmap(NULL, bytes + block, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	at += block - (uintptr_t)at % block;
	*room = (struct room){.start = at, .end = at + bytes};
	return madvise(at, bytes, MADV_HUGEPAGE) < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* Packs together what other memory of the node can be moved. */
static int compact(unsigned int node)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/compact", node);
	return write_file(path, "1");
}

static int bind_to(unsigned int node)
{
	const unsigned long mask = 1UL << node;

	return syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)) < 0 ? -errno : 0;
}

/* The kernel gives a small page where it has no huge one. */
static bool is_huge_once_touched(uint8_t *at)
{
	uint64_t pfn, flags;

	*(volatile uint8_t *)at = 1;
	return memstate_first_pfn(0, at, &pfn) == 0 && memstate_pfn_flags(pfn, &flags) == 0 &&
	       (flags >> MEMSTATE_KPF_THP & 1);
}

static uint64_t free_kib(unsigned int node)
{
	char path[64], line[128];
	uint64_t kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	file = fopen(path, "re");
	while (file && kib == 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Node %*u MemFree: %" SCNu64, &kib);
	if (file)
		(void)fclose(file);
	return kib;
}

/* Where the huge pages end that could be had. */
static uint8_t *take(unsigned int node, const struct room *room)
{
	uint8_t *at = room->start;

	while (at < room->end && free_kib(node) > FLOOR_KIB && is_huge_once_touched(at))
		at += memstate_block_bytes();
	if (at < room->end)
		(void)madvise(at, memstate_block_bytes(), MADV_DONTNEED);
	return at;
}

static int take_apart(const uint8_t *start, const uint8_t *end)
{
	char range[96];

	(void)snprintf(range, sizeof(range), "%d,0x%" PRIxPTR ",0x%" PRIxPTR, (int)getpid(),
		       (uintptr_t)start, (uintptr_t)end);
	return write_file("/sys/kernel/debug/split_huge_pages", range);
}

/* A piece at the start of each block, from there on. The descriptor stays: with it the pins would
 * go. */
static int pin(struct pins *p, uint8_t *start, const uint8_t *end)
{
	const uint64_t piece = PIN_PAGES * memstate_page_bytes();
	struct io_uring_params params = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	const uint32_t from = p->n;

	if (ring < 0)
		return -errno;
	for (uint8_t *at = start; at < end; at += memstate_block_bytes())
		p->pieces[p->n++] = (struct iovec){.iov_base = at, .iov_len = piece};
	return syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, p->pieces + from,
		       p->n - from) < 0
		       ? -errno
		       : 0;
}

static int give_back(uint8_t *start, const uint8_t *end)
{
	const uint64_t block = memstate_block_bytes(), piece = PIN_PAGES * memstate_page_bytes();

	for (uint8_t *at = start; at < end; at += block)
		if (madvise(at + piece, block - piece, MADV_DONTNEED) < 0)
			return -errno;
	return 0;
}

static int shatter(unsigned int node, struct pins *p, struct room *room)
{
	for (;;) {
		int r = compact(node);
		uint8_t *end = take(node, room);

		if (r < 0 || end == room->start)
			return r;
		r = take_apart(room->start, end);
		/* First: else compaction has somewhere to put what is not pinned yet. */
		r = r < 0 ? r : pin(p, room->start, end);
		r = r < 0 ? r : give_back(room->start, end);
		if (r < 0)
			return r;
		room->start = end;
	}
}

static bool answer(const char *word, int r, const struct pins *p)
{
	if (r < 0)
		printf("failed %s\n", strerror(-r));
	else
		printf("%s pinned=%" PRIu32 "\n", word, p->n);
	(void)fflush(stdout);
	return r == 0;
}

int main(int argc, char **argv)
{
	static struct pins pins;
	struct room room = {0};
	unsigned int node;
	char line[64];
	int r;

	if (argc != 2 || sscanf(argv[1], "%u", &node) != 1 || node >= 64) {
		fprintf(stderr, "usage: %s NODE\n", argv[0]);
		return 2;
	}
	r = room_make(&room);
	r = r < 0 ? r : bind_to(node);
	r = r < 0 ? r : shatter(node, &pins, &room);
	if (!answer("ready", r, &pins))
		return EXIT_FAILURE;
	while (fgets(line, sizeof(line), stdin))
		(void)answer("ok", shatter(node, &pins, &room), &pins);
	return EXIT_SUCCESS;
}
