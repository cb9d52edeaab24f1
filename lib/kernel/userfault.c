/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>

#include "cleanup.h"
#include "descriptors.h"
#include "hostfacts.h"
#include "process.h"

/* A process that ended meanwhile holds nothing; where reading fails, nothing is ruled out. */
bool process_may_hold_userfaultfd(struct sys *sys, pid_t pid)
{
	_cleanup_close_ int dir = -EBADF;
	struct descriptors d;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "proc/%d", (int)pid);
	dir = sys_open_directory_at(sys->rootfd, path);
	r = dir < 0 ? dir : descriptors_read(dir, &d);
	if (r < 0)
		return r != -ENOENT && r != -ESRCH;
	return d.has_uffd || !d.is_complete;
}

bool host_rules_out_userfaultfd(struct sys *sys)
{
	char text[64];
	ssize_t n = sys_read_at(sys->rootfd, "sys/kernel/slab/userfaultfd_ctx_cache/total_objects",
				text, sizeof(text));

	/* "0", or "21 N0=21" on hosts with NUMA */
	return n > 1 && text[0] == '0' && (text[1] == '\n' || text[1] == ' ');
}

bool host_has_userfaultfd(struct sys *sys)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;

	if (host_rules_out_userfaultfd(sys))
		return false;
	if (process_list(sys, &pids, &n) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (process_may_hold_userfaultfd(sys, pids[i]))
			return true;
	return false;
}
