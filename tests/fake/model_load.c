/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A recorded host (lib/kernel/record.h) as a model: its files are copied into the model's tree, and
 * its processes get mappings from maps and pages from thpd-pages. They are looked at, not lived in:
 * the files stay as they were recorded. */

#include "model_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "hostfacts.h"
#include "parse.h"
#include "procfs.h"

enum { FILE_BYTES_MAX = 4 << 20 };

/* ---- Copying the tree ---- */

static int copy_tree(int from, int to);

static int copy_file(int from, int to, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	size_t size;
	int r = sys_read_all_at(from, name, FILE_BYTES_MAX, &text, &size);

	if (r < 0)
		return r;
	fd = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return -EIO;
	return 0;
}

static int copy_link(int from, int to, const char *name)
{
	char target[512];
	ssize_t n = sys_readlink_at(from, name, target, sizeof(target));

	if (n < 0)
		return (int)n;
	return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_directory(int from, int to, const char *name)
{
	_cleanup_close_ int below = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int copy = -EBADF;

	if (mkdirat(to, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return below < 0 || copy < 0 ? -EIO : copy_tree(below, copy);
}

static int copy_entry(int from, int to, const char *name)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return copy_directory(from, to, name);
	return S_ISLNK(st.st_mode) ? copy_link(from, to, name) : copy_file(from, to, name);
}

static int copy_tree(int from, int to)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int r = sys_opendir_at(from, ".", &d);

	while (r == 0 && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			r = copy_entry(from, to, e->d_name);
	}
	return r;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level == 0 ? 0 : remove(path);
}

/* What the model made up about the host gives way to what was recorded. */
static void forget_own_files(struct model *m)
{
	static const char *const directories[] = {"proc", "sys"};
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", m->root, directories[i]);
		(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
}

/* ---- Mappings ---- */

static bool starts(const struct maps_line *l, const char *prefix)
{
	size_t n = strlen(prefix);

	return l->path_size >= n && memcmp(l->path, prefix, n) == 0;
}

static enum model_backing backing_of(const struct maps_line *l)
{
	static const struct {
		const char *prefix;
		enum model_backing backing;
	} rows[] = {
		{"[anon", MODEL_ANON},
		{"[heap]", MODEL_ANON},
		{"[stack", MODEL_ANON},
		{"/memfd:", MODEL_MEMFD},
		{"/SYSV", MODEL_MEMFD},
		{"/dev/zero", MODEL_MEMFD},
		{"/dev/shm/", MODEL_TMPFS},
		{"/dev/hugepages/", MODEL_HUGETLB},
		{"/anon_hugepage", MODEL_HUGETLB},
		{"/dev/dax", MODEL_DEVDAX_1G},
		{"/mnt/pmem", MODEL_FSDAX},
		{"/secretmem", MODEL_SECRETMEM},
		{"[guest_memfd]", MODEL_GUEST_MEMFD},
		{"anon_inode:", MODEL_GUEST_MEMFD},
		{"/dev/", MODEL_DEVICE},
		{"[", MODEL_DEVICE},
	};

	if (l->path_size == 0)
		return MODEL_ANON;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (starts(l, rows[i].prefix))
			return rows[i].backing;
	}
	return MODEL_REGULAR_FILE;
}

static void add_vma(struct model *m, struct model_process *p, const struct maps_line *l)
{
	struct model_map map = {
		.start = l->start,
		.bytes = l->end - l->start,
		.backing = backing_of(l),
		.is_private = !l->is_shared,
		.file_offset = l->offset,
	};

	(void)process_add_vma(m, p, &map);
}

static int load_maps(struct model *m, struct model_process *p, int dirfd)
{
	_cleanup_free_ char *text = NULL;
	struct scanner s, line;
	struct maps_line l;
	size_t size;
	int r = sys_read_all_at(dirfd, "maps", FILE_BYTES_MAX, &text, &size);

	if (r < 0)
		return r;
	s = (struct scanner){text, text + size};
	while (scan_line(&s, &line)) {
		if (maps_parse_line(line, &l) && l.end > l.start)
			add_vma(m, p, &l);
	}
	return 0;
}

static int load_flags(struct model_process *p, int dirfd)
{
	_cleanup_free_ char *text = NULL;
	struct scanner s, line;
	struct vma *v = NULL;
	struct maps_line l;
	size_t size;
	uint32_t flags;
	int r = sys_read_all_at(dirfd, "smaps", FILE_BYTES_MAX, &text, &size);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	s = (struct scanner){text, text + size};
	while (scan_line(&s, &line)) {
		if (maps_parse_line(line, &l))
			v = vma_at(p, l.start);
		else if (v && smaps_parse_flags(line, &flags))
			v->flags = flags;
	}
	return 0;
}

/* ---- Pages: "<start-hex> <pages> <kind> [pfn-hex]" ---- */

struct kind_row {
	const char *name;
	enum page_kind pages, entry;
};

static const struct kind_row kinds[] = {
	{"huge", PAGES_FOLIO, ENTRY_HUGE},  {"folio", PAGES_FOLIO, ENTRY_PAGE},
	{"small", PAGES_SMALL, ENTRY_PAGE}, {"swap", PAGES_SWAPPED, ENTRY_SWAP},
	{"guard", PAGES_NONE, ENTRY_GUARD}, {"zero", PAGES_NONE, ENTRY_ZERO},
};

static const struct kind_row *find_kind(struct scanner word)
{
	size_t size = (size_t)(word.end - word.at);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strlen(kinds[i].name) == size && memcmp(kinds[i].name, word.at, size) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* A folio lies at a frame that is as much aligned as its place in the file, or in memory if it has
 * no file. */
static uint64_t frame_for(struct model *m, const struct vma *v, uint64_t page,
			  const struct kind_row *k, uint64_t pages, uint32_t *ret_step)
{
	uint64_t n = model_block_pages(m), at = object_page(v, page), skew;

	if (k->pages != PAGES_FOLIO)
		return pfn_take(m, k->pages, pages, ret_step);
	if (!vma_is_file(v))
		at = v->start / model_page(m) + page;
	skew = at % n;
	return pfn_take(m, PAGES_FOLIO, align_up(skew + pages, n), ret_step) + skew;
}

static void set_pages(struct model *m, struct vma *v, uint64_t page, uint64_t pages,
		      const struct kind_row *k)
{
	struct page_run run = {.first = object_page(v, page), .pages = pages, .kind = k->pages};

	if (k->pages != PAGES_NONE) {
		run.pfn = frame_for(m, v, page, k, pages, &run.pfn_step);
		page_runs_set(&v->object->pages, &run);
	}
	vma_set_entries(v, k->entry, page, pages);
	vma_note_tables(m, v, page, page + pages);
}

static int load_line(struct model *m, struct model_process *p, struct scanner line)
{
	const struct kind_row *k;
	uint64_t start, pages;
	struct scanner word;
	struct vma *v;

	if (!scan_hex(&line, &start))
		return -EINVAL;
	scan_blanks(&line);
	if (!scan_u64(&line, &pages))
		return -EINVAL;
	scan_blanks(&line);
	k = scan_word(&line, &word) ? find_kind(word) : NULL;
	v = vma_at(p, start);
	/* Runs do not end with a mapping if the next one goes on in the same way. */
	while (k && v && pages > 0) {
		uint64_t part = min_u64(pages, (v->end - start) / model_page(m));

		set_pages(m, v, (start - v->start) / model_page(m), part, k);
		start += part * model_page(m);
		pages -= part;
		v = vma_at(p, start);
	}
	return k && pages == 0 ? 0 : -EINVAL;
}

static int load_pages(struct model *m, struct model_process *p, int dirfd)
{
	_cleanup_free_ char *text = NULL;
	struct scanner s, line;
	size_t size;
	int r = sys_read_all_at(dirfd, "thpd-pages", FILE_BYTES_MAX, &text, &size);

	if (r < 0)
		return r;
	s = (struct scanner){text, text + size};
	while (r == 0 && scan_line(&s, &line))
		r = load_line(m, p, line);
	return r;
}

/* ---- Processes ---- */

static bool is_thp_disabled(int dirfd)
{
	char text[16384];

	return sys_read_at(dirfd, "status", text, sizeof(text)) > 0 &&
	       strstr(text, "\nTHP_enabled:\t0");
}

static int load_process(struct model *m, pid_t pid, int dirfd)
{
	struct model_process *p = model_alloc(sizeof(*p));
	int r;

	p->model = m;
	p->pid = pid;
	p->starttime = m->next_starttime++;
	p->vm = (struct model_vm){.pid = pid,
				  .comm = model_strdup("recorded"),
				  .exe = model_strdup(""),
				  .cgroup = model_strdup("/"),
				  .is_thp_disabled = is_thp_disabled(dirfd)};
	p->is_alive = true;
	p->is_loaded = true;
	p->next = m->processes;
	m->processes = p;
	proc_attach(m, p, dirfd);
	r = load_maps(m, p, dirfd);
	if (r == 0)
		r = load_flags(p, dirfd);
	return r == 0 ? load_pages(m, p, dirfd) : r;
}

static int load_processes(struct model *m)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int r = sys_opendir_at(m->root_fd, "proc", &d);

	while (r == 0 && (e = readdir(d))) {
		_cleanup_close_ int below = -EBADF;
		pid_t pid;

		if (parse_pid(e->d_name, &pid) < 0)
			continue;
		below = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (faccessat(below, "thpd-pages", F_OK, 0) == 0)
			r = load_process(m, pid, below);
	}
	return r;
}

/* Knobs decide what the model's collapse refuses. */
static int load_knobs(struct model *m)
{
	struct host h = {0};
	struct sys sys;
	int r = model_open_sys(m, &sys);

	if (r == 0)
		r = host_read_knobs(&sys, &m->options.geometry, &h);
	sys_close(&sys);
	if (r < 0)
		return r;
	(void)snprintf(m->shmem_global, sizeof(m->shmem_global), "%s",
		       shmem_knob_name(h.shmem_global));
	(void)snprintf(m->shmem_block, sizeof(m->shmem_block), "%s",
		       shmem_knob_name(h.shmem_block));
	m->options.has_block_knob = h.shmem_block != SHMEM_KNOB_ABSENT;
	m->is_ksm_running = h.is_ksm_running;
	return 0;
}

int model_load_tree(struct model *m, const char *path)
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), to = -EBADF;
	int r;

	if (from < 0)
		return -errno;
	forget_own_files(m);
	to = open(m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = copy_tree(from, to);
	if (r == 0)
		r = load_knobs(m);
	return r == 0 ? load_processes(m) : r;
}
