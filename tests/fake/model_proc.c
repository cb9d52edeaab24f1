/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The model's /proc and /sys as files. Files are rewritten in place (never emptied first), so that
 * fds that thpd keeps open see the new text, as those of the real /proc do. */

#include "model_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bits.h"
#include "cleanup.h"

struct text {
	char *data; /* owned */
	size_t size, room;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	if (t->room - t->size < 5000) {
		t->room = t->room * 2 + 16384;
		t->data = realloc(t->data, t->room);
		if (!t->data)
			abort();
	}
	va_start(args, format);
	n = vsnprintf(t->data + t->size, t->room - t->size, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->room - t->size)
		abort();
	t->size += (size_t)n;
}

static void make_directories(int dirfd, const char *path)
{
	char part[512];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdirat(dirfd, part, 0755) < 0 && errno != EEXIST)
			abort();
	}
}

static void write_file(int dirfd, const char *path, const char *data, size_t size)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && errno == ENOENT) {
		make_directories(dirfd, path);
		fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	}
	if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || ftruncate(fd, (off_t)size) < 0)
		abort();
	(void)close_fd(fd);
}

static void write_text(int dirfd, const char *path, struct text *t)
{
	write_file(dirfd, path, t->data ? t->data : "", t->size);
	free(t->data);
}

static void write_string(int dirfd, const char *path, const char *text)
{
	write_file(dirfd, path, text, strlen(text));
}

/* ---- The host ---- */

#define THP "sys/kernel/mm/transparent_hugepage/"

/* "always [madvise] never": what the kernel prints for a knob. */
static void write_choice(struct model *m, const char *path, const char *const *words,
			 const char *chosen)
{
	struct text t = {0};

	for (size_t i = 0; words[i]; i++)
		text_add(&t, strcmp(words[i], chosen) == 0 ? "%s[%s]" : "%s%s", i ? " " : "",
			 words[i]);
	text_add(&t, "\n");
	write_text(m->root_fd, path, &t);
}

static void add_node(const struct model *m, struct text *t, int node, uint64_t free_blocks)
{
	text_add(t, "Node %d, zone   Normal ", node);
	for (unsigned order = 0; order < m->options.geometry.pmd_order; order++)
		text_add(t, "%6u ", 3);
	text_add(t, "%6llu \n", (unsigned long long)free_blocks);
}

void proc_write_memory(struct model *m)
{
	uint64_t free_bytes = m->free_blocks * model_block(m);
	uint64_t available =
		min_u64(free_bytes + m->options.mem_total_bytes / 8, m->options.mem_total_bytes);
	struct text t = {0};

	text_add(&t, "MemTotal:       %llu kB\nMemFree:        %llu kB\nMemAvailable:   %llu kB\n",
		 (unsigned long long)m->options.mem_total_bytes / 1024,
		 (unsigned long long)free_bytes / 1024, (unsigned long long)available / 1024);
	write_text(m->root_fd, "proc/meminfo", &t);
	t = (struct text){0};
	if (m->options.nodes <= 1)
		add_node(m, &t, 0, m->free_blocks);
	for (int node = 0; m->options.nodes > 1 && node < m->options.nodes; node++)
		add_node(m, &t, node, m->node_free_blocks[node]);
	write_text(m->root_fd, "proc/buddyinfo", &t);
}

static void write_nodes(struct model *m)
{
	static const char *const online[MODEL_NODES_MAX + 1] = {"0\n", "0\n", "0-1\n", "0-2\n",
								"0-3\n"};

	write_string(m->root_fd, "sys/devices/system/node/online", online[m->options.nodes]);
	for (int node = 0; node < m->options.nodes; node++) {
		struct text t = {0};
		char path[64];

		for (int other = 0; other < m->options.nodes; other++)
			text_add(&t, "%s%d", other ? " " : "", other == node ? 10 : 20);
		text_add(&t, "\n");
		(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/distance", node);
		write_text(m->root_fd, path, &t);
		t = (struct text){0};
		text_add(&t, "%d\n", node);
		(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", node);
		write_text(m->root_fd, path, &t);
	}
}

void proc_write_host(struct model *m)
{
	static const char *const enabled[] = {"always", "madvise", "never", NULL};
	static const char *const global[] = {"always", "within_size", "advise", "never",
					     "deny",   "force",	      NULL};
	static const char *const per_size[] = {"always", "inherit", "within_size",
					       "advise", "never",   NULL};
	unsigned long long block_kb = model_block(m) / 1024;
	char path[128], text[64];

	write_choice(m, THP "enabled", enabled, "madvise");
	write_choice(m, THP "shmem_enabled", global, m->shmem_global);
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)model_block(m));
	write_string(m->root_fd, THP "hpage_pmd_size", text);
	(void)snprintf(path, sizeof(path), THP "hugepages-%llukB/shmem_enabled", block_kb);
	if (m->options.has_block_knob)
		write_choice(m, path, per_size, m->shmem_block);
	write_string(m->root_fd, "sys/kernel/mm/ksm/run", m->is_ksm_running ? "1\n" : "0\n");
	write_string(m->root_fd, "sys/devices/system/cpu/online", "0-3\n");
	write_nodes(m);
	write_string(m->root_fd, "sys/bus/dax/devices/dax0.0/align", "1073741824\n");
	write_string(m->root_fd, "proc/vmstat",
		     "nr_free_pages 1000\nthp_split_page 0\nthp_split_pmd 0\n");
	write_string(m->root_fd, "proc/loadavg", "0.00 0.01 0.05 1/100 4000\n");
	write_string(m->root_fd, "pidfd/none", "");
	write_string(m->root_fd, "proc/self/mountinfo",
		     "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		     "22 21 0:23 / /proc rw shared:2 - proc proc rw\n"
		     "23 21 0:26 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw\n"
		     "24 21 0:28 / /dev/hugepages rw shared:4 - hugetlbfs hugetlbfs rw\n"
		     "25 21 0:6 / /dev rw,nosuid shared:5 - devtmpfs devtmpfs rw\n"
		     "26 21 259:0 / /mnt/pmem0 rw shared:6 - xfs /dev/pmem0 rw,dax=always\n"
		     "27 21 0:27 / /sys/fs/cgroup rw shared:7 - cgroup2 cgroup2 rw\n");
	proc_write_memory(m);
}

/* ---- One process ---- */

static int open_process(struct model *m, const struct model_process *p)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "proc/%d/", (int)p->pid);
	make_directories(m->root_fd, path);
	fd = openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static void add_vma_line(struct text *t, const struct model *m, const struct vma *v)
{
	const struct object *o = v->object;
	size_t before = t->size;

	text_add(t, "%012llx-%012llx rw-%c %08llx %02x:%02x %llu", (unsigned long long)v->start,
		 (unsigned long long)v->end, v->is_shared ? 's' : 'p',
		 (unsigned long long)(v->first_page * model_page(m)), o->dev_major, o->dev_minor,
		 (unsigned long long)o->inode);
	if (o->path && *o->path)
		text_add(t, "%*s%s", (int)(before + 73 > t->size ? before + 73 - t->size : 1), "",
			 o->path);
	text_add(t, "\n");
}

static uint64_t entry_kb(const struct model *m, const struct vma *v, enum page_kind kind)
{
	return page_runs_count(&v->table, kind, 0, (v->end - v->start) / model_page(m)) *
	       model_page(m) / 1024;
}

static void add_flags(struct text *t, const struct vma *v)
{
	static const struct {
		uint32_t flag;
		const char *letters;
	} names[] = {
		{VMA_FLAG_PF, "pf"}, {VMA_FLAG_IO, "io"}, {VMA_FLAG_LO, "lo"}, {VMA_FLAG_DE, "de"},
		{VMA_FLAG_HT, "ht"}, {VMA_FLAG_MM, "mm"}, {VMA_FLAG_HG, "hg"}, {VMA_FLAG_NH, "nh"},
		{VMA_FLAG_MG, "mg"}, {VMA_FLAG_UM, "um"}, {VMA_FLAG_UW, "uw"}, {VMA_FLAG_UI, "ui"},
		{VMA_FLAG_GU, "gu"}, {VMA_FLAG_NR, "nr"},
	};

	text_add(t, "VmFlags: rd wr%s mr mw me ms ", v->is_shared ? " sh" : "");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (v->flags & names[i].flag)
			text_add(t, "%s ", names[i].letters);
	}
	text_add(t, "sd \n");
}

static void add_smaps(struct text *t, const struct model *m, const struct vma *v)
{
	uint64_t huge = entry_kb(m, v, ENTRY_HUGE), copied = entry_kb(m, v, ENTRY_COPIED);
	uint64_t pages = entry_kb(m, v, ENTRY_PAGE), size = model_page(m) / 1024;
	bool is_anon = !vma_is_file(v);

	add_vma_line(t, m, v);
	text_add(t,
		 "Size:           %8llu kB\nKernelPageSize: %8llu kB\nMMUPageSize:    %8llu kB\n",
		 (unsigned long long)(v->end - v->start) / 1024, (unsigned long long)size,
		 (unsigned long long)size);
	text_add(t, "Rss:            %8llu kB\nAnonymous:      %8llu kB\n",
		 (unsigned long long)(huge + pages + copied),
		 (unsigned long long)(copied + (is_anon ? huge + pages : 0)));
	text_add(
		t,
		"AnonHugePages:  %8llu kB\nShmemPmdMapped: %8llu kB\nFilePmdMapped:         0 kB\n",
		(unsigned long long)(is_anon ? huge : 0),
		(unsigned long long)(vma_is_shmem(v) ? huge : 0));
	text_add(t, "Swap:           %8llu kB\nTHPeligible:           0\n",
		 (unsigned long long)entry_kb(m, v, ENTRY_SWAP));
	add_flags(t, v);
}

static void write_stat(int fd, const struct model_process *p, uint64_t vsize, uint64_t resident)
{
	uint64_t exec = p->exec_count * 0x1000;
	struct text t = {0};

	text_add(&t, "%d (%s) S 1 %d %d 0 -1 4194560 %llu 0 0 0 10 5 0 0 20 0 3 0 %llu %llu %llu ",
		 (int)p->pid, p->vm.comm, (int)p->pid, (int)p->pid, (unsigned long long)p->faults,
		 (unsigned long long)p->starttime, (unsigned long long)vsize,
		 (unsigned long long)resident);
	text_add(&t, "18446744073709551615 %llu %llu %llu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		 (unsigned long long)(0x555555554000 + exec),
		 (unsigned long long)(0x555555955000 + exec),
		 (unsigned long long)(0x7ffffffde000 + exec));
	write_text(fd, "stat", &t);
}

void proc_write_cgroup(struct model *m, struct model_process *p)
{
	const char *path = p->vm.cgroup;
	uint64_t max = p->vm.memcg_max_bytes;
	char name[512], text[32];

	if (strcmp(path, "/") == 0)
		return;
	(void)snprintf(name, sizeof(name), "sys/fs/cgroup%s/memory.max", path);
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)max);
	write_string(m->root_fd, name, max ? text : "max\n");
	(void)snprintf(name, sizeof(name), "sys/fs/cgroup%s/memory.current", path);
	(void)snprintf(text, sizeof(text), "%llu\n",
		       (unsigned long long)process_charged_bytes(m, p));
	write_string(m->root_fd, name, text);
}

void proc_write_counts(struct model *m, struct model_process *p)
{
	uint64_t resident = process_resident_pages(p), vsize = 0;
	struct text t = {0};
	int fd;

	if (!p->is_alive || p->is_loaded)
		return;
	fd = open_process(m, p);
	for (size_t i = 0; i < p->n_vmas; i++) {
		add_smaps(&t, m, &p->vmas[i]);
		vsize += p->vmas[i].end - p->vmas[i].start;
	}
	write_text(fd, "smaps", &t);
	t = (struct text){0};
	text_add(&t, "%llu %llu 100 50 0 200 0\n", (unsigned long long)(vsize / model_page(m)),
		 (unsigned long long)resident);
	write_text(fd, "statm", &t);
	write_stat(fd, p, vsize, resident);
	proc_write_cgroup(m, p);
	(void)close_fd(fd);
}

void proc_write_maps(struct model *m, struct model_process *p)
{
	struct text t = {0};
	int fd;

	if (!p->is_alive || p->is_loaded)
		return;
	fd = open_process(m, p);
	for (size_t i = 0; i < p->n_vmas; i++)
		add_vma_line(&t, m, &p->vmas[i]);
	write_text(fd, "maps", &t);
	(void)close_fd(fd);
	proc_write_counts(m, p);
}

static uint64_t create_inode(int dirfd, const char *name)
{
	struct stat st;

	(void)unlinkat(dirfd, name, 0);
	write_string(dirfd, name, "");
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	return st.st_ino;
}

/* The inode behind an fd says whose pidfd it is, and which mm's pagemap; see model_kernel.c. */
static void create_pidfd(struct model *m, struct model_process *p)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "pidfd/%llu", (unsigned long long)p->starttime);
	p->pidfd_inode = create_inode(m->root_fd, name);
}

void proc_attach(struct model *m, struct model_process *p, int dirfd)
{
	create_pidfd(m, p);
	p->pagemap_inode = create_inode(dirfd, "pagemap");
}

void proc_new_mm(struct model *m, struct model_process *p)
{
	struct text t = {0};
	int fd = open_process(m, p);

	p->pagemap_inode = create_inode(fd, "pagemap");
	text_add(&t, "%s\n", p->vm.comm);
	write_text(fd, "comm", &t);
	write_file(fd, "cmdline", p->args ? p->args : "", p->args_size);
	(void)unlinkat(fd, "exe", 0);
	if (symlinkat(p->vm.exe, fd, "exe") < 0)
		abort();
	(void)close_fd(fd);
	proc_write_maps(m, p);
}

static void add_fd(int dirfd, int number, const char *target)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "fd/%d", number);
	if (symlinkat(target, dirfd, name) < 0)
		abort();
}

void proc_add_userfaultfd(struct model *m, struct model_process *p)
{
	int fd = open_process(m, p);

	if (!p->vm.has_uffd)
		add_fd(fd, 20, "anon_inode:[userfaultfd]");
	p->vm.has_uffd = true;
	(void)close_fd(fd);
}

static void write_fds(int fd, const struct model_process *p)
{
	make_directories(fd, "fd/");
	add_fd(fd, 0, "/dev/null");
	if (p->vm.has_kvm) {
		add_fd(fd, 10, "/dev/kvm");
		add_fd(fd, 11, "anon_inode:kvm-vm");
		add_fd(fd, 12, "anon_inode:kvm-vcpu:0");
	}
	if (p->vm.has_uffd)
		add_fd(fd, 20, "anon_inode:[userfaultfd]");
	if (p->vm.has_vfio)
		add_fd(fd, 21, "/dev/vfio/12");
	if (p->vm.has_sev)
		add_fd(fd, 22, "/dev/sev");
}

static void write_status(int fd, const struct model_process *p)
{
	struct text t = {0};

	text_add(&t, "Name:\t%s\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\n",
		 p->vm.comm, (int)p->pid, (int)p->pid);
	text_add(&t, "PPid:\t1\nUid:\t107\t107\t107\t107\nGid:\t107\t107\t107\t107\nThreads:\t3\n");
	text_add(&t, "THP_enabled:\t%d\n", !p->vm.is_thp_disabled);
	write_text(fd, "status", &t);
}

void proc_create(struct model *m, struct model_process *p)
{
	struct text t = {0};
	int fd = open_process(m, p);

	create_pidfd(m, p);
	write_fds(fd, p);
	write_status(fd, p);
	text_add(&t, "0::%s\n", p->vm.cgroup);
	write_text(fd, "cgroup", &t);
	write_string(fd, "ksm_merging_pages", "0\n");
	(void)close_fd(fd);
	proc_new_mm(m, p);
}

static void empty_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

	(void)close_fd(fd);
}

static void remove_below(int dirfd)
{
	_cleanup_closedir_ DIR *d = fdopendir(dup(dirfd));
	struct dirent *e;

	if (!d)
		abort();
	rewinddir(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.' && strcmp(e->d_name, "fd") != 0)
			(void)unlinkat(dirfd, e->d_name, 0);
	}
}

/* What is held open of a process that ended reads as nothing. */
void proc_remove(struct model *m, struct model_process *p)
{
	char path[32];
	int fd = open_process(m, p), dir;

	empty_file(fd, "stat");
	empty_file(fd, "statm");
	dir = openat(fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		remove_below(dir);
	(void)close_fd(dir);
	(void)unlinkat(fd, "fd", AT_REMOVEDIR);
	remove_below(fd);
	(void)close_fd(fd);
	(void)snprintf(path, sizeof(path), "proc/%d", (int)p->pid);
	if (unlinkat(m->root_fd, path, AT_REMOVEDIR) < 0)
		abort();
}
