/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "descriptors.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "entries.h"

/* A process may hold a million; the fds that matter are opened early, so that they have low
 * numbers, and fds are listed by number. */
enum { DESCRIPTORS_MAX = 65536 };

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* An anonymous inode up to 6.18, then a file of its own. */
static bool is_guest_memfd(const char *target)
{
	return starts_with(target, "anon_inode:[kvm-gmem]") || starts_with(target, "/[kvm-gmem]");
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
	else if (strcmp(target, "/dev/sev") == 0)
		d->has_sev = true;
	else if (is_guest_memfd(target))
		d->has_guest_memfd = true;
}

struct listing {
	struct descriptors descriptors;
	size_t n;
};

/* Ends the listing if none of the links will be readable. A process that is more privileged than
 * thpd (ptrace rules) is taken for no pager; what it could have been handed is a VMM's only fd, and
 * the kernel itself refuses what would hurt then (docs/ARCHITECTURE.md). */
static bool judge_descriptor(void *userdata, int dir, const char *name)
{
	struct listing *l = userdata;
	char target[64];
	ssize_t r;

	if (++l->n > DESCRIPTORS_MAX) {
		l->descriptors.is_complete = false;
		return false;
	}
	r = sys_readlink_at(dir, name, target, sizeof(target));
	if (r == -EACCES || r == -EPERM)
		return false;
	/* Closed meanwhile: not held any more. */
	if (r > 0)
		judge_link(target, &l->descriptors);
	return true;
}

int descriptors_read(int dir, struct descriptors *ret)
{
	_cleanup_close_ int fds = sys_open_directory_at(dir, "fd");
	struct listing l = {.descriptors = {.is_complete = true}};
	int r;

	if (fds == -EACCES || fds == -EPERM) {
		*ret = (struct descriptors){0};
		return 0;
	}
	if (fds < 0)
		return fds == -ENOENT ? -ESRCH : fds;
	r = entries_visit(fds, judge_descriptor, &l);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	*ret = l.descriptors;
	return 0;
}
