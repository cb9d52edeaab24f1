/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. The file describes itself: a header, descriptors with names, data (KERNEL.md
 * 5.2). It is opened for each question and closed at once, since an open one keeps the VM that the
 * VMM has closed (Linux 6.5), and that under the lock, so that no fork() hands it on. */

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kvm_stats.h"

enum { FILE_MAX = 16384 }; /* of a VM it is 2 to 4 KiB */

struct stats_file {
	const unsigned char *bytes;
	size_t n;
	struct kvm_stats_header header;
};

static bool file_copy(const struct stats_file *f, uint64_t offset, void *into, size_t n)
{
	if (offset > f->n || n > f->n - offset)
		return false;
	memcpy(into, f->bytes + offset, n);
	return true;
}

static uint64_t *counter_of(struct kvm_stats *s, const char *name, size_t bytes)
{
	const struct {
		const char *name;
		uint64_t *into;
	} counters[] = {
		{"pages_4k", &s->pages_4k},
		{"pages_2m", &s->pages_2m},
		{"pages_1g", &s->pages_1g},
		{"nx_lpage_splits", &s->nx_splits},
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		if (strlen(counters[i].name) < bytes &&
		    memcmp(counters[i].name, name, strlen(counters[i].name) + 1) == 0)
			return counters[i].into;
	return NULL;
}

/* 1: it is one that is looked for. */
static int read_descriptor(const struct stats_file *f, uint64_t at, struct kvm_stats *ret)
{
	struct kvm_stats_desc d;
	uint64_t *into;

	if (!file_copy(f, at, &d, sizeof(d)) || at + sizeof(d) > f->n ||
	    f->header.name_size > f->n - at - sizeof(d))
		return -EPROTO;
	into = counter_of(ret, (const char *)f->bytes + at + sizeof(d), f->header.name_size);
	if (!into)
		return 0;
	if (d.size != 1 ||
	    !file_copy(f, (uint64_t)f->header.data_offset + d.offset, into, sizeof(*into)))
		return -EPROTO;
	return 1;
}

int kvm_stats_parse(const void *bytes, size_t n, struct kvm_stats *ret)
{
	struct stats_file f = {.bytes = bytes, .n = n};
	struct kvm_stats found = {0};
	int n_found = 0;

	if (!file_copy(&f, 0, &f.header, sizeof(f.header)))
		return -EPROTO;
	for (uint32_t i = 0; i < f.header.num_desc; i++) {
		uint64_t each = sizeof(struct kvm_stats_desc) + (uint64_t)f.header.name_size;
		int e = read_descriptor(&f, f.header.desc_offset + i * each, &found);

		if (e < 0)
			return e;
		n_found += e;
	}
	if (n_found < 4)
		return -ENOENT;
	*ret = found;
	return 0;
}

static int read_file(int fd, struct kvm_stats *ret)
{
	unsigned char bytes[FILE_MAX];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	return n < 0 ? -errno : kvm_stats_parse(bytes, (size_t)n, ret);
}

static int read_vm(struct registry *r, int vm_fd, struct kvm_stats *ret)
{
	int fd = r->ask(vm_fd, KVM_GET_STATS_FD, NULL), e;

	if (fd < 0)
		return -errno;
	e = read_file(fd, ret);
	close(fd);
	return e;
}

int kvm_stats_read(struct registry *r, uint32_t vm, struct kvm_stats *ret)
{
	int saved = errno, e;
	const struct registry_vm *v = registry_hold(r, vm);

	if (!v)
		return -ENOENT;
	e = read_vm(r, v->fd, ret);
	registry_release(r);
	errno = saved;
	return e;
}
