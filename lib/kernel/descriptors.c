/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "descriptors.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"

/* A process may hold a million; the fds that matter are opened early, so that they have low
 * numbers, and fds are listed by number. */
enum { DESCRIPTORS_MAX = 65536 };

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void judge_link(const char *target, struct descriptors *d)
{
	if (strcmp(target, "anon_inode:kvm-vm") == 0)
		d->has_kvm = true;
	else if (strcmp(target, "anon_inode:[userfaultfd]") == 0)
		d->has_uffd = true;
	else if (starts_with(target, "/dev/vfio/") || strcmp(target, "/dev/iommu") == 0 ||
		 starts_with(target, "anon_inode:[vfio") || starts_with(target, "anon_inode:vfio"))
		d->has_vfio = true;
}

/* False: none of the links will be readable. A process that is more privileged than thpd (ptrace
 * rules) is taken for no pager; what it could have been handed is a VMM's only fd, and the kernel
 * itself refuses what would hurt then (docs/ARCHITECTURE.md). */
static bool judge_descriptor(int dir, const char *name, struct descriptors *d)
{
	char target[64];
	ssize_t r = sys_readlink_at(dir, name, target, sizeof(target));

	if (r == -EACCES || r == -EPERM)
		return false;
	/* Closed meanwhile: not held any more. */
	if (r > 0)
		judge_link(target, d);
	return true;
}

/* getdents64() into a buffer of our own: readdir() would allocate, which a scout must not. */
static int judge_all(int dir, struct descriptors *d)
{
	_Alignas(struct dirent64) char buffer[8192];
	size_t n = 0;
	ssize_t size;

	while ((size = getdents64(dir, buffer, sizeof(buffer))) > 0) {
		const char *at = buffer, *end = buffer + size;

		while (at < end) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)at;

			at += entry->d_reclen;
			if (entry->d_name[0] == '.')
				continue;
			if (++n > DESCRIPTORS_MAX) {
				d->is_complete = false;
				return 0;
			}
			if (!judge_descriptor(dir, entry->d_name, d))
				return 0;
		}
	}
	return size < 0 ? -errno : 0;
}

int descriptors_read(int dir, struct descriptors *ret)
{
	_cleanup_close_ int fds = sys_open_directory_at(dir, "fd");
	struct descriptors d = {.is_complete = true};
	int r;

	if (fds == -EACCES || fds == -EPERM) {
		*ret = (struct descriptors){0};
		return 0;
	}
	if (fds < 0)
		return fds == -ENOENT ? -ESRCH : fds;
	r = judge_all(fds, &d);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	*ret = d;
	return 0;
}
