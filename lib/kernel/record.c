/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "features.h"
#include "hostfacts.h"
#include "record_parts.h"
#include "record_scrub.h"

enum { HOST_FILE_BYTES_MAX = 1 << 20, TREE_DEPTH_MAX = 3 };

static int make_parents(int dirfd, const char *path)
{
	char copy[512];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return -ENAMETOOLONG;
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(dirfd, copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int record_put(const struct recorder *r, const char *path, const char *data, size_t size)
{
	_cleanup_close_ int fd = -EBADF;
	int e = make_parents(r->dirfd, path);

	if (e < 0)
		return e;
	fd = openat(r->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	return write_all(fd, data, size);
}

int record_put_link(const struct recorder *r, const char *path, const char *target)
{
	int e = make_parents(r->dirfd, path);

	if (e < 0)
		return e;
	return symlinkat(target, r->dirfd, path) < 0 ? -errno : 0;
}

int record_put_text(const struct recorder *r, const char *path, struct text *t)
{
	size_t size = t->length;
	char *data;
	int e = text_take(t, &data);

	if (e < 0)
		return e;
	e = record_put(r, path, data, size);
	free(data);
	return e;
}

/* What the host does not have, or does not show, the record does not have. */
static int copy_host_file(const struct recorder *r, const char *path)
{
	_cleanup_free_ char *data = NULL;
	size_t size;

	if (sys_read_all_at(r->sys->rootfd, path, HOST_FILE_BYTES_MAX, &data, &size) < 0)
		return 0;
	return record_put(r, path, data, size);
}

static int copy_tree(const struct recorder *r, const char *path, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int e = 0;

	if (sys_opendir_at(r->sys->rootfd, path, &dir) < 0)
		return 0;
	while (e == 0 && (entry = readdir(dir))) {
		char below[512];

		if (entry->d_name[0] == '.' || (size_t)snprintf(below, sizeof(below), "%s/%s", path,
								entry->d_name) >= sizeof(below))
			continue;
		if (entry->d_type == DT_REG)
			e = copy_host_file(r, below);
		else if (entry->d_type == DT_DIR && depth < TREE_DEPTH_MAX)
			e = copy_tree(r, below, depth + 1);
	}
	return e;
}

/* The devices are links, which openat() follows in the middle of a path. */
static int copy_dax_alignments(const struct recorder *r)
{
	static const char path[] = "sys/bus/dax/devices";
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int e = 0;

	if (sys_opendir_at(r->sys->rootfd, path, &dir) < 0)
		return 0;
	while (e == 0 && (entry = readdir(dir))) {
		char below[512];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s/align", path, entry->d_name);
		e = copy_host_file(r, below);
	}
	return e;
}

static int copy_mountinfo(const struct recorder *r)
{
	static const char path[] = "proc/self/mountinfo";
	_cleanup_free_ char *data = NULL;
	struct text out = TEXT_INIT;
	size_t size;

	if (!r->scrub)
		return copy_host_file(r, path);
	if (sys_read_all_at(r->sys->rootfd, path, HOST_FILE_BYTES_MAX, &data, &size) < 0)
		return 0;
	scrub_mountinfo(&out, data, size);
	return record_put_text(r, path, &out);
}

static int copy_host(const struct recorder *r)
{
	static const char *const files[] = {
		"proc/meminfo", "proc/buddyinfo", "proc/zoneinfo",
		"proc/vmstat",	"proc/loadavg",	  "sys/devices/system/cpu/online",
	};
	int e = copy_mountinfo(r);

	for (size_t i = 0; i < ARRAY_SIZE(files) && e == 0; i++)
		e = copy_host_file(r, files[i]);
	if (e == 0)
		e = copy_tree(r, "sys/kernel/mm/transparent_hugepage", 0);
	if (e == 0)
		e = copy_tree(r, "sys/kernel/mm/ksm", 0);
	return e == 0 ? copy_dax_alignments(r) : e;
}

/* What is no file on the host. */
static int put_summary(const struct recorder *r)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "version 1\npage_bytes %llu\nrelease %s\nfeatures %#x\n",
			 (unsigned long long)page_bytes(&r->geometry), r->host.kernel_release,
			 r->host.features);

	return record_put(r, "thpd-record", text, (size_t)n);
}

int host_record(struct sys *sys, int dirfd, const struct record_options *o)
{
	struct recorder r = {.sys = sys, .dirfd = dirfd, .scrub = o->scrub};
	int e = host_read_geometry(sys, &r.geometry);

	if (e < 0)
		return e;
	/* A lack of rights or abilities is part of the record. */
	(void)features_probe(sys, &r.geometry, &r.host, NULL);
	e = put_summary(&r);
	if (e == 0)
		e = copy_host(&r);
	for (size_t i = 0; i < o->n_pids && e == 0; i++)
		e = record_process(&r, o->pids[i], (unsigned)i + 1);
	return e;
}
