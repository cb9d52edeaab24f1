/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "devdax.h"
#include "record_parts.h"
#include "record_scrub.h"

enum {
	SMALL_BYTES_MAX = 1 << 20,
	MAPS_BYTES_MAX = 64 << 20,
	RECORD_FDS_MAX = 4096, /* links; more say nothing new */
};

struct subject {
	const struct recorder *recorder;
	struct process process;
	unsigned n;
	char comm[64]; /* as it is to be written */
};

static int put(const struct subject *s, const char *name, struct text *t)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/%s", (int)s->process.pid, name);
	return record_put_text(s->recorder, path, t);
}

static void scrub(const struct subject *s, const char *name, const char *data, size_t size,
		  struct text *out)
{
	if (strcmp(name, "maps") == 0 || strcmp(name, "smaps") == 0) {
		scrub_maps(out, data, size);
	} else if (strcmp(name, "status") == 0) {
		scrub_status(out, data, size, s->comm);
	} else if (strcmp(name, "stat") == 0) {
		scrub_stat(out, data, size, s->comm);
	} else if (strcmp(name, "cgroup") == 0) {
		scrub_cgroup(out, data, size, s->n);
	} else if (strcmp(name, "cmdline") == 0) {
		scrub_cmdline(out, data, size, s->comm, s->n);
	} else if (strcmp(name, "comm") == 0) {
		text_add(out, s->comm);
		text_add(out, "\n");
	} else {
		text_add_bytes(out, data, size);
	}
}

/* What cannot be read is left out, as it would be unknown to thpd too. */
static int copy_file(const struct subject *s, const char *name, size_t max)
{
	_cleanup_free_ char *data = NULL;
	struct text out = TEXT_INIT;
	size_t size;

	if (sys_read_all_at(s->process.dirfd, name, max, &data, &size) < 0)
		return 0;
	if (s->recorder->scrub)
		scrub(s, name, data, size, &out);
	else
		text_add_bytes(&out, data, size);
	return put(s, name, &out);
}

static int put_link(const struct subject *s, const char *name, const char *target)
{
	struct text t = TEXT_INIT;
	char path[320], *clean;
	int r;

	(void)snprintf(path, sizeof(path), "proc/%d/%s", (int)s->process.pid, name);
	if (!s->recorder->scrub)
		return record_put_link(s->recorder, path, target);
	scrub_path(&t, target, strlen(target), 0);
	r = text_take(&t, &clean);
	if (r < 0)
		return r;
	r = record_put_link(s->recorder, path, clean);
	free(clean);
	return r;
}

static int copy_fds(const struct subject *s)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	size_t n = 0;
	int r = 0;

	if (sys_opendir_at(s->process.dirfd, "fd", &dir) < 0)
		return 0;
	while (r == 0 && n < RECORD_FDS_MAX && (entry = readdir(dir))) {
		char target[512], name[280];

		if (entry->d_name[0] == '.' ||
		    sys_readlink_at(dirfd(dir), entry->d_name, target, sizeof(target)) <= 0)
			continue;
		n++;
		(void)snprintf(name, sizeof(name), "fd/%s", entry->d_name);
		r = put_link(s, name, target);
	}
	return r;
}

static int copy_exe(const struct subject *s)
{
	char target[512], made_up[128];

	if (sys_readlink_at(s->process.dirfd, "exe", target, sizeof(target)) <= 0)
		return 0;
	(void)snprintf(made_up, sizeof(made_up), "/usr/bin/%s", s->comm);
	if (!s->recorder->scrub)
		return put_link(s, "exe", target);
	(void)snprintf(target, sizeof(target), "proc/%d/exe", (int)s->process.pid);
	return record_put_link(s->recorder, target, made_up);
}

/* smaps walks all page tables, which splits 1 GiB device-dax mappings (KERNEL.md 7.2). */
static bool may_read_smaps(const struct subject *s)
{
	_cleanup_free_ char *maps = NULL;
	struct mounts mounts;
	struct scanner scanner, line;
	struct maps_line l;
	bool is_found = false;
	size_t size;

	if (sys_read_all_at(s->process.dirfd, "maps", MAPS_BYTES_MAX, &maps, &size) < 0 ||
	    mounts_read(s->recorder->sys, &s->process, &mounts) < 0)
		return false;
	scanner = (struct scanner){maps, maps + size};
	while (!is_found && scan_line(&scanner, &line))
		is_found = maps_parse_line(line, &l) &&
			   mapping_is_devdax_1g(s->recorder->sys, &s->process, &l, &mounts,
						&s->recorder->geometry);
	mounts_clear(&mounts);
	return !is_found;
}

static int copy_files(const struct subject *s)
{
	static const char *const names[] = {"stat",   "statm",	 "status",	     "comm",
					    "cgroup", "cmdline", "ksm_merging_pages"};
	int r = copy_file(s, "maps", MAPS_BYTES_MAX);

	if (r == 0 && may_read_smaps(s))
		r = copy_file(s, "smaps", MAPS_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++)
		r = copy_file(s, names[i], SMALL_BYTES_MAX);
	if (r == 0)
		r = copy_exe(s);
	return r == 0 ? copy_fds(s) : r;
}

static int copy_pages(const struct subject *s)
{
	struct text pages = TEXT_INIT;
	int r = record_pages(s->recorder, &s->process, &pages);

	if (r == 0)
		return put(s, "thpd-pages", &pages);
	text_clear(&pages);
	/* Not permitted, or the kernel is too old: the rest is of use without. */
	return r == -EACCES || r == -EPERM || r == -EOPNOTSUPP ? 0 : r;
}

static void read_comm(struct subject *s)
{
	ssize_t n = sys_read_at(s->process.dirfd, "comm", s->comm, sizeof(s->comm));

	if (n > 0 && s->comm[n - 1] == '\n')
		s->comm[n - 1] = '\0';
	if (n <= 0)
		s->comm[0] = '\0';
	if (s->recorder->scrub)
		(void)snprintf(s->comm, sizeof(s->comm), "%s", scrub_comm(s->comm));
}

int record_process(const struct recorder *r, pid_t pid, unsigned n)
{
	struct subject s = {.recorder = r, .process = PROCESS_INIT, .n = n};
	int e = process_open(r->sys, pid, &s.process);

	if (e < 0)
		return e;
	read_comm(&s);
	e = copy_files(&s);
	if (e == 0)
		e = record_kvm(r, &s.process);
	if (e == 0)
		e = copy_pages(&s);
	process_close(&s.process);
	return e;
}
