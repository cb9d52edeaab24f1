/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backing.h"

#include <string.h>

static bool path_is(const struct maps_line *l, const char *text)
{
	size_t n = strlen(text);

	return l->path_size == n && memcmp(l->path, text, n) == 0;
}

static bool path_starts(const struct maps_line *l, const char *prefix)
{
	size_t n = strlen(prefix);

	return l->path_size >= n && memcmp(l->path, prefix, n) == 0;
}

static bool path_ends(const struct maps_line *l, const char *suffix)
{
	size_t n = strlen(suffix);

	return l->path_size >= n && memcmp(l->path + l->path_size - n, suffix, n) == 0;
}

static bool is_anonymous(const struct maps_line *l)
{
	return l->path_size == 0 || path_starts(l, "[anon:");
}

/* What the kernel calls its own: [heap], [stack], [vdso] ... but names given to anonymous memory
 * look alike. */
static bool is_kernel_named(const struct maps_line *l)
{
	return path_starts(l, "[") && !path_starts(l, "[anon:") &&
	       !path_starts(l, "[anon_shmem:") && !path_starts(l, "[guest_memfd]");
}

bool mapping_may_be_ram(const struct maps_line *l, uint64_t min_bytes)
{
	return l->end - l->start >= min_bytes && l->is_readable && l->is_writable &&
	       !l->is_executable && !is_kernel_named(l);
}

/* guest_memfd is [kvm-gmem] to the kernel: an anonymous inode up to 6.18, then a file of its own.
 */
static bool is_secret(const struct maps_line *l)
{
	return path_starts(l, "/secretmem") || path_starts(l, "anon_inode:") ||
	       path_starts(l, "/[kvm-gmem]") || path_starts(l, "[guest_memfd]") ||
	       path_starts(l, "/guest_memfd") || path_starts(l, "/[guest_memfd]") ||
	       path_starts(l, "/anon_inode:");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "dax0.0": every other name below /dev is some other device. */
static bool is_dax_name(struct scanner name)
{
	if (name.end - name.at < 6 || memcmp(name.at, "dax", 3) != 0)
		return false;
	for (const char *c = name.at + 3; c < name.end; c++)
		if (!is_digit(*c) && *c != '.')
			return false;
	return true;
}

bool mapping_is_devdax(const struct maps_line *l, struct scanner *ret_name)
{
	const char *slash = l->path_size ? memrchr(l->path, '/', l->path_size) : NULL;
	struct scanner name;

	if (!slash || !path_starts(l, "/"))
		return false;
	name = (struct scanner){.at = slash + 1, .end = l->path + l->path_size};
	if (path_ends(l, " (deleted)"))
		name.end -= strlen(" (deleted)");
	if (!is_dax_name(name))
		return false;
	*ret_name = name;
	return true;
}

/* Names of files on the kernel's own tmpfs, which is mounted nowhere. */
static bool is_internal_shmem(const struct maps_line *l)
{
	return path_starts(l, "/memfd:") || path_starts(l, "/SYSV") ||
	       path_starts(l, "[anon_shmem:") || path_is(l, "/dev/zero (deleted)");
}

static enum backing backing_of_unmounted(const struct maps_line *l)
{
	if (l->dev_major == 0 && path_starts(l, "/anon_hugepage"))
		return BACKING_HUGETLB;
	/* A tmpfs that only a vanished namespace had mounted still has its name. */
	if (l->dev_major == 0 && (is_internal_shmem(l) || path_starts(l, "/dev/shm/")))
		return BACKING_SHMEM;
	return path_starts(l, "/dev/") ? BACKING_SPECIAL : BACKING_FILE;
}

enum backing mapping_backing(const struct maps_line *l, const struct mounts *m)
{
	struct scanner name;

	if (is_anonymous(l))
		return l->is_shared ? BACKING_SPECIAL : BACKING_ANON;
	if (is_secret(l))
		return BACKING_SECRET;
	if (mapping_is_devdax(l, &name) && path_starts(l, "/dev/"))
		return BACKING_DEVDAX;
	switch (mounts_find(m, l->dev_major, l->dev_minor)) {
	case MOUNT_TMPFS:
		return BACKING_SHMEM;
	case MOUNT_HUGETLBFS:
		return BACKING_HUGETLB;
	case MOUNT_DAX:
		return BACKING_FSDAX;
	case MOUNT_DEVTMPFS:
		return BACKING_SPECIAL;
	case MOUNT_MAYBE_DAX:
	case MOUNT_DISK:
		return BACKING_FILE;
	case MOUNT_UNKNOWN:
		break;
	}
	return path_starts(l, "/") || path_starts(l, "[anon_shmem:") ? backing_of_unmounted(l)
								     : BACKING_SPECIAL;
}

bool mapping_is_unlinked_or_memfd(const struct maps_line *l)
{
	return is_internal_shmem(l) || path_ends(l, " (deleted)");
}

bool mapping_is_shared_object(const struct maps_line *l)
{
	const char *slash = memrchr(l->path, '/', l->path_size);
	const char *name = slash ? slash + 1 : l->path;

	return memmem(name, l->path_size - (size_t)(name - l->path), ".so", 3) != NULL;
}
