/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of real files by io_uring, through the page cache and past it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease.h"
#include "transfer.h"

enum { PAGE = 4096, FILE_BYTES = 21 * 1024 * 1024 + 5 * PAGE };

struct fixture {
	struct transfer *transfer;
	char path[2][64];
	int a, b;
};

static int open_scratch(char *path)
{
	int fd;

	strcpy(path, "/tmp/thpd-transfer-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Without the right to io_uring there is nothing to be tested. */
static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int r = transfer_open(&f->transfer);

	*state = f;
	f->a = open_scratch(f->path[0]);
	f->b = open_scratch(f->path[1]);
	if (r == -EPERM || r == -ENOSYS)
		skip();
	assert_int_equal(r, 0);
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	transfer_close(f->transfer);
	(void)close(f->a);
	(void)close(f->b);
	(void)unlink(f->path[0]);
	(void)unlink(f->path[1]);
	free(f);
	return 0;
}

static void fill(int fd, uint32_t seed)
{
	char *data = malloc(FILE_BYTES);

	assert_non_null(data);
	for (size_t i = 0; i < FILE_BYTES; i += sizeof(seed)) {
		seed = seed * 1664525 + 1013904223;
		memcpy(data + i, &seed, sizeof(seed));
	}
	assert_int_equal(pwrite(fd, data, FILE_BYTES, 0), FILE_BYTES);
	free(data);
}

static void copy_and_compare(struct fixture *f, bool is_direct)
{
	uint64_t x, y;

	fill(f->a, 1);
	fill(f->b, 2);
	if (is_direct) {
		transfer_use_direct(f->a);
		transfer_use_direct(f->b);
	}
	assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 1);
	assert_int_equal(transfer_copy(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 0);
	assert_int_equal(transfer_digest(f->transfer, f->a, 0, FILE_BYTES, &x), 0);
	assert_int_equal(transfer_digest(f->transfer, f->b, 0, FILE_BYTES, &y), 0);
	assert_int_equal(x, y);
	/* To another place, and only that. */
	assert_int_equal(transfer_copy(f->transfer, f->a, 3 * PAGE, f->b, 9 * PAGE, 300 * PAGE), 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 3 * PAGE, f->b, 9 * PAGE, 300 * PAGE),
			 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, 9 * PAGE), 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 309 * PAGE, f->b, 309 * PAGE,
					  FILE_BYTES - 309 * PAGE),
			 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 1);
}

static void through_the_page_cache(void **state)
{
	copy_and_compare(*state, false);
}

static void past_the_page_cache(void **state)
{
	copy_and_compare(*state, true);
}

/* A single bit, wherever it is. */
static void one_bit_is_noticed(void **state)
{
	static const off_t places[] = {0, PAGE - 1, 4 << 20, (4 << 20) - 1, FILE_BYTES - 1};
	struct fixture *f = *state;
	uint64_t before, after;

	fill(f->a, 7);
	fill(f->b, 7);
	assert_int_equal(transfer_digest(f->transfer, f->b, 0, FILE_BYTES, &before), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char byte;

		assert_int_equal(pread(f->b, &byte, 1, places[i]), 1);
		byte ^= 1;
		assert_int_equal(pwrite(f->b, &byte, 1, places[i]), 1);
		assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 1);
		assert_int_equal(transfer_digest(f->transfer, f->b, 0, FILE_BYTES, &after), 0);
		assert_int_not_equal(before, after);
		byte ^= 1;
		assert_int_equal(pwrite(f->b, &byte, 1, places[i]), 1);
	}
}

static void file_that_ends_is_an_error(void **state)
{
	struct fixture *f = *state;

	fill(f->a, 3);
	assert_int_equal(transfer_copy(f->transfer, f->a, 0, f->b, 0, FILE_BYTES + 64 * PAGE),
			 -ENODATA);
	assert_int_equal(transfer_copy(f->transfer, -1, 0, f->b, 0, PAGE), -EBADF);
	/* It is as good as new afterwards. */
	assert_int_equal(transfer_copy(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 0);
	assert_int_equal(transfer_compare(f->transfer, f->a, 0, f->b, 0, FILE_BYTES), 0);
}

static void lease_knows_others(void **state)
{
	struct fixture *f = *state;
	int other = open(f->path[0], O_RDONLY | O_CLOEXEC);

	assert_int_equal(lease_take(f->a), -EAGAIN);
	(void)close(other);
	assert_int_equal(lease_take(f->a), 0);
	assert_true(lease_is_undisturbed(f->a));
	/* Does not wait, but it has come. */
	other = open(f->path[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	assert_int_equal(other, -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_false(lease_is_undisturbed(f->a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(through_the_page_cache, start, stop),
		cmocka_unit_test_setup_teardown(past_the_page_cache, start, stop),
		cmocka_unit_test_setup_teardown(one_bit_is_noticed, start, stop),
		cmocka_unit_test_setup_teardown(file_that_ends_is_an_error, start, stop),
		cmocka_unit_test_setup_teardown(lease_knows_others, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
