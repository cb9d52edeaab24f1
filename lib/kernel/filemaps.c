/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "filemaps.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "array.h"
#include "cleanup.h"
#include "process.h"
#include "procfs.h"
#include "users.h"

enum { MAPS_BYTES_MAX = 64 << 20, REGIONS = 64 };

struct reading {
	struct sys *sys;
	struct statx file;
	struct mapping *items; /* owned */
	size_t n_items;
};

static uint64_t count_huge(struct sys *sys, const struct process *p, const struct maps_line *l)
{
	struct page_region regions[REGIONS];
	struct pm_scan_arg arg = {.size = sizeof(arg),
				  .start = l->start,
				  .end = l->end,
				  .vec = (uint64_t)(uintptr_t)regions,
				  .vec_len = REGIONS,
				  .category_mask = PAGE_HUGE,
				  .return_mask = PAGE_HUGE};
	uint64_t bytes = 0;

	while (arg.start < l->end) {
		int n = sys->ops->pagemap_scan(sys, p->pagemap_fd, p->pid, &arg);

		if (n < 0 || arg.walk_end <= arg.start)
			return MAPPING_HUGE_UNKNOWN;
		for (int i = 0; i < n; i++)
			bytes += regions[i].end - regions[i].start;
		arg.start = arg.walk_end;
	}
	return bytes;
}

static int add_line(struct reading *r, const struct process *p, const struct maps_line *l)
{
	struct mapping m = {.pid = p->pid,
			    .start = l->start,
			    .end = l->end,
			    .offset = l->offset,
			    .is_shared = l->is_shared};

	if (l->inode != r->file.stx_ino || l->dev_major != r->file.stx_dev_major ||
	    l->dev_minor != r->file.stx_dev_minor)
		return 0;
	/* A walk splits the large pages of a DAX device (KERNEL 7.2). */
	m.huge_bytes = S_ISREG(r->file.stx_mode) ? count_huge(r->sys, p, l) : MAPPING_HUGE_UNKNOWN;
	return ARRAY_APPEND(&r->items, &r->n_items, &m);
}

/* A process that ends meanwhile has no mappings. */
static int read_process(struct reading *r, pid_t pid)
{
	_cleanup_(process_close) struct process p = PROCESS_INIT;
	_cleanup_free_ char *text = NULL;
	struct scanner all, line;
	size_t size;
	int e;

	if (process_open(r->sys, pid, &p) < 0)
		return 0;
	e = sys_read_all_at(p.dirfd, "maps", MAPS_BYTES_MAX, &text, &size);
	if (e < 0)
		return e == -ENOMEM ? e : 0;
	all = (struct scanner){.at = text, .end = text + size};
	while (e == 0 && scan_line(&all, &line)) {
		struct maps_line l;

		if (maps_parse_line(line, &l))
			e = add_line(r, &p, &l);
	}
	return e;
}

int filemaps_read(struct sys *sys, int fd, struct mapping **ret, size_t *ret_n)
{
	_cleanup_free_ struct file_user *users = NULL;
	struct reading reading = {.sys = sys};
	size_t n_users;
	int r;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_TYPE, &reading.file) < 0)
		return -errno;
	r = users_find(sys, fd, &users, &n_users);
	for (size_t i = 0; r == 0 && i < n_users; i++)
		if (users[i].has_mapped)
			r = read_process(&reading, users[i].pid);
	if (r < 0) {
		free(reading.items);
		return r;
	}
	*ret = reading.items;
	*ret_n = reading.n_items;
	return 0;
}
