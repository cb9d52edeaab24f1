/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "hole.h"

#define BLOCK ((size_t)2 << 20)
#define BYTES (4 * BLOCK)

/* A memfd of this process, mapped whole. */
struct bench {
	int dirfd, fd;
	char *memory;
	struct region region;
};

static int map(struct bench *b, int protection)
{
	struct stat st;

	b->memory = mmap(NULL, BYTES, protection, MAP_SHARED, b->fd, 0);
	if (b->memory == MAP_FAILED || fstat(b->fd, &st) < 0)
		return -1;
	b->region = (struct region){
		.start = (hva_t)(uintptr_t)b->memory,
		.end = (hva_t)(uintptr_t)b->memory + BYTES,
		.dev_major = major(st.st_dev),
		.dev_minor = minor(st.st_dev),
		.inode = st.st_ino,
	};
	return 0;
}

static int set_up(void **state)
{
	static struct bench b;

	b.dirfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b.fd = memfd_create("thpd-test-hole", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (b.dirfd < 0 || b.fd < 0 || ftruncate(b.fd, (off_t)BYTES) < 0)
		return -1;
	*state = &b;
	return map(&b, PROT_READ | PROT_WRITE);
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	(void)munmap(b->memory, BYTES);
	b->fd = close_fd(b->fd);
	b->dirfd = close_fd(b->dirfd);
	return 0;
}

static int seed_on(const struct bench *b, size_t block, int node)
{
	const struct hole hole = {&b->region, b->region.start + block * BLOCK, BLOCK, node};

	return hole_seed(b->dirfd, &hole);
}

static int seed(const struct bench *b, size_t block)
{
	return seed_on(b, block, -1);
}

/* Of pages, in blocks of 512 bytes. */
static void expect_allocated(const struct bench *b, unsigned pages)
{
	struct stat st;

	assert_int_equal(fstat(b->fd, &st), 0);
	assert_int_equal(st.st_size, BYTES);
	assert_int_equal(st.st_blocks * 512, pages * (unsigned long)sysconf(_SC_PAGESIZE));
}

/* Links of map_files are followed for CAP_SYS_ADMIN only. */
static bool may_open(const struct bench *b)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "map_files/%llx-%llx",
		       (unsigned long long)b->region.start, (unsigned long long)b->region.end);
	fd = openat(b->dirfd, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

static void a_hole_gets_one_page(void **state)
{
	struct bench *b = *state;

	if (!may_open(b))
		skip();
	assert_int_equal(seed(b, 1), 0);
	expect_allocated(b, 1);
	/* What was only allocated is still a hole: who failed may try again. */
	assert_int_equal(seed(b, 1), 0);
	expect_allocated(b, 1);
	assert_int_equal(seed(b, 3), 0);
	expect_allocated(b, 2);
	for (size_t i = 0; i < BYTES; i++)
		assert_int_equal(b->memory[i], 0);
}

/* On a host with one node all that can be seen is that the thread is left as it was. */
static void what_a_thread_prefers_is_its_own_again(void **state)
{
	struct bench *b = *state;
	unsigned long node_0 = 1, nodes[16] = {0};
	int mode = -1, seeded, nowhere;

	if (!may_open(b) || set_mempolicy(MPOL_INTERLEAVE, &node_0, 64) < 0)
		skip();
	seeded = seed_on(b, 0, 0);
	nowhere = seed_on(b, 1, 1023);
	assert_int_equal(get_mempolicy(&mode, nodes, 1024, NULL, 0), 0);
	assert_int_equal(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	assert_int_equal(mode, MPOL_INTERLEAVE);
	assert_int_equal(nodes[0], 1);
	assert_int_equal(seeded, 0);
	assert_int_equal(nowhere, -ENODEV);
	expect_allocated(b, 1);
	assert_int_equal(seed_on(b, 2, 0), 0);
	assert_int_equal(get_mempolicy(&mode, NULL, 0, NULL, 0), 0);
	assert_int_equal(mode, MPOL_DEFAULT);
}

static void a_block_with_data_is_left_alone(void **state)
{
	struct bench *b = *state;

	if (!may_open(b))
		skip();
	b->memory[2 * BLOCK - 1] = 'x';
	assert_int_equal(seed(b, 1), -EEXIST);
	expect_allocated(b, 1);
	assert_int_equal(seed(b, 0), 0);
	assert_int_equal(seed(b, 2), 0);
	assert_int_equal(b->memory[2 * BLOCK - 1], 'x');
}

static void nothing_beyond_the_end(void **state)
{
	struct bench *b = *state;

	if (!may_open(b))
		skip();
	assert_int_equal(ftruncate(b->fd, (off_t)(BYTES - 4096)), 0);
	assert_int_equal(seed(b, 3), -EINVAL);
	assert_int_equal(seed(b, 2), 0);
}

static void another_file_is_not_touched(void **state)
{
	struct bench *b = *state;

	if (!may_open(b))
		skip();
	b->region.inode++;
	assert_int_equal(seed(b, 0), -ESRCH);
	b->region.inode--;
	b->region.end -= BLOCK;
	assert_int_equal(seed(b, 0), -ESRCH);
	expect_allocated(b, 0);
}

/* The kernel itself would add the page. */
static void a_sealed_file_is_not_touched(void **state)
{
	struct bench *b = *state;

	if (!may_open(b))
		skip();
	assert_int_equal(munmap(b->memory, BYTES), 0);
	assert_int_equal(fcntl(b->fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	if (map(b, PROT_READ) < 0)
		skip(); /* before Linux 6.7 */
	assert_int_equal(seed(b, 0), -EPERM);
	expect_allocated(b, 0);
}

#define RIGHT(number) (UINT64_C(1) << (number))

/* Takes rights out of the effective ones; before: what there was. */
static void give_up(uint64_t rights, struct __user_cap_data_struct before[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct less[2];

	assert_int_equal(syscall(SYS_capget, &header, before), 0);
	memcpy(less, before, sizeof(less));
	less[0].effective &= ~(uint32_t)rights;
	less[1].effective &= ~(uint32_t)(rights >> 32);
	assert_int_equal(syscall(SYS_capset, &header, less), 0);
}

static void take_back(const struct __user_cap_data_struct before[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	assert_int_equal(syscall(SYS_capset, &header, before), 0);
}

static void who_may_not_open_it_is_told(void **state)
{
	struct __user_cap_data_struct before[2];
	struct bench *b = *state;
	int without_admin, without_override;

	if (!may_open(b))
		skip();
	give_up(RIGHT(CAP_SYS_ADMIN) | RIGHT(CAP_CHECKPOINT_RESTORE), before);
	without_admin = seed(b, 0);
	take_back(before);
	assert_int_equal(fchmod(b->fd, 0400), 0);
	give_up(RIGHT(CAP_DAC_OVERRIDE), before);
	without_override = seed(b, 0);
	take_back(before);
	assert_int_equal(without_admin, -EACCES);
	assert_int_equal(without_override, -EACCES);
	expect_allocated(b, 0);
	assert_int_equal(seed(b, 0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hole_gets_one_page),
		TEST(a_block_with_data_is_left_alone),
		TEST(nothing_beyond_the_end),
		TEST(another_file_is_not_touched),
		TEST(a_sealed_file_is_not_touched),
		TEST(who_may_not_open_it_is_told),
		TEST(what_a_thread_prefers_is_its_own_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
