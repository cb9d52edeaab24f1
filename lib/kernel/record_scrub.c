/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record_scrub.h"

#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "procfs.h"

static const char deleted[] = " (deleted)";

static bool starts(const char *text, size_t size, const char *prefix)
{
	size_t n = strlen(prefix);

	return size >= n && memcmp(text, prefix, n) == 0;
}

static bool ends_deleted(const char *text, size_t size)
{
	size_t n = sizeof(deleted) - 1;

	return size >= n && memcmp(text + size - n, deleted, n) == 0;
}

const char *scrub_comm(const char *comm)
{
	static const char *const known[] = {
		"qemu-system-x86", "qemu-system-aar", "qemu-kvm",    "kvm",
		"cloud-hypervis",  "cloud-hyperviso", "firecracker", "crosvm",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(comm, known[i]) == 0)
			return known[i];
	return "vmm";
}

/* Names that the kernel gives and that say nothing about the user. */
static bool is_kernel_name(const char *path, size_t size)
{
	static const char *const prefixes[] = {
		"anon_inode:", "/secretmem",	"/anon_hugepage", "/dev/zero",	 "/dev/dax",
		"/dev/vfio/",  "/dev/iommu",	"/dev/kvm",	  "/dev/vhost",	 "/dev/null",
		"/dev/sev",    "[guest_memfd]", "/guest_memfd",	  "/[kvm-gmem]", "/dmabuf:",
	};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (starts(path, size, prefixes[i]))
			return true;
	return starts(path, size, "[") && !starts(path, size, "[anon");
}

/* The made-up name for a path, as far as classification needs it. */
static const char *stem_of(const char *path, size_t size)
{
	if (starts(path, size, "/memfd:"))
		return "/memfd:ram-";
	if (starts(path, size, "/dev/shm/"))
		return "/dev/shm/ram-";
	if (starts(path, size, "/dev/hugepages/"))
		return "/dev/hugepages/ram-";
	if (starts(path, size, "/SYSV"))
		return "/SYSV";
	if (starts(path, size, "/dev/"))
		return "/dev/device-";
	return starts(path, size, "/") ? "/file-" : "other-";
}

void scrub_path(struct text *out, const char *path, size_t size, uint64_t inode)
{
	if (size == 0 || is_kernel_name(path, size)) {
		text_add_bytes(out, path, size);
	} else if (starts(path, size, "[anon_shmem:")) {
		text_add(out, "[anon_shmem:ram]");
	} else if (starts(path, size, "[anon")) {
		text_add(out, "[anon:ram]");
	} else {
		text_add(out, stem_of(path, size));
		/* Mappings of one file keep one name. */
		text_add_u64(out, inode);
		if (ends_deleted(path, size))
			text_add(out, deleted);
	}
}

void scrub_maps(struct text *out, const char *text, size_t size)
{
	struct scanner s = {text, text + size}, line;

	while (scan_line(&s, &line)) {
		struct maps_line l;

		if (maps_parse_line(line, &l)) {
			text_add_bytes(out, line.at, (size_t)(l.path - line.at));
			scrub_path(out, l.path, l.path_size, l.inode);
		} else {
			text_add_bytes(out, line.at, (size_t)(line.end - line.at));
		}
		text_add(out, "\n");
	}
}

static void add_owner(struct text *out, struct scanner line, const char *key)
{
	uint64_t id;

	text_add(out, key);
	for (scan_blanks(&line); scan_u64(&line, &id); scan_blanks(&line))
		text_add(out, id == 0 ? "\t0" : "\t1000");
	text_add(out, "\n");
}

static void scrub_status_line(struct text *out, struct scanner line)
{
	static const char *const keys[] = {"State:", "VmPin:", "VmLck:", "VmRSS:", "THP_enabled:"};
	struct scanner rest = line, key;

	if (!scan_word(&rest, &key))
		return;
	if (starts(key.at, (size_t)(key.end - key.at), "Uid:"))
		add_owner(out, rest, "Uid:");
	else if (starts(key.at, (size_t)(key.end - key.at), "Gid:"))
		add_owner(out, rest, "Gid:");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!starts(key.at, (size_t)(key.end - key.at), keys[i]))
			continue;
		text_add_bytes(out, line.at, (size_t)(line.end - line.at));
		text_add(out, "\n");
	}
}

void scrub_status(struct text *out, const char *text, size_t size, const char *comm)
{
	struct scanner s = {text, text + size}, line;

	text_add(out, "Name:\t");
	text_add(out, comm);
	text_add(out, "\n");
	while (scan_line(&s, &line))
		scrub_status_line(out, line);
}

void scrub_stat(struct text *out, const char *text, size_t size, const char *comm)
{
	const char *open = size ? memchr(text, '(', size) : NULL;
	const char *close = size ? memrchr(text, ')', size) : NULL;

	if (!open || !close || close < open)
		return;
	text_add_bytes(out, text, (size_t)(open + 1 - text));
	text_add(out, comm);
	text_add_bytes(out, close, (size_t)(text + size - close));
}

/* "4:memory:" of "4:memory:/path". */
static size_t cgroup_prefix(struct scanner line)
{
	const char *first = memchr(line.at, ':', (size_t)(line.end - line.at));
	const char *second = first ? memchr(first + 1, ':', (size_t)(line.end - first - 1)) : NULL;

	return second ? (size_t)(second + 1 - line.at) : 0;
}

static void add_cgroup_path(struct text *out, struct scanner path, unsigned n)
{
	char copy[512], name[8], made_up[128];

	(void)snprintf(copy, sizeof(copy), "%.*s",
		       (int)min_u64((uint64_t)(path.end - path.at), sizeof(copy) - 1), path.at);
	if (strcmp(copy, "/") == 0)
		(void)snprintf(made_up, sizeof(made_up), "/");
	else if (cgroup_parse_machine(copy, name, sizeof(name)))
		(void)snprintf(made_up, sizeof(made_up),
			       "/machine.slice/machine-qemu\\x2d%u\\x2dvm%u.scope", n, n);
	else
		(void)snprintf(made_up, sizeof(made_up), "/vm%u", n);
	text_add(out, made_up);
	text_add(out, "\n");
}

void scrub_cgroup(struct text *out, const char *text, size_t size, unsigned n)
{
	struct scanner s = {text, text + size}, line;

	while (scan_line(&s, &line)) {
		size_t prefix = cgroup_prefix(line);

		if (prefix == 0)
			continue;
		text_add_bytes(out, line.at, prefix);
		add_cgroup_path(out, (struct scanner){line.at + prefix, line.end}, n);
	}
}

void scrub_cmdline(struct text *out, const char *text, size_t size, const char *comm, unsigned n)
{
	char name[64], uuid[37], made_up[64];

	cmdline_parse_qemu(text, size, name, sizeof(name), uuid, sizeof(uuid));
	text_add_bytes(out, comm, strlen(comm) + 1);
	if (name[0]) {
		int length = snprintf(made_up, sizeof(made_up), "guest=vm%u", n);

		text_add_bytes(out, "-name", sizeof("-name"));
		text_add_bytes(out, made_up, (size_t)length + 1);
	}
	if (uuid[0]) {
		int length = snprintf(made_up, sizeof(made_up), "00000000-0000-4000-8000-%012u", n);

		text_add_bytes(out, "-uuid", sizeof("-uuid"));
		text_add_bytes(out, made_up, (size_t)length + 1);
	}
}

static bool next_word(struct scanner *s, struct scanner *ret)
{
	scan_blanks(s);
	return scan_word(s, ret);
}

static size_t width(struct scanner word)
{
	return (size_t)(word.end - word.at);
}

static void add_word(struct text *out, struct scanner word)
{
	text_add_bytes(out, word.at, width(word));
}

struct mount_words {
	struct scanner id, parent, device, root, point, options, type, source, super_options;
};

static bool split_mount(struct scanner line, struct mount_words *w)
{
	struct scanner word;

	if (!next_word(&line, &w->id) || !next_word(&line, &w->parent) ||
	    !next_word(&line, &w->device) || !next_word(&line, &w->root) ||
	    !next_word(&line, &w->point) || !next_word(&line, &w->options))
		return false;
	do
		if (!next_word(&line, &word))
			return false;
	while (width(word) != 1 || *word.at != '-');
	return next_word(&line, &w->type) && next_word(&line, &w->source) &&
	       next_word(&line, &w->super_options);
}

static bool is_kernel_place(struct scanner point)
{
	return starts(point.at, width(point), "/dev") || starts(point.at, width(point), "/sys") ||
	       starts(point.at, width(point), "/proc") || width(point) == 1;
}

/* Options with a value may hold paths, labels, names. */
static void add_options(struct text *out, struct scanner options)
{
	text_add(out, "rw");
	while (options.at < options.end) {
		const char *comma = memchr(options.at, ',', width(options));
		struct scanner option = {options.at, comma ? comma : options.end};

		if (starts(option.at, width(option), "dax") ||
		    starts(option.at, width(option), "huge")) {
			text_add(out, ",");
			add_word(out, option);
		}
		options.at = comma ? comma + 1 : options.end;
	}
}

static void add_mount(struct text *out, const struct mount_words *w)
{
	bool is_cgroup = starts(w->type.at, width(w->type), "cgroup");

	add_word(out, w->id);
	text_add(out, " ");
	add_word(out, w->parent);
	text_add(out, " ");
	add_word(out, w->device);
	text_add(out, " / ");
	if (is_kernel_place(w->point)) {
		add_word(out, w->point);
	} else {
		text_add(out, "/mnt/");
		add_word(out, w->id);
	}
	text_add(out, " ");
	add_options(out, w->options);
	text_add(out, " - ");
	add_word(out, w->type);
	text_add(out, " none ");
	if (is_cgroup)
		add_word(out, w->super_options);
	else
		add_options(out, w->super_options);
	text_add(out, "\n");
}

void scrub_mountinfo(struct text *out, const char *text, size_t size)
{
	struct scanner s = {text, text + size}, line;

	while (scan_line(&s, &line)) {
		struct mount_words w;

		if (split_mount(line, &w))
			add_mount(out, &w);
	}
}
