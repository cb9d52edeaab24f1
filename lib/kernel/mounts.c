/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mounts.h"

#include <errno.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "parse.h"

enum { MOUNTINFO_BYTES_MAX = 8 << 20 };

/* "36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda rw,dax=always" */
struct mount_line {
	uint32_t major, minor;
	struct scanner root, point, options, type, super_options;
};

static bool next_word(struct scanner *s, struct scanner *ret)
{
	scan_blanks(s);
	return scan_word(s, ret);
}

static bool word_is(struct scanner word, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(word.end - word.at) == n && memcmp(word.at, text, n) == 0;
}

static bool parse_device(struct scanner word, struct mount_line *l)
{
	uint64_t major, minor;

	if (!scan_u64(&word, &major) || !scan_char(&word, ':') || !scan_u64(&word, &minor) ||
	    word.at != word.end || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	l->major = (uint32_t)major;
	l->minor = (uint32_t)minor;
	return true;
}

static bool parse_line(struct scanner line, struct mount_line *l)
{
	struct scanner word;

	if (!next_word(&line, &word) || !next_word(&line, &word) || !next_word(&line, &word) ||
	    !parse_device(word, l))
		return false;
	if (!next_word(&line, &l->root) || !next_word(&line, &l->point) ||
	    !next_word(&line, &l->options))
		return false;
	/* Optional fields end with a dash. */
	do
		if (!next_word(&line, &word))
			return false;
	while (!word_is(word, "-"));
	return next_word(&line, &l->type) && next_word(&line, &word) &&
	       next_word(&line, &l->super_options);
}

/* One of a comma separated list. */
static bool has_option(struct scanner list, const char *name)
{
	size_t n = strlen(name);
	const char *at = list.at;

	while (at < list.end) {
		const char *comma = memchr(at, ',', (size_t)(list.end - at));
		const char *end = comma ? comma : list.end;

		if ((size_t)(end - at) == n && memcmp(at, name, n) == 0)
			return true;
		at = comma ? comma + 1 : list.end;
	}
	return false;
}

static bool is_dax(const struct mount_line *l)
{
	if (!word_is(l->type, "ext4") && !word_is(l->type, "xfs") && !word_is(l->type, "ext2"))
		return false;
	return has_option(l->super_options, "dax") || has_option(l->super_options, "dax=always") ||
	       has_option(l->options, "dax") || has_option(l->options, "dax=always");
}

static enum mount_kind kind_of(const struct mount_line *l)
{
	if (word_is(l->type, "tmpfs"))
		return MOUNT_TMPFS;
	if (word_is(l->type, "devtmpfs"))
		return MOUNT_DEVTMPFS;
	if (word_is(l->type, "hugetlbfs"))
		return MOUNT_HUGETLBFS;
	return is_dax(l) ? MOUNT_DAX : MOUNT_DISK;
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
static void note_cgroup(struct mounts *m, const struct mount_line *l)
{
	if (word_is(l->type, "cgroup2") && !m->unified[0]) {
		copy_path(l->point, m->unified, sizeof(m->unified));
		copy_path(l->root, m->unified_top, sizeof(m->unified_top));
	} else if (word_is(l->type, "cgroup") && has_option(l->super_options, "memory") &&
		   !m->memory_v1[0]) {
		copy_path(l->point, m->memory_v1, sizeof(m->memory_v1));
		copy_path(l->root, m->memory_v1_top, sizeof(m->memory_v1_top));
	}
}

int mounts_parse(struct mounts *m, const char *text, size_t size, bool is_own)
{
	struct scanner s = {.at = text, .end = text + size}, line;

	while (scan_line(&s, &line)) {
		struct mount_line l;
		struct mount mount;
		int r;

		if (!parse_line(line, &l))
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
