/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mounts.h"

#include <errno.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "mountinfo.h"

enum { MOUNTINFO_BYTES_MAX = 8 << 20 };

static bool can_map_directly(const struct mountinfo_line *l)
{
	return mountinfo_word_is(l->type, "ext4") || mountinfo_word_is(l->type, "xfs") ||
	       mountinfo_word_is(l->type, "ext2");
}

static bool is_dax(const struct mountinfo_line *l)
{
	return mountinfo_has_option(l->super_options, "dax") ||
	       mountinfo_has_option(l->super_options, "dax=always") ||
	       mountinfo_has_option(l->options, "dax") ||
	       mountinfo_has_option(l->options, "dax=always");
}

static enum mount_kind kind_of(const struct mountinfo_line *l)
{
	if (mountinfo_word_is(l->type, "tmpfs"))
		return MOUNT_TMPFS;
	if (mountinfo_word_is(l->type, "devtmpfs"))
		return MOUNT_DEVTMPFS;
	if (mountinfo_word_is(l->type, "hugetlbfs"))
		return MOUNT_HUGETLBFS;
	if (can_map_directly(l))
		return is_dax(l) ? MOUNT_DAX : MOUNT_MAYBE_DAX;
	return MOUNT_DISK;
}

/* Copies a path that can be used as it stands: not cut, no octal escapes. */
static void copy_path(struct scanner path, char *buffer, size_t size)
{
	size_t n = (size_t)(path.end - path.at);

	buffer[0] = '\0';
	if (n >= size || memchr(path.at, '\\', n))
		return;
	memcpy(buffer, path.at, n);
	buffer[n] = '\0';
}

/* The first mount of a hierarchy is as good as any. */
static void note_cgroup(struct mounts *m, const struct mountinfo_line *l)
{
	if (mountinfo_word_is(l->type, "cgroup2") && !m->unified[0]) {
		copy_path(l->point, m->unified, sizeof(m->unified));
		copy_path(l->root, m->unified_top, sizeof(m->unified_top));
	} else if (mountinfo_word_is(l->type, "cgroup") &&
		   mountinfo_has_option(l->super_options, "memory") && !m->memory_v1[0]) {
		copy_path(l->point, m->memory_v1, sizeof(m->memory_v1));
		copy_path(l->root, m->memory_v1_top, sizeof(m->memory_v1_top));
	}
}

int mounts_parse(struct mounts *m, const char *text, size_t size, bool is_own)
{
	struct scanner s = {.at = text, .end = text + size}, line;

	while (scan_line(&s, &line)) {
		struct mountinfo_line l;
		struct mount mount;
		int r;

		if (!mountinfo_parse_line(line, &l))
			continue;
		if (is_own)
			note_cgroup(m, &l);
		mount = (struct mount){l.major, l.minor, kind_of(&l)};
		r = ARRAY_APPEND(&m->items, &m->n_items, &mount);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_mountinfo(struct mounts *m, int dirfd, const char *path, bool is_own)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = sys_read_all_at(dirfd, path, MOUNTINFO_BYTES_MAX, &text, &size);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	return mounts_parse(m, text, size, is_own);
}

int mounts_read(struct sys *sys, const struct process *p, struct mounts *ret)
{
	struct mounts m = {0};
	int r = add_mountinfo(&m, sys->rootfd, "proc/self/mountinfo", true);

	if (r == 0)
		r = add_mountinfo(&m, p->dirfd, "mountinfo", false);
	if (r < 0) {
		mounts_clear(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void mounts_clear(struct mounts *m)
{
	free(m->items);
	*m = (struct mounts){0};
}

enum mount_kind mounts_find(const struct mounts *m, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i].major == major && m->items[i].minor == minor)
			return m->items[i].kind;
	return MOUNT_UNKNOWN;
}
