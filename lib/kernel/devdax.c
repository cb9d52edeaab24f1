/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "devdax.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DIRECTORY_BYTES = 128 };

/* One of its attributes; 0 if it cannot be read. */
static uint64_t read_number(struct sys *sys, const char *directory, const char *name)
{
	char path[DIRECTORY_BYTES + 16];
	uint64_t value;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return sys_read_number_at(sys->rootfd, path, &value) == 0 ? value : 0;
}

static void directory_by_name(struct scanner name, char *ret, size_t size)
{
	(void)snprintf(ret, size, "sys/bus/dax/devices/%.*s",
		       (int)min_u64((uint64_t)(name.end - name.at), 64), name.at);
}

static uint64_t align_by_name(struct sys *sys, struct scanner name)
{
	char directory[DIRECTORY_BYTES];

	directory_by_name(name, directory, sizeof(directory));
	return read_number(sys, directory, "align");
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

static bool directory_by_device(const struct process *p, const struct maps_line *l, char *ret,
				size_t size)
{
	unsigned major, minor;

	if (!read_device(p, l, &major, &minor))
		return false;
	(void)snprintf(ret, size, "sys/dev/char/%u:%u", major, minor);
	return true;
}

/* 0 if it is no dax device, or not known. */
static uint64_t align_by_device(struct sys *sys, const struct process *p, const struct maps_line *l)
{
	char directory[DIRECTORY_BYTES];

	if (!directory_by_device(p, l, directory, sizeof(directory)))
		return 0;
	return read_number(sys, directory, "align");
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

static void read_directory(struct sys *sys, const char *directory, struct dax_device *ret)
{
	char path[DIRECTORY_BYTES + 16];
	uint64_t node;

	*ret = (struct dax_device)DAX_DEVICE_INIT;
	ret->align_bytes = read_number(sys, directory, "align");
	ret->bytes = read_number(sys, directory, "size");
	(void)snprintf(path, sizeof(path), "%s/resource", directory);
	(void)sys_read_number_at(sys->rootfd, path, &ret->address);
	(void)snprintf(path, sizeof(path), "%s/target_node", directory);
	if (sys_read_number_at(sys->rootfd, path, &node) == 0 && node <= INT16_MAX)
		ret->node = (int16_t)node;
}

void devdax_read(struct sys *sys, const struct process *p, const struct maps_line *l,
		 struct dax_device *ret)
{
	char directory[DIRECTORY_BYTES];
	struct scanner name;

	if (mapping_is_devdax(l, &name))
		directory_by_name(name, directory, sizeof(directory));
	else if (!directory_by_device(p, l, directory, sizeof(directory)))
		return;
	read_directory(sys, directory, ret);
}

int devdax_read_open(struct sys *sys, int fd, struct dax_device *ret)
{
	char directory[DIRECTORY_BYTES];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return -ENOTTY;
	(void)snprintf(directory, sizeof(directory), "sys/dev/char/%u:%u", major(st.st_rdev),
		       minor(st.st_rdev));
	read_directory(sys, directory, ret);
	return ret->align_bytes > 0 ? 0 : -ENOTTY;
}
