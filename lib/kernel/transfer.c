/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bits.h"

/* Eight of a megabyte keep a disk busy; more did not copy faster (bench realign). */
enum { SLOTS = 8, SLOT_BYTES = 1 << 20, VAIN_MAX = 10000 };

/* One buffer, at work on a part of a range: what is left to be read into it or written from it. */
struct slot {
	char *buffer;
	uint64_t offset; /* within the range */
	unsigned int bytes, done;
	unsigned int vain; /* answers in a row that it is to be tried again */
	bool is_busy, is_writing;
};

struct transfer {
	struct io_uring ring;
	char *memory;
	struct slot slots[SLOTS];
	unsigned int n_busy;
	int error;  /* the first of this call */
	int broken; /* the ring itself failed: nothing more is asked of it */
};

struct range {
	int fd;
	uint64_t offset;
};

int transfer_open(struct transfer **ret)
{
	struct transfer *t = calloc(1, sizeof(*t));
	struct iovec buffers[SLOTS];
	int r;

	if (!t)
		return -ENOMEM;
	r = io_uring_queue_init(SLOTS, &t->ring, 0);
	if (r < 0) {
		free(t);
		return r;
	}
	t->memory = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->memory == MAP_FAILED)
		t->memory = NULL;
	for (size_t i = 0; i < SLOTS; i++) {
		t->slots[i].buffer = t->memory + i * SLOT_BYTES;
		buffers[i] = (struct iovec){t->slots[i].buffer, SLOT_BYTES};
	}
	r = t->memory ? io_uring_register_buffers(&t->ring, buffers, SLOTS) : -ENOMEM;
	if (r < 0)
		t = transfer_close(t);
	*ret = t;
	return r;
}

struct transfer *transfer_close(struct transfer *t)
{
	if (t) {
		io_uring_queue_exit(&t->ring);
		if (t->memory)
			(void)munmap(t->memory, (size_t)SLOTS * SLOT_BYTES);
		free(t);
	}
	return NULL;
}

void transfer_use_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_DIRECT);
}

static void retire(struct transfer *t, struct slot *s)
{
	s->is_busy = false;
	t->n_busy--;
}

/* Asks for what is left of the slot. */
static void submit(struct transfer *t, struct slot *s, const struct range *range)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
	unsigned int left = s->bytes - s->done;
	uint64_t offset = range->offset + s->offset + s->done;
	int index = (int)(s - t->slots), r;

	/* There are as many entries as slots. */
	if (s->is_writing)
		io_uring_prep_write_fixed(sqe, range->fd, s->buffer + s->done, left, offset, index);
	else
		io_uring_prep_read_fixed(sqe, range->fd, s->buffer + s->done, left, offset, index);
	io_uring_sqe_set_data(sqe, s);
	r = io_uring_submit(&t->ring);
	if (r != 1) {
		/* What was not taken now must not be taken later, with other data in the buffer. */
		t->broken = r < 0 ? r : -EIO;
		t->error = t->error ? t->error : t->broken;
		if (s->is_busy)
			retire(t, s);
		return;
	}
	if (!s->is_busy) {
		s->is_busy = true;
		t->n_busy++;
	}
}

static void begin(struct transfer *t, struct slot *s, const struct range *range, uint64_t offset,
		  uint64_t bytes)
{
	s->offset = offset;
	s->bytes = (unsigned int)min_u64(bytes, SLOT_BYTES);
	s->done = 0;
	s->is_writing = false;
	submit(t, s, range);
}

/* The slot whose turn is over, its count moved on; NULL if the ring failed. */
static struct slot *wait_for_one(struct transfer *t)
{
	struct io_uring_cqe *cqe;
	struct slot *s;
	int r;

	do
		r = io_uring_wait_cqe(&t->ring, &cqe);
	while (r == -EINTR);
	if (r < 0) {
		t->broken = r;
		t->error = t->error ? t->error : r;
		return NULL;
	}
	s = io_uring_cqe_get_data(cqe);
	r = cqe->res;
	io_uring_cqe_seen(&t->ring, cqe);
	if (r == 0)
		r = -ENODATA;
	s->vain = r == -EINTR || r == -EAGAIN ? s->vain + 1 : 0;
	if (r < 0 && (s->vain == 0 || s->vain > VAIN_MAX) && t->error == 0)
		t->error = r;
	if (r > 0)
		s->done += (unsigned int)r;
	return s;
}

/* What a slot does next after a turn: the rest, its write, or nothing more. */
static void go_on(struct transfer *t, struct slot *s, const struct range *from,
		  const struct range *to)
{
	if (t->error) {
		retire(t, s);
		return;
	}
	if (s->done < s->bytes) {
		submit(t, s, s->is_writing ? to : from);
		return;
	}
	if (!s->is_writing) {
		s->is_writing = true;
		s->done = 0;
		submit(t, s, to);
		return;
	}
	retire(t, s);
}

int transfer_copy(struct transfer *t, int from_fd, uint64_t from_offset, int to_fd,
		  uint64_t to_offset, uint64_t bytes)
{
	const struct range from = {from_fd, from_offset}, to = {to_fd, to_offset};
	uint64_t next = 0;

	t->error = t->broken;
	while (t->n_busy > 0 || (next < bytes && t->error == 0)) {
		struct slot *s;

		for (size_t i = 0; i < SLOTS && next < bytes && t->error == 0; i++) {
			if (t->slots[i].is_busy)
				continue;
			begin(t, &t->slots[i], &from, next, bytes - next);
			next += t->slots[i].bytes;
		}
		s = t->n_busy > 0 ? wait_for_one(t) : NULL;
		if (!s)
			return t->error;
		go_on(t, s, &from, &to);
	}
	return t->error;
}

/* Reads n_ranges ranges (1 or 2) of `bytes` each into as many equal parts of the buffers. */
static int read_window(struct transfer *t, const struct range *ranges, size_t n_ranges,
		       uint64_t offset, uint64_t bytes)
{
	size_t part = SLOTS / n_ranges;

	for (size_t i = 0; i < n_ranges; i++)
		for (uint64_t at = 0; at < bytes && t->error == 0; at += SLOT_BYTES)
			begin(t, &t->slots[i * part + at / SLOT_BYTES], &ranges[i], offset + at,
			      bytes - at);
	while (t->n_busy > 0) {
		struct slot *s = wait_for_one(t);

		if (!s)
			return t->error;
		if (t->error == 0 && s->done < s->bytes)
			submit(t, s, &ranges[(size_t)(s - t->slots) / part]);
		else
			retire(t, s);
	}
	return t->error;
}

int transfer_compare(struct transfer *t, int a_fd, uint64_t a_offset, int b_fd, uint64_t b_offset,
		     uint64_t bytes)
{
	const struct range ranges[2] = {{a_fd, a_offset}, {b_fd, b_offset}};
	const uint64_t window = (uint64_t)SLOTS / 2 * SLOT_BYTES;

	t->error = t->broken;
	for (uint64_t at = 0; at < bytes; at += window) {
		uint64_t n = min_u64(bytes - at, window);
		int r = read_window(t, ranges, 2, at, n);

		if (r < 0)
			return r;
		if (memcmp(t->slots[0].buffer, t->slots[SLOTS / 2].buffer, n) != 0)
			return 1;
	}
	return 0;
}

/* Every step is one to one in what it mixes in, so that a single changed word cannot cancel out. */
static uint64_t digest_words(uint64_t digest, const char *data, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, data + i, sizeof(word));
		digest = (digest ^ word) * 0x9e3779b97f4a7c15;
		digest ^= digest >> 29;
	}
	return digest;
}

int transfer_digest(struct transfer *t, int fd, uint64_t offset, uint64_t bytes, uint64_t *ret)
{
	const struct range range = {fd, offset};
	const uint64_t window = (uint64_t)SLOTS * SLOT_BYTES;
	uint64_t digest = bytes;

	t->error = t->broken;
	for (uint64_t at = 0; at < bytes; at += window) {
		uint64_t n = min_u64(bytes - at, window);
		int r = read_window(t, &range, 1, at, n);

		if (r < 0)
			return r;
		digest = digest_words(digest, t->slots[0].buffer, n);
	}
	*ret = digest;
	return 0;
}

enum { REST_BYTES = 4096 };

/* So few bytes do not go past the page cache. Flags as they were, or a negative errno. */
static int use_cache(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0 ? -errno : flags;
}

static int read_rest(int fd, uint64_t offset, void *buffer, uint64_t bytes)
{
	int flags = use_cache(fd);
	ssize_t n;

	if (flags < 0)
		return flags;
	n = pread(fd, buffer, bytes, (off_t)offset);
	if (n >= 0 && (uint64_t)n != bytes)
		n = -ENODATA;
	else if (n < 0)
		n = -errno;
	(void)fcntl(fd, F_SETFL, flags);
	return n < 0 ? (int)n : 0;
}

static int write_rest(int fd, uint64_t offset, const void *buffer, uint64_t bytes)
{
	int flags = use_cache(fd);
	ssize_t n;

	if (flags < 0)
		return flags;
	n = pwrite(fd, buffer, bytes, (off_t)offset);
	if (n >= 0 && (uint64_t)n != bytes)
		n = -EIO;
	else if (n < 0 || fdatasync(fd) < 0)
		n = -errno;
	(void)fcntl(fd, F_SETFL, flags);
	return n < 0 ? (int)n : 0;
}

int transfer_copy_rest(int from_fd, int to_fd, uint64_t offset, uint64_t bytes)
{
	char buffer[REST_BYTES];
	int r;

	if (bytes > sizeof(buffer))
		return -EINVAL;
	r = read_rest(from_fd, offset, buffer, bytes);
	return r < 0 ? r : write_rest(to_fd, offset, buffer, bytes);
}

int transfer_compare_rest(int a_fd, int b_fd, uint64_t offset, uint64_t bytes)
{
	char a[REST_BYTES], b[REST_BYTES];
	int r;

	if (bytes > sizeof(a))
		return -EINVAL;
	r = read_rest(a_fd, offset, a, bytes);
	if (r == 0)
		r = read_rest(b_fd, offset, b, bytes);
	return r < 0 ? r : memcmp(a, b, bytes) != 0;
}
