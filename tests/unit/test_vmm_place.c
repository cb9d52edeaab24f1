/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which mappings are aligned, to what, and that of all others nothing changes; on the real kernel.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/vmm/preload/place.h" /* lib/kernel has one as well */
#include "congruent.h"

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

static int memory_file(unsigned int flags)
{
	int fd = memfd_create("thpd-test", MFD_CLOEXEC | flags);

	if (fd >= 0)
		assert_int_equal(ftruncate(fd, (off_t)(8 * GIB)), 0);
	return fd;
}

static struct place_request of_file(int fd, uint64_t bytes, uint64_t offset)
{
	return (struct place_request){NULL, bytes, RW, MAP_SHARED, fd, (off_t)offset};
}

static struct place_request reservation(uint64_t bytes)
{
	return (struct place_request){NULL, bytes, PROT_NONE, PRIVATE, -1, 0};
}

static void *plain(const struct place_request *q)
{
	return mmap(q->addr, q->bytes, q->prot, q->flags, q->fd, q->offset);
}

static bool is_congruent(const void *got, const struct place_request *q, uint64_t alignment)
{
	return got && ((uintptr_t)got - (uintptr_t)q->offset) % alignment == 0;
}

/* Of this process, without the heap's help: it may be short of room. */
static uint64_t address_space_bytes(void)
{
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[128] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		_exit(125);
	close(fd);
	return strtoull(text, NULL, 10) * PAGE;
}

/* --- what is aligned ------------------------------------------------------------------------- */

static void *aligned(const struct place_request *q, uint64_t alignment)
{
	void *got;

	errno = ENOTTY;
	got = place_aligned(q);
	assert_int_equal(errno, ENOTTY);
	if (!is_congruent(got, q, alignment))
		fail_msg("%zu bytes at offset %jd: %p", q->bytes, (intmax_t)q->offset, got);
	return got;
}

/* What is written through the mapping is in the file where it was asked for, to the last page. */
static void assert_shows(const struct place_request *q, uint8_t *got)
{
	const uint64_t last = q->bytes - 1;
	uint8_t byte = 0;

	got[0] = 17;
	got[last] = 71;
	assert_int_equal(pread(q->fd, &byte, 1, q->offset), 1);
	assert_int_equal(byte, 17);
	assert_int_equal(pread(q->fd, &byte, 1, q->offset + (off_t)last), 1);
	assert_int_equal(byte, 71);
}

static void whole_gigabytes_of_a_file_agree_modulo_one(void **state)
{
	const uint64_t sizes[] = {GIB, 3 * GIB}, offsets[] = {0, MIB, GIB};
	int fd = memory_file(0);

	(void)state;
	for (int i = 0; i < 6; i++) { /* all at once: one may be where it should be by chance */
		struct place_request q = of_file(fd, sizes[i / 3], offsets[i % 3]);

		assert_shows(&q, aligned(&q, GIB));
	}
	close(fd);
}

static void other_sizes_of_a_file_agree_modulo_a_huge_page(void **state)
{
	const uint64_t sizes[] = {2 * MIB, 6 * MIB + PAGE, GIB + 2 * MIB};
	const uint64_t offsets[] = {0, PAGE, MIB, 3 * MIB};
	int fd = memory_file(0);

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct place_request q = of_file(fd, sizes[i / 4], offsets[i % 4]);

		assert_shows(&q, aligned(&q, 2 * MIB));
	}
	close(fd);
}

/* The kernel looks at neither descriptor nor offset; the memory begins where the mapping does. */
static void shared_memory_without_a_file_has_no_offset(void **state)
{
	const uint64_t sizes[] = {GIB, 3 * GIB, 6 * MIB};
	int fd = memory_file(0);
	uint8_t byte = 1;

	(void)state;
	for (int i = 0; i < 6; i++) {
		const struct place_request q = {NULL,
						sizes[i / 2],
						RW,
						MAP_SHARED | MAP_ANONYMOUS,
						i % 2 ? fd : -1,
						i % 2 ? (off_t)MIB : 0};
		uint8_t *got = place_aligned(&q);

		assert_non_null(got);
		assert_int_equal((uintptr_t)got % (q.bytes % GIB ? 2 * MIB : GIB), 0);
		got[0] = 17;
		got[q.bytes - 1] = 71;
	}
	assert_int_equal(pread(fd, &byte, 1, (off_t)MIB), 1);
	assert_int_equal(byte, 0);
	close(fd);
}

static void flags_that_choose_no_address_are_no_obstacle(void **state)
{
	const int flags[] = {MAP_SHARED | MAP_NORESERVE, MAP_SHARED | MAP_POPULATE | MAP_NONBLOCK,
			     MAP_SHARED_VALIDATE};
	int fd = memory_file(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct place_request q = of_file(fd, 4 * MIB, MIB);

		q.flags = flags[i];
		assert_shows(&q, aligned(&q, 2 * MIB));
	}
	close(fd);
}

static void a_reservation_with_a_guard_page_is_aligned(void **state)
{
	const struct place_request gigabyte = reservation(GIB + PAGE);
	struct place_request odd = reservation(256 * MIB + PAGE);

	(void)state;
	for (int i = 0; i < 3; i++)
		aligned(&gigabyte, GIB);
	aligned(&odd, 2 * MIB);
	odd.flags |= MAP_NORESERVE;
	aligned(&odd, 2 * MIB);
}

/* --- where there is no room for it ----------------------------------------------------------- */

/* In a child that can map no more than so many bytes. 0: it got what it should. */
static int short_of_room(uint64_t spare_bytes, int (*look)(const struct place_request *))
{
	struct place_request q = of_file(memory_file(0), GIB, MIB);
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const uint64_t most = address_space_bytes() + spare_bytes;

		if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) < 0)
			_exit(126);
		_exit(look(&q));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(q.fd);
	return status;
}

static int is_at_a_huge_page(const struct place_request *q)
{
	errno = ENOTTY;
	return is_congruent(place_aligned(q), q, 2 * MIB) && errno == ENOTTY ? 0 : 1;
}

static int is_plain(const struct place_request *q)
{
	const uint64_t before = address_space_bytes();

	errno = ENOTTY;
	if (place_aligned(q) || errno != ENOTTY || address_space_bytes() != before)
		return 1;
	return plain(q) != MAP_FAILED ? 0 : 2;
}

static void short_of_a_gigabyte_of_room_it_is_a_huge_page(void **state)
{
	(void)state;
	assert_int_equal(short_of_room(GIB + 16 * MIB, is_at_a_huge_page), 0);
}

static void short_of_any_room_the_plain_call_is_left(void **state)
{
	(void)state;
	assert_int_equal(short_of_room(GIB + MIB, is_plain), 0);
}

/* --- what is not aligned --------------------------------------------------------------------- */

static void assert_not_placed(const struct place_request *q)
{
	const uint64_t before = address_space_bytes();

	errno = ENOTTY;
	assert_null(place_aligned(q));
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(address_space_bytes(), before);
}

/* Though the kernel would take it. */
static void assert_left_alone(const struct place_request *q)
{
	void *got;

	assert_not_placed(q);
	got = plain(q);
	assert_ptr_not_equal(got, MAP_FAILED);
	assert_true(!q->addr || got == q->addr);
	munmap(got, q->bytes);
}

/* An address at which nothing is mapped. */
static void *free_address(uint64_t bytes)
{
	const struct place_request q = reservation(bytes);
	void *got = plain(&q);

	assert_ptr_not_equal(got, MAP_FAILED);
	munmap(got, bytes);
	return got;
}

static void private_memory_is_left_alone(void **state)
{
	struct place_request q = {NULL, GIB, RW, PRIVATE, -1, 0};
	int fd = memory_file(0);

	(void)state;
	assert_left_alone(&q);
	q.flags |= MAP_NORESERVE;
	assert_left_alone(&q);
	q.bytes += PAGE;
	assert_left_alone(&q); /* as long as a reservation, but it can be read */
	q = of_file(fd, GIB, 0);
	q.flags = MAP_PRIVATE;
	assert_left_alone(&q);
	q = reservation(GIB);
	assert_left_alone(&q);
	q = reservation(GIB + PAGE);
	q.flags |= MAP_STACK;
	assert_left_alone(&q);
	close(fd);
}

static void an_address_is_the_callers(void **state)
{
	const int flags[] = {0, MAP_FIXED, MAP_FIXED_NOREPLACE};
	int fd = memory_file(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct place_request q = of_file(fd, 4 * MIB, 0);

		q.flags |= flags[i];
		q.addr = (uint8_t *)free_address(8 * MIB) + PAGE;
		assert_left_alone(&q);
		q.addr = NULL;
		if (flags[i])
			assert_not_placed(&q);
		q.flags |= MAP_ANONYMOUS;
		if (flags[i])
			assert_not_placed(&q);
	}
	close(fd);
}

static void the_low_addresses_are_left_alone(void **state)
{
#ifdef MAP_32BIT
	struct place_request q = of_file(memory_file(0), 4 * MIB, 0);

	(void)state;
	q.flags |= MAP_32BIT;
	assert_left_alone(&q);
	close(q.fd);
#else
	(void)state;
	skip();
#endif
}

static void what_is_small_is_left_alone(void **state)
{
	struct place_request q = of_file(memory_file(0), 2 * MIB - PAGE, 0);

	(void)state;
	assert_left_alone(&q);
	q.bytes = PAGE;
	assert_left_alone(&q);
	q.flags |= MAP_ANONYMOUS;
	assert_left_alone(&q);
	close(q.fd);
}

/* Its pages need not be there: they are not reserved. */
static void hugetlb_is_left_alone(void **state)
{
	struct place_request q = {.bytes = GIB, .prot = RW, .fd = -1};
	int fd = memory_file(MFD_HUGETLB);

	(void)state;
	if (fd < 0) {
		print_message("this kernel has no hugetlb\n");
		skip();
	}
	q.flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB;
	assert_left_alone(&q);
	q.flags = MAP_SHARED | MAP_NORESERVE;
	q.fd = fd;
	assert_left_alone(&q);
	close(fd);
}

static int file_on_a_disk(void)
{
	const char *directories[] = {".", "/var/tmp", "/tmp"};

	for (int i = 0; i < 3; i++) {
		int fd = open(directories[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static void a_file_on_a_disk_is_left_alone(void **state)
{
	struct place_request q = of_file(file_on_a_disk(), GIB, 0);

	(void)state;
	if (q.fd < 0) {
		print_message("no directory at hand that is not a tmpfs\n");
		skip();
	}
	assert_left_alone(&q);
	q.offset = (off_t)MIB;
	assert_left_alone(&q);
	close(q.fd);
}

static void what_fails_fails_as_without(void **state)
{
	int fd = memory_file(0), readable, closed = dup(fd);
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(readable >= 0);
	close(closed);

	const struct {
		struct place_request q;
		int error;
	} failing[] = {
		{{NULL, GIB, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0}, EINVAL},
		{{NULL, GIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 17}, EINVAL},
		{of_file(closed, GIB, 0), EBADF},
		{of_file(-1, GIB, 0), EBADF},
		{of_file(readable, GIB, 0), EACCES},
		{of_file(fd, GIB, 17), EINVAL},
		{of_file(fd, SIZE_MAX - PAGE + 1, 0), ENOMEM},
		{of_file(fd, UINT64_C(1) << 62, 0), ENOMEM},
		{of_file(fd, 4 * MIB, (uint64_t)INT64_MIN), EOVERFLOW},
	};

	for (size_t i = 0; i < sizeof(failing) / sizeof(*failing); i++) {
		assert_not_placed(&failing[i].q);
		assert_ptr_equal(plain(&failing[i].q), MAP_FAILED);
		assert_int_equal(errno, failing[i].error);
	}
	close(readable);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_gigabytes_of_a_file_agree_modulo_one),
		cmocka_unit_test(other_sizes_of_a_file_agree_modulo_a_huge_page),
		cmocka_unit_test(shared_memory_without_a_file_has_no_offset),
		cmocka_unit_test(flags_that_choose_no_address_are_no_obstacle),
		cmocka_unit_test(a_reservation_with_a_guard_page_is_aligned),
		cmocka_unit_test(short_of_a_gigabyte_of_room_it_is_a_huge_page),
		cmocka_unit_test(short_of_any_room_the_plain_call_is_left),
		cmocka_unit_test(private_memory_is_left_alone),
		cmocka_unit_test(an_address_is_the_callers),
		cmocka_unit_test(the_low_addresses_are_left_alone),
		cmocka_unit_test(what_is_small_is_left_alone),
		cmocka_unit_test(hugetlb_is_left_alone),
		cmocka_unit_test(a_file_on_a_disk_is_left_alone),
		cmocka_unit_test(what_fails_fails_as_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
