/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's binary statistics: the bytes of one that was made up, every cut of it, and the kernel's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fake_kvm.h"
#include "kvm_stats.h"
#include "registry.h"

enum { NAME = 48, DESCS = 6, FD = 100 };

/* struct kvm_stats_desc, and room for its name. */
struct description {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset, bucket_size;
	char name[NAME];
};

static_assert(sizeof(struct description) == sizeof(struct kvm_stats_desc) + NAME, "no gaps");

static struct file {
	struct kvm_stats_header header;
	char id[NAME];
	struct description descs[DESCS];
	uint64_t data[DESCS + 3];
} file;

static void describe(size_t i, const char *name, uint32_t offset, uint16_t size)
{
	file.descs[i].offset = offset;
	file.descs[i].size = size;
	strncpy(file.descs[i].name, name, NAME);
}

static int make_file(void **state)
{
	(void)state;
	memset(&file, 0, sizeof(file));
	file.header = (struct kvm_stats_header){
		.name_size = NAME,
		.num_desc = DESCS,
		.id_offset = offsetof(struct file, id),
		.desc_offset = offsetof(struct file, descs),
		.data_offset = offsetof(struct file, data),
	};
	describe(0, "remote_tlb_flush", 0, 1);
	describe(1, "pages_2m", 8, 1);
	describe(2, "a_histogram", 16, 3);
	describe(3, "nx_lpage_splits", 40, 1);
	describe(4, "pages_4k", 48, 1);
	describe(5, "pages_1g", 56, 1);
	for (size_t i = 0; i < sizeof(file.data) / sizeof(*file.data); i++)
		file.data[i] = 1000 + i;
	return 0;
}

static int parse(size_t n, struct kvm_stats *ret)
{
	void *copy = malloc(n ? n : 1); /* its end is where a sanitizer sees it */
	int e;

	memcpy(copy, &file, n);
	e = kvm_stats_parse(copy, n, ret);
	free(copy);
	return e;
}

static void counts_are_found_by_name(void **state)
{
	struct kvm_stats s;

	(void)state;
	assert_int_equal(parse(sizeof(file), &s), 0);
	assert_int_equal(s.pages_2m, 1001);
	assert_int_equal(s.nx_splits, 1005);
	assert_int_equal(s.pages_4k, 1006);
	assert_int_equal(s.pages_1g, 1007);
}

static void a_count_that_is_missing_is_not_zero(void **state)
{
	struct kvm_stats s;

	(void)state;
	strcpy(file.descs[5].name, "pages_1");
	assert_int_equal(parse(sizeof(file), &s), -ENOENT);
	strcpy(file.descs[5].name, "pages_1gx");
	assert_int_equal(parse(sizeof(file), &s), -ENOENT);
}

static void every_cut_is_refused(void **state)
{
	struct kvm_stats s;

	(void)state;
	for (size_t n = 0; n < offsetof(struct file, data) + 8 * 8; n++)
		assert_int_equal(parse(n, &s), -EPROTO);
	assert_int_equal(parse(offsetof(struct file, data) + 8 * 8, &s), 0);
}

static void offsets_beyond_the_file_are_refused(void **state)
{
	struct kvm_stats s;
	uint32_t *const fields[] = {
		&file.header.desc_offset, &file.header.data_offset, &file.header.name_size,
		&file.header.num_desc,	  &file.descs[4].offset,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		make_file(NULL);
		*fields[i] = UINT32_MAX - 7;
		assert_int_equal(parse(sizeof(file), &s), -EPROTO);
	}
	make_file(NULL);
	file.descs[4].size = 2;
	assert_int_equal(parse(sizeof(file), &s), -EPROTO);
}

/* Of a name that fills its field, nothing beyond is read. */
static void a_name_need_not_end(void **state)
{
	struct kvm_stats s;

	(void)state;
	memset(file.descs[0].name, 'p', NAME);
	assert_int_equal(parse(sizeof(file), &s), 0);
	file.header.name_size = 0;
	assert_int_equal(parse(sizeof(file), &s), -ENOENT);
}

/* The byte behind it is the next description's. */
static void a_name_that_fills_its_field_is_none_of_those(void **state)
{
	static const char *const names[] = {"nx_lpage_splits", "pages_4k", "pages_2m", "pages_1g"};
	enum { LENGTH = 15, EACH = sizeof(struct kvm_stats_desc) + LENGTH };
	struct kvm_stats_header header = {.name_size = LENGTH, .num_desc = 4};
	const struct kvm_stats_desc desc = {.size = 1};
	char bytes[sizeof(header) + sizeof(uint64_t) + 4 * EACH] = "", *at;
	struct kvm_stats s;

	(void)state;
	header.data_offset = sizeof(header);
	header.desc_offset = sizeof(header) + sizeof(uint64_t);
	memcpy(bytes, &header, sizeof(header));
	for (size_t i = 0; i < 4; i++) {
		at = bytes + header.desc_offset + i * EACH;
		memcpy(at, &desc, sizeof(desc));
		memcpy(at + sizeof(desc), names[i], strlen(names[i]));
	}
	assert_int_equal(kvm_stats_parse(bytes, sizeof(bytes), &s), -ENOENT);
}

static int n_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_vm_is_read_and_nothing_stays_open(void **state)
{
	struct kvm_stats s = {0};
	struct registry r;
	int before;

	(void)state;
	fake_kvm_reset();
	fake_kvm.stats_fd = memfd_create("stats", MFD_CLOEXEC);
	assert_int_equal(write(fake_kvm.stats_fd, &file, sizeof(file)), sizeof(file));
	registry_init(&r, fake_ioctl);
	assert_int_equal(kvm_stats_read(&r, 0, &s), -ENOENT);
	registry_add(&r, FD, 0);
	before = n_descriptors();
	errno = ENOTTY;
	assert_int_equal(kvm_stats_read(&r, 0, &s), 0);
	assert_int_equal(s.pages_4k, 1006);
	assert_int_equal(n_descriptors(), before);
	assert_int_equal(kvm_stats_read(&r, WIRE_VMS_MAX, &s), -ENOENT);
	close(fake_kvm.stats_fd);
	fake_kvm.stats_fd = -1;
	errno = EXDEV;
	assert_int_equal(kvm_stats_read(&r, 0, &s), -ENOTTY);
	assert_int_equal(errno, EXDEV);
	registry_done(&r);
}

static void the_kernels_own_are_understood(void **state)
{
	struct kvm_stats s = {.pages_4k = 1, .pages_2m = 1, .pages_1g = 1, .nx_splits = 1};
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm_fd;
	struct registry r;

	(void)state;
	if (kvm_fd < 0) {
		print_message("/dev/kvm cannot be opened\n");
		skip();
	}
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	assert_true(vm_fd >= 0);
	registry_init(&r, ioctl);
	assert_int_equal(registry_add(&r, vm_fd, 0), 0);
	assert_int_equal(kvm_stats_read(&r, 0, &s), 0);
	assert_int_equal(s.pages_4k | s.pages_2m | s.pages_1g | s.nx_splits, 0);
	registry_done(&r);
	close(vm_fd);
	close(kvm_fd);
}

#define TEST(name) cmocka_unit_test_setup(name, make_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_are_found_by_name),
		TEST(a_count_that_is_missing_is_not_zero),
		TEST(every_cut_is_refused),
		TEST(offsets_beyond_the_file_are_refused),
		TEST(a_name_need_not_end),
		TEST(a_name_that_fills_its_field_is_none_of_those),
		TEST(a_vm_is_read_and_nothing_stays_open),
		TEST(the_kernels_own_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
