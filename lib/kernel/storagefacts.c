/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storagefacts.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "bits.h"
#include "cleanup.h"
#include "mountinfo.h"

enum { MOUNTINFO_BYTES_MAX = 8 << 20, SECTOR_BYTES = 512, PATH_BYTES = 192 };

static void note_mount(const struct mountinfo_line *l, struct storage *s)
{
	size_t n = min_u64((uint64_t)(l->type.end - l->type.at), sizeof(s->filesystem_name) - 1);
	uint64_t stripe;

	memcpy(s->filesystem_name, l->type.at, n);
	s->filesystem_name[n] = '\0';
	if (strcmp(s->filesystem_name, "xfs") == 0)
		s->filesystem = FILESYSTEM_XFS;
	else if (mountinfo_word_is(l->type, "ext4") || mountinfo_word_is(l->type, "ext2"))
		s->filesystem = FILESYSTEM_EXT4;
	/* XFS counts sectors, ext4 its blocks. */
	if (s->filesystem == FILESYSTEM_XFS &&
	    mountinfo_option_u64(l->super_options, "sunit", &stripe))
		s->stripe_bytes = stripe * SECTOR_BYTES;
	else if (s->filesystem == FILESYSTEM_EXT4 &&
		 mountinfo_option_u64(l->super_options, "stripe", &stripe))
		s->stripe_bytes = stripe * s->block_bytes;
}

static void read_mount(struct sys *sys, const struct statx *st, struct storage *s)
{
	_cleanup_free_ char *text = NULL;
	struct scanner all, line;
	size_t size;

	if (sys_read_all_at(sys->rootfd, "proc/self/mountinfo", MOUNTINFO_BYTES_MAX, &text, &size) <
	    0)
		return;
	all = (struct scanner){.at = text, .end = text + size};
	while (scan_line(&all, &line)) {
		struct mountinfo_line l;

		if (mountinfo_parse_line(line, &l) && l.major == st->stx_dev_major &&
		    l.minor == st->stx_dev_minor) {
			note_mount(&l, s);
			return;
		}
	}
}

static bool read_number(struct sys *sys, const char *directory, const char *name, uint64_t *ret)
{
	char path[PATH_BYTES + 16];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return sys_read_number_at(sys->rootfd, path, ret) == 0;
}

static void read_device_name(struct sys *sys, const char *directory, struct storage *s)
{
	char target[256];
	const char *slash;

	if (sys_readlink_at(sys->rootfd, directory, target, sizeof(target)) < 0)
		return;
	slash = strrchr(target, '/');
	(void)snprintf(s->device, sizeof(s->device), "%.63s", slash ? slash + 1 : target);
}

/* Persistent memory: `resource` of the namespace is where its data begins, behind its own notes
 * (drivers/nvdimm/pfn_devs.c, resource_show). */
static void read_namespace(struct sys *sys, const char *disk, struct storage *s)
{
	char directory[PATH_BYTES];
	uint64_t resource;

	(void)snprintf(directory, sizeof(directory), "%s/device", disk);
	(void)read_number(sys, directory, "align", &s->namespace_align_bytes);
	s->is_base_known = read_number(sys, directory, "resource", &resource);
	s->base_bytes = s->is_base_known ? resource : 0;
}

struct device_place {
	char directory[64], disk[80]; /* below rootfd; the disk of a partition is another one */
	uint64_t start_sectors;
};

static struct device_place find_device(struct sys *sys, uint32_t major, uint32_t minor)
{
	struct device_place d = {.start_sectors = 0};
	bool is_partition;

	(void)snprintf(d.directory, sizeof(d.directory), "sys/dev/block/%u:%u", major, minor);
	is_partition = read_number(sys, d.directory, "start", &d.start_sectors);
	(void)snprintf(d.disk, sizeof(d.disk), "%s%s", d.directory, is_partition ? "/.." : "");
	return d;
}

static enum answer can_dax(struct sys *sys, const struct device_place *d)
{
	uint64_t is_dax;

	if (!read_number(sys, d->disk, "queue/dax", &is_dax))
		return ANSWER_UNKNOWN;
	return is_dax ? ANSWER_YES : ANSWER_NO;
}

enum answer storage_device_can_dax(struct sys *sys, uint32_t major, uint32_t minor)
{
	struct device_place d = find_device(sys, major, minor);

	return can_dax(sys, &d);
}

/* Below a disk of several devices (LVM, RAID) nothing is looked for: the address is that of the
 * disk as the file system sees it. */
static void read_device(struct sys *sys, const struct statx *st, struct storage *s)
{
	struct device_place d = find_device(sys, st->stx_dev_major, st->stx_dev_minor);

	read_device_name(sys, d.directory, s);
	if (!s->device[0])
		return;
	s->can_dax = can_dax(sys, &d);
	s->is_base_known = true;
	if (s->can_dax == ANSWER_YES)
		read_namespace(sys, d.disk, s);
	s->partition_start_bytes = d.start_sectors * SECTOR_BYTES;
	s->base_bytes += s->partition_start_bytes;
}

static bool is_on_realtime_device(int fd)
{
	struct fsxattr x;

	return ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0 && (x.fsx_xflags & FS_XFLAG_REALTIME);
}

int storage_read(struct sys *sys, int fd, struct storage *ret)
{
	struct storage s = {0};
	struct statvfs vfs;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0 || fstatvfs(fd, &vfs) < 0)
		return -errno;
	if (st.stx_attributes_mask & STATX_ATTR_DAX)
		s.is_dax = st.stx_attributes & STATX_ATTR_DAX ? ANSWER_YES : ANSWER_NO;
	s.block_bytes = vfs.f_bsize;
	read_mount(sys, &st, &s);
	read_device(sys, &st, &s);
	if (is_on_realtime_device(fd)) {
		s.is_base_known = false;
		s.base_bytes = 0;
	}
	*ret = s;
	return 0;
}
