/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "devdax.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The `align` of a device; 0 if it cannot be read. */
static uint64_t read_align(struct sys *sys, const char *path)
{
	char text[32];
	uint64_t align;
	ssize_t n = sys_read_at(sys->rootfd, path, text, sizeof(text));

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return n > 0 && parse_u64(text, &align) == 0 ? align : 0;
}

static uint64_t align_by_name(struct sys *sys, struct scanner name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "sys/bus/dax/devices/%.*s/align",
		       (int)min_u64((uint64_t)(name.end - name.at), 64), name.at);
	return read_align(sys, path);
}

/* The device behind a mapping. maps tells the file system that the node lies on, not the device;
 * the link in map_files leads to the node, wherever it lies and whatever it is called. Without
 * sync: a file system of the VMM's own must not be asked. */
static bool read_device(const struct process *p, const struct maps_line *l, unsigned *major,
			unsigned *minor)
{
	struct statx st;
	char path[64];

	(void)snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)l->start,
		       (unsigned long long)l->end);
	if (statx(p->dirfd, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0 ||
	    !S_ISCHR(st.stx_mode))
		return false;
	*major = st.stx_rdev_major;
	*minor = st.stx_rdev_minor;
	return true;
}

/* 0 if it is no dax device, or not known. */
static uint64_t align_by_device(struct sys *sys, const struct process *p, const struct maps_line *l)
{
	unsigned major, minor;
	char path[64];

	if (!read_device(p, l, &major, &minor))
		return 0;
	(void)snprintf(path, sizeof(path), "sys/dev/char/%u:%u/align", major, minor);
	return read_align(sys, path);
}

static bool is_memory_file(enum mount_kind kind, const struct maps_line *l)
{
	/* Nodes can be made on a tmpfs, too, so only the kernel's own files are surely none. */
	return kind == MOUNT_HUGETLBFS || kind == MOUNT_DAX ||
	       (l->path_size >= 7 && __builtin_memcmp(l->path, "/memfd:", 7) == 0);
}

bool mapping_is_devdax_1g(struct sys *sys, const struct process *p, const struct maps_line *l,
			  const struct mounts *m, const struct mmu_geometry *g)
{
	struct scanner name;
	uint64_t align;

	/* The kernel maps no smaller or unaligned piece of such a device, and no private one. */
	if (!l->is_shared || !is_aligned(l->start | l->end, pud_bytes(g)))
		return false;
	if (mapping_is_devdax(l, &name)) {
		align = align_by_name(sys, name);
		if (align == 0)
			align = align_by_device(sys, p, l);
		return align == 0 || align >= pud_bytes(g);
	}
	if (l->path_size == 0 || l->path[0] != '/' ||
	    is_memory_file(mounts_find(m, l->dev_major, l->dev_minor), l))
		return false;
	return align_by_device(sys, p, l) >= pud_bytes(g);
}
