/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plain memory holder: stands in for a VMM where a whole guest would only cost time.
 *
 *   holder [--kind=memfd|anon|file] [--path=FILE] [--size=MIB] [--skew=BYTES]
 * [--state=small|huge|pte]
 *          [--attach] [--reserve=MIB] [--config-file FILE] [--no-api]
 *
 * The memory is block-aligned (unless --skew), filled with a pattern that depends on the page, the
 * word and the generation, and brought into the state asked for.  --attach maps a file that another
 * holder has filled and writes nothing.  --reserve makes the mapping longer than what of it is
 * filled
 * (--size): the rest is a hole.  The last two are Firecracker's, and change nothing here.  Then it
 * prints `ready addr=0xADDR bytes=N` and obeys
 * commands on stdin, each answered by one line that begins with `ok` or `failed`:
 *
 *   verify            every word is right, holes apart: `ok present=BYTES holes=BYTES`
 *   rewrite           the next generation of the pattern everywhere, holes apart
 *   next              another mapper has rewritten everything: expect its generation
 *   punch OFF LEN     gives pages back, as a balloon does (hole punch; MADV_DONTNEED for anon)
 *   touch OFF LEN     writes the pattern there (again)
 *   huge OFF LEN, pte OFF LEN    as memstate_make_huge, memstate_make_pte_mapped
 *   count OFF LEN     `ok huge=BYTES present=BYTES memory=BYTES`: what the page table says; memory
 *                     is what the whole file or mapping holds, mapped or not
 *   read OFF LEN      reads a word of every page, so that it is mapped
 *   arm OFF LEN       puts it under a userfaultfd (write-protect mode) that another
 *                     process holds
 *   disarm            ends that process
 *   exec              replaces itself: same pid, new memory, a new `ready` line
 *   quit
 *
 * OFF and LEN are bytes; LEN 0 means: to the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memgrip.h"
#include "memstate.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct holder {
	memstate_map map;
	uint64_t page_bytes;
	uint64_t pages;
	uint8_t *generations; /* of each page, modulo 256; meaningless for holes */
	bool *is_hole;
	bool is_anon;
	pid_t pager; /* 0: none */
	char **argv;
};

struct options {
	const char *kind, *path, *state;
	uint64_t bytes, reserve_bytes, skew_bytes;
	bool is_attached;
};

struct range {
	uint64_t first_page, end_page;
};

static uint64_t word_of(uint64_t page, uint64_t word, uint8_t generation)
{
	return (page + 1) * UINT64_C(0x9e3779b97f4a7c15) + word * UINT64_C(0xbf58476d1ce4e5b9) +
	       generation;
}

static uint64_t *page_words(const struct holder *h, uint64_t page)
{
	return (uint64_t *)(void *)(h->map.addr + page * h->page_bytes);
}

static void page_write(struct holder *h, uint64_t page)
{
	uint64_t *words = page_words(h, page);

	for (uint64_t i = 0; i < h->page_bytes / sizeof(*words); i++)
		words[i] = word_of(page, i, h->generations[page]);
}

/* A hole is not read: reading would fill it. */
static bool page_is_right(const struct holder *h, uint64_t page)
{
	const uint64_t *words = page_words(h, page);

	for (uint64_t i = 0; i < h->page_bytes / sizeof(*words); i++)
		if (words[i] != word_of(page, i, h->generations[page]))
			return false;
	return true;
}

static uint8_t *range_start(const struct holder *h, struct range r)
{
	return h->map.addr + r.first_page * h->page_bytes;
}

static uint64_t range_bytes(const struct holder *h, struct range r)
{
	return (r.end_page - r.first_page) * h->page_bytes;
}

static int hold_punch(struct holder *h, struct range r)
{
	const uint64_t bytes = range_bytes(h, r);
	int rc;

	if (h->is_anon)
		rc = madvise(range_start(h, r), bytes, MADV_DONTNEED);
	else
		rc = fallocate(h->map.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       (off_t)(r.first_page * h->page_bytes), (off_t)bytes);
	if (rc < 0)
		return -errno;
	for (uint64_t p = r.first_page; p < r.end_page; p++)
		h->is_hole[p] = true;
	return 0;
}

static int hold_touch(struct holder *h, struct range r)
{
	for (uint64_t p = r.first_page; p < r.end_page; p++) {
		h->is_hole[p] = false;
		page_write(h, p);
	}
	return 0;
}

static int hold_read(struct holder *h, struct range r)
{
	for (uint64_t p = r.first_page; p < r.end_page; p++)
		(void)*(volatile uint64_t *)page_words(h, p);
	return 0;
}

static int hold_make_huge(struct holder *h, struct range r)
{
	return memstate_make_huge(range_start(h, r), range_bytes(h, r));
}

static int hold_make_pte_mapped(struct holder *h, struct range r)
{
	return memstate_make_pte_mapped(range_start(h, r), range_bytes(h, r));
}

/* Somebody else has written the next generation into the shared memory. */
static int hold_next(struct holder *h, struct range r)
{
	for (uint64_t p = r.first_page; p < r.end_page; p++)
		h->generations[p]++;
	return 0;
}

static int hold_rewrite(struct holder *h, struct range r)
{
	for (uint64_t p = r.first_page; p < r.end_page; p++)
		if (!h->is_hole[p]) {
			h->generations[p]++;
			page_write(h, p);
		}
	return 0;
}

/* These two answer with more than `ok`: 1 means that the line is written. */
static int hold_verify(struct holder *h, struct range r)
{
	uint64_t holes = 0;

	for (uint64_t p = r.first_page; p < r.end_page; p++) {
		holes += h->is_hole[p];
		if (!h->is_hole[p] && !page_is_right(h, p)) {
			printf("failed page %" PRIu64 " holds 0x%016" PRIx64 ", not 0x%016" PRIx64
			       "\n",
			       p, page_words(h, p)[0], word_of(p, 0, h->generations[p]));
			return 1;
		}
	}
	printf("ok present=%" PRIu64 " holes=%" PRIu64 "\n",
	       range_bytes(h, r) - holes * h->page_bytes, holes * h->page_bytes);
	return 1;
}

/* A huge mapping of a file that is torn leaves the page table empty until the next touch, but the
 * memory stays where it is: in the file. */
static int64_t memory_bytes(const struct holder *h)
{
	struct stat file;
	int64_t present;

	if (!h->is_anon)
		return fstat(h->map.fd, &file) < 0 ? -errno : (int64_t)file.st_blocks * 512;
	present = memstate_count_present(0, h->map.addr, h->map.bytes);
	return present < 0 ? present : present * (int64_t)h->page_bytes;
}

static int hold_count(struct holder *h, struct range r)
{
	int64_t huge = memstate_count_huge(0, range_start(h, r), range_bytes(h, r));
	int64_t present = memstate_count_present(0, range_start(h, r), range_bytes(h, r));
	int64_t memory = memory_bytes(h);

	if (huge < 0 || present < 0 || memory < 0)
		return (int)(huge < 0 ? huge : present < 0 ? present : memory);
	printf("ok huge=%" PRIu64 " present=%" PRIu64 " memory=%" PRIi64 "\n",
	       (uint64_t)huge * memstate_block_bytes(), (uint64_t)present * h->page_bytes, memory);
	return 1;
}

static void forget_memory(void *userdata)
{
	struct holder *h = userdata;

	memstate_unmap(&h->map);
}

static int hold_arm(struct holder *h, struct range r)
{
	return memgrip_start_pager(&h->pager, range_start(h, r), range_bytes(h, r),
				   UFFDIO_REGISTER_MODE_WP, forget_memory, h);
}

static int hold_disarm(struct holder *h, struct range r)
{
	(void)r;
	return memgrip_end_pager(&h->pager);
}

static int hold_exec(struct holder *h, struct range r)
{
	(void)r;
	(void)execv(h->argv[0], h->argv);
	return -errno;
}

static const struct command {
	const char *name;
	int (*run)(struct holder *h, struct range r);
} commands[] = {
	{"verify", hold_verify},       {"rewrite", hold_rewrite}, {"punch", hold_punch},
	{"touch", hold_touch},	       {"read", hold_read},	  {"huge", hold_make_huge},
	{"pte", hold_make_pte_mapped}, {"count", hold_count},	  {"exec", hold_exec},
	{"next", hold_next},	       {"arm", hold_arm},	  {"disarm", hold_disarm},
};

static int range_of(const struct holder *h, uint64_t offset, uint64_t bytes, struct range *ret)
{
	const uint64_t first = offset / h->page_bytes, count = bytes / h->page_bytes;

	if (first > h->pages || count > h->pages - first)
		return -ERANGE;
	*ret = (struct range){first, bytes ? first + count : h->pages};
	return 0;
}

static int obey(struct holder *h, const char *line)
{
	uint64_t offset = 0, bytes = 0;
	struct range range;
	char verb[16] = "";
	int r;

	if (sscanf(line, "%15s %" SCNu64 " %" SCNu64, verb, &offset, &bytes) < 1)
		return -EINVAL;
	r = range_of(h, offset, bytes, &range);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(verb, commands[i].name) == 0)
			return commands[i].run(h, range);
	return -ENOSYS;
}

static uint64_t mapped_bytes(const struct options *o)
{
	return o->reserve_bytes > o->bytes ? o->reserve_bytes : o->bytes;
}

static int map_memory(struct holder *h, const struct options *o)
{
	const uint64_t bytes = mapped_bytes(o);
	int fd, r;

	if (strcmp(o->kind, "anon") == 0)
		return memstate_map_anon(&h->map, bytes, o->skew_bytes);
	if (strcmp(o->kind, "memfd") == 0)
		return memstate_map_memfd(&h->map, bytes, o->skew_bytes);
	fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = o->is_attached || ftruncate(fd, (off_t)bytes) == 0 ? 0 : -errno;
	if (r == 0)
		r = memstate_map_fd(&h->map, fd, 0, bytes, o->skew_bytes, MAP_SHARED);
	(void)close(fd);
	return r;
}

/* Small folios, whatever the host's knobs say. Populating takes half the time of the faults that it
 * spares; where the kernel cannot, they come one by one. */
static int fill(struct holder *h, struct range r)
{
	const int disabled = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	int rc;

	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	(void)madvise(range_start(h, r), range_bytes(h, r), MADV_POPULATE_WRITE);
	rc = hold_touch(h, r);
	if (disabled >= 0)
		(void)prctl(PR_SET_THP_DISABLE, disabled & 1, disabled & ~1, 0, 0);
	return rc;
}

static int bring_into_state(struct holder *h, const struct options *o)
{
	const struct range all = {0, o->bytes / h->page_bytes};
	int r = 0;

	for (uint64_t p = all.end_page; p < h->pages; p++)
		h->is_hole[p] = true;
	if (o->is_attached)
		r = hold_read(h, all);
	else
		r = fill(h, all);
	if (r == 0 && strcmp(o->state, "small") != 0)
		r = hold_make_huge(h, all);
	if (r == 0 && strcmp(o->state, "pte") == 0)
		r = hold_make_pte_mapped(h, all);
	return r;
}

static int holder_new(struct holder *h, const struct options *o)
{
	int r = map_memory(h, o);

	if (r < 0)
		return r;
	h->page_bytes = memstate_page_bytes();
	h->pages = mapped_bytes(o) / h->page_bytes;
	h->generations = calloc(h->pages, sizeof(*h->generations));
	h->is_hole = calloc(h->pages, sizeof(*h->is_hole));
	h->is_anon = strcmp(o->kind, "anon") == 0;
	if (!h->generations || !h->is_hole)
		return -ENOMEM;
	return bring_into_state(h, o);
}

static void holder_done(struct holder *h)
{
	free(h->generations);
	free(h->is_hole);
	memstate_unmap(&h->map);
}

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"kind", required_argument, NULL, 'k'},
		{"path", required_argument, NULL, 'p'},
		{"size", required_argument, NULL, 's'},
		{"skew", required_argument, NULL, 'w'},
		{"state", required_argument, NULL, 't'},
		{"attach", no_argument, NULL, 'a'},
		{"reserve", required_argument, NULL, 'r'},
		{"no-api", no_argument, NULL, 'f'},
		{"config-file", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'k':
			o->kind = optarg;
			break;
		case 'p':
			o->path = optarg;
			break;
		case 's':
			o->bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'w':
			o->skew_bytes = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o->state = optarg;
			break;
		case 'a':
			o->is_attached = true;
			break;
		case 'r':
			o->reserve_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'f':
			break;
		default:
			return -EINVAL;
		}
	}
	return o->bytes == 0 || (strcmp(o->kind, "file") == 0 && !o->path) ? -EINVAL : 0;
}

static void serve(struct holder *h)
{
	char line[128];

	printf("ready addr=0x%" PRIxPTR " bytes=%" PRIu64 "\n", (uintptr_t)h->map.addr,
	       h->map.bytes);
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4) != 0) {
		int r = obey(h, line);

		if (r == 0)
			printf("ok\n");
		else if (r < 0)
			printf("failed %s\n", strerror(-r));
	}
}

int main(int argc, char **argv)
{
	struct options options = {.kind = "memfd", .state = "small", .bytes = UINT64_C(64) << 20};
	struct holder holder = {.map = MEMSTATE_MAP_INIT, .argv = argv};
	int r;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	/* One command a read: what exec() would throw away with the buffer must still be in the
	 * pipe. */
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	r = read_options(argc, argv, &options);
	if (r == 0)
		r = holder_new(&holder, &options);
	if (r == 0)
		serve(&holder);
	else
		printf("failed %s\n", strerror(-r));
	holder_done(&holder);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
