/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a file system begins, by a made-up /sys and /proc: no machine of the tests has such
 * devices. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mountinfo.h"
#include "storagefacts.h"
#include "tree.h"

enum { SECTOR = 512 };

struct tree {
	char path[TREE_PATH_MAX];
	struct sys sys;
	int fd; /* a file below it, whose device the tree describes */
	unsigned int major, minor;
};

static void put(struct tree *t, const char *name, const char *text)
{
	tree_put(t->sys.rootfd, name, text);
}

/* /sys/dev/block/MAJOR:MINOR */
static void put_device(struct tree *t, const char *directory)
{
	char path[64], target[128];

	(void)snprintf(path, sizeof(path), "sys/dev/block/%u:%u", t->major, t->minor);
	(void)snprintf(target, sizeof(target), "../../%s", directory);
	tree_put_link(t->sys.rootfd, path, target);
}

static void put_mount(struct tree *t, const char *type, const char *options)
{
	char line[256];

	(void)snprintf(
		line, sizeof(line),
		"21 1 0:19 / /proc rw - proc proc rw\n36 35 %u:%u / /mnt rw - %s /dev/x %s\n",
		t->major, t->minor, type, options);
	put(t, "proc/self/mountinfo", line);
}

static int start(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct stat st;

	t->sys = (struct sys)SYS_INIT;
	t->sys.rootfd = tree_open(t->path, "storage");
	put(t, "file", "");
	t->fd = openat(t->sys.rootfd, "file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(t->fd, &st), 0);
	t->major = major(st.st_dev);
	t->minor = minor(st.st_dev);
	*state = t;
	return 0;
}

static int stop(void **state)
{
	struct tree *t = *state;

	(void)close(t->fd);
	(void)close(t->sys.rootfd);
	tree_remove(t->path);
	free(t);
	return 0;
}

static void read_storage(struct tree *t, struct storage *ret)
{
	assert_int_equal(storage_read(&t->sys, t->fd, ret), 0);
}

static void partition_of_persistent_memory(void **state)
{
	struct tree *t = *state;
	struct storage s;

	put_mount(t, "xfs", "rw,attr2,dax=always,inode64,sunit=4096,swidth=4096,noquota");
	put_device(t, "devices/pfn0.1/block/pmem0/pmem0p1");
	put(t, "sys/devices/pfn0.1/block/pmem0/pmem0p1/start", "4096\n");
	put(t, "sys/devices/pfn0.1/block/pmem0/queue/dax", "1\n");
	put(t, "sys/devices/pfn0.1/block/pmem0/device/resource", "0x180200000\n");
	put(t, "sys/devices/pfn0.1/block/pmem0/device/align", "2097152\n");
	read_storage(t, &s);
	assert_int_equal(s.filesystem, FILESYSTEM_XFS);
	assert_string_equal(s.device, "pmem0p1");
	assert_int_equal(s.can_dax, ANSWER_YES);
	assert_true(s.is_base_known);
	assert_int_equal(s.base_bytes, 0x180200000 + 4096 * SECTOR);
	assert_int_equal(s.partition_start_bytes, 4096 * SECTOR);
	assert_int_equal(s.namespace_align_bytes, 2 << 20);
	assert_int_equal(s.stripe_bytes, 2 << 20);
}

/* The resource is root's to read. */
static void base_that_cannot_be_read_is_unknown(void **state)
{
	struct tree *t = *state;
	struct storage s;

	put_mount(t, "ext4", "rw,dax=always,stripe=512");
	put_device(t, "devices/pfn0.1/block/pmem0");
	put(t, "sys/devices/pfn0.1/block/pmem0/queue/dax", "1\n");
	read_storage(t, &s);
	assert_int_equal(s.filesystem, FILESYSTEM_EXT4);
	assert_false(s.is_base_known);
	assert_int_equal(s.namespace_align_bytes, 0);
	assert_int_equal(s.stripe_bytes, 512 * s.block_bytes);
}

static void plain_disk(void **state)
{
	struct tree *t = *state;
	struct storage s;

	put_mount(t, "ext4", "rw");
	put_device(t, "devices/virtual/block/sda");
	put(t, "sys/devices/virtual/block/sda/queue/dax", "0\n");
	read_storage(t, &s);
	assert_int_equal(s.can_dax, ANSWER_NO);
	assert_true(s.is_base_known);
	assert_int_equal(s.base_bytes, 0);
	assert_int_equal(s.stripe_bytes, 0);
}

static void nothing_known(void **state)
{
	struct tree *t = *state;
	struct storage s;

	read_storage(t, &s);
	assert_int_equal(s.filesystem, FILESYSTEM_OTHER);
	assert_string_equal(s.filesystem_name, "");
	assert_string_equal(s.device, "");
	assert_false(s.is_base_known);
	assert_int_equal(s.can_dax, ANSWER_UNKNOWN);
}

static void expect_option(const char *list, const char *name, bool is_there, uint64_t want)
{
	struct scanner s = {.at = list, .end = list + strlen(list)};
	uint64_t value = 77;

	assert_int_equal(mountinfo_option_u64(s, name, &value), is_there);
	assert_int_equal(value, is_there ? want : 77);
}

static void options_with_numbers(void **state)
{
	(void)state;
	expect_option("rw,sunit=16,swidth=32", "sunit", true, 16);
	expect_option("rw,sunit=16,swidth=32", "swidth", true, 32);
	expect_option("rw,sunit=16", "unit", false, 0);
	expect_option("sunit", "sunit", false, 0);
	expect_option("sunit=", "sunit", false, 0);
	expect_option("sunit=x,sunit=4", "sunit", true, 4);
	expect_option("sunit=4x", "sunit", false, 0);
	expect_option("", "sunit", false, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(partition_of_persistent_memory, start, stop),
		cmocka_unit_test_setup_teardown(base_that_cannot_be_read_is_unknown, start, stop),
		cmocka_unit_test_setup_teardown(plain_disk, start, stop),
		cmocka_unit_test_setup_teardown(nothing_known, start, stop),
		cmocka_unit_test(options_with_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
