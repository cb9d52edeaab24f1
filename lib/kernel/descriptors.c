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

int descriptors_read(int dir, struct descriptors *ret)
{
	_cleanup_closedir_ DIR *fds = NULL;
	struct descriptors d = {.is_complete = true};
	struct dirent *entry;
	size_t n = 0;
	int r = sys_opendir_at(dir, "fd", &fds);

	if (r == -EACCES || r == -EPERM) {
		*ret = (struct descriptors){0};
		return 0;
	}
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	while ((entry = readdir(fds))) {
		char target[64];

		if (entry->d_name[0] == '.')
			continue;
		if (++n > DESCRIPTORS_MAX) {
			d.is_complete = false;
			break;
		}
		r = (int)sys_readlink_at(dirfd(fds), entry->d_name, target, sizeof(target));
		/* More privileged than thpd (ptrace rules): none of its links will be readable. It
		 * is taken for no pager; what it could have been handed is a VMM's only fd, and the
		 * kernel itself refuses what would hurt then (docs/ARCHITECTURE.md). */
		if (r == -EACCES || r == -EPERM)
			break;
		/* Closed meanwhile: not held any more. */
		if (r > 0)
			judge_link(target, &d);
	}
	*ret = d;
	return 0;
}
