/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memnode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t memnode_of(pid_t pid, const void *addr)
{
	int status = MEMNODE_UNWRITTEN;

	if (syscall(SYS_move_pages, pid, 1UL, &addr, NULL, &status, 0) < 0)
		return -errno;
	return status;
}

int64_t memnode_move(pid_t pid, const void *addr, uint64_t n, uint64_t step, int node, int flags,
		     int *ret_status)
{
	const void **pages = calloc(n, sizeof(*pages));
	int *nodes = calloc(n, sizeof(*nodes));
	int64_t r = -ENOMEM;

	for (uint64_t i = 0; pages && nodes && i < n; i++) {
		pages[i] = (const uint8_t *)addr + i * step;
		nodes[i] = node;
		ret_status[i] = MEMNODE_UNWRITTEN;
	}
	if (pages && nodes) {
		r = syscall(SYS_move_pages, pid, n, pages, nodes, ret_status, flags);
		r = r < 0 ? -errno : r;
	}
	free(pages);
	free(nodes);
	return r;
}

int memnode_other_than(int node)
{
	/* "0-1,3" */
	FILE *file = fopen("/sys/devices/system/node/has_memory", "re");
	int first, last, found = -ENOENT;

	if (!file)
		return -ENOENT;
	while (found < 0 && fscanf(file, "%d", &first) == 1) {
		if (fscanf(file, "-%d", &last) != 1)
			last = first;
		if (first != node)
			found = first;
		else if (last > first)
			found = first + 1;
		if (fgetc(file) != ',')
			break;
	}
	(void)fclose(file);
	return found;
}
