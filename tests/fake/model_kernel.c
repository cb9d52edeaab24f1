/* SPDX-License-Identifier: GPL-2.0-or-later */

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
#include "host.h"

void *model_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

char *model_strdup(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

void model_lock(struct model *m)
{
	if (pthread_mutex_lock(&m->lock) != 0)
		abort();
}

void model_unlock(struct model *m)
{
	if (pthread_mutex_unlock(&m->lock) != 0)
		abort();
}

/* ---- Processes ---- */

static void process_drop_mm(struct model *m, struct model_process *p)
{
	while (p->n_vmas > 0)
		process_remove_vma(m, p, &p->vmas[p->n_vmas - 1]);
}

struct model_process *process_by_pid(struct model *m, pid_t pid)
{
	for (struct model_process *p = m->processes; p; p = p->next) {
		if (p->is_alive && p->pid == pid)
			return p;
	}
	return NULL;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

struct model_process *process_by_pidfd(struct model *m, int fd)
{
	uint64_t inode = inode_of(fd);

	for (struct model_process *p = m->processes; inode && p; p = p->next) {
		if (p->pidfd_inode == inode)
			return p;
	}
	return NULL;
}

struct model_process *process_by_pagemap(struct model *m, int fd, pid_t pid)
{
	struct model_process *loaded = fd < 0 ? process_by_pid(m, pid) : NULL;
	uint64_t inode = inode_of(fd);

	if (loaded && loaded->is_loaded)
		return loaded;
	for (struct model_process *p = m->processes; inode && p; p = p->next) {
		if (p->is_alive && p->pagemap_inode == inode)
			return p;
	}
	return NULL;
}

void process_end(struct model *m, struct model_process *p)
{
	if (!p->is_alive)
		return;
	p->is_alive = false;
	p->pagemap_inode = 0;
	process_drop_mm(m, p);
	proc_remove(m, p);
}

void process_exec(struct model *m, struct model_process *p)
{
	process_drop_mm(m, p);
	p->exec_count++;
	proc_new_mm(m, p);
}

static void copy_args(struct model_process *p, const char *const *args)
{
	for (size_t i = 0; args && args[i]; i++) {
		size_t size = strlen(args[i]) + 1;

		p->args = realloc(p->args, p->args_size + size);
		if (!p->args)
			abort();
		memcpy(p->args + p->args_size, args[i], size);
		p->args_size += size;
	}
}

struct model_process *model_spawn(struct model *m, const struct model_vm *vm)
{
	struct model_process *p = model_alloc(sizeof(*p));

	model_lock(m);
	if (process_by_pid(m, vm->pid))
		abort();
	p->model = m;
	p->pid = vm->pid;
	p->starttime = m->next_starttime++;
	p->vm = *vm;
	p->vm.comm = model_strdup(vm->comm ? vm->comm : "qemu-system-x86");
	p->vm.exe = model_strdup(vm->exe ? vm->exe : "/usr/bin/qemu-system-x86_64");
	p->vm.cgroup = model_strdup(vm->cgroup ? vm->cgroup : "/");
	p->vm.args = NULL;
	copy_args(p, vm->args);
	p->is_alive = true;
	p->next = m->processes;
	m->processes = p;
	proc_create(m, p);
	model_unlock(m);
	return p;
}

static void process_destroy(struct model *m, struct model_process *p)
{
	process_drop_mm(m, p);
	free(p->vmas);
	free((char *)(uintptr_t)p->vm.comm);
	free((char *)(uintptr_t)p->vm.exe);
	free((char *)(uintptr_t)p->vm.cgroup);
	free(p->args);
	free(p);
}

struct model_process *model_find(struct model *m, pid_t pid)
{
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	model_unlock(m);
	return p;
}

void model_exit(struct model *m, pid_t pid)
{
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	if (p)
		process_end(m, p);
	proc_write_memory(m);
	model_unlock(m);
}

void model_exec(struct model *m, pid_t pid)
{
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	if (p)
		process_exec(m, p);
	model_unlock(m);
}

void model_set_memcg_max(struct model *m, pid_t pid, uint64_t bytes)
{
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	if (p) {
		p->vm.memcg_max_bytes = bytes;
		proc_write_cgroup(m, p);
	}
	model_unlock(m);
}

/* ---- The machine ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

struct model *model_new(const struct model_options *o)
{
	struct model *m = model_alloc(sizeof(*m));
	char path[] = "/dev/shm/thpd-model-XXXXXX";

	m->options = *o;
	if (m->options.mem_total_bytes == 0)
		m->options.mem_total_bytes = UINT64_C(64) << 30;
	if (pthread_mutex_init(&m->lock, NULL) != 0 || !mkdtemp(path))
		abort();
	m->root = model_strdup(path);
	m->root_fd = open(m->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0)
		abort();
	m->now_ns = 100 * MODEL_SECOND;
	m->next_starttime = 1000;
	m->next_inode = 4096;
	m->next_stamp = 1;
	m->stats.least_free_blocks = m->stats.least_headroom_bytes = UINT64_MAX;
	m->stats.least_node_free_blocks = UINT64_MAX;
	m->next_small_pfn = UINT64_C(1) << 32;
	m->next_large_pfn = UINT64_C(1) << 34;
	m->next_folio_pfn = UINT64_C(1) << 36;
	m->next_device_pfn = UINT64_C(1) << 37;
	m->free_blocks = o->free_blocks;
	for (int node = 0; node < MODEL_NODES_MAX; node++)
		m->node_free_blocks[node] = o->free_blocks;
	(void)snprintf(m->shmem_global, sizeof(m->shmem_global), "never");
	(void)snprintf(m->shmem_block, sizeof(m->shmem_block), "inherit");
	proc_write_host(m);
	return m;
}

struct model *model_free(struct model *m)
{
	if (!m)
		return NULL;
	while (m->processes) {
		struct model_process *p = m->processes;

		m->processes = p->next;
		process_destroy(m, p);
	}
	(void)close_fd(m->root_fd);
	(void)nftw(m->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(m->root);
	free(m->faults);
	free(m->calls);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

static int op_pidfd_open(struct sys *sys, pid_t pid)
{
	struct model *m = sys->userdata;
	struct model_process *p;
	char path[64];
	int fd = -ESRCH;

	model_lock(m);
	p = process_by_pid(m, pid);
	if (p) {
		(void)snprintf(path, sizeof(path), "pidfd/%llu", (unsigned long long)p->starttime);
		fd = openat(m->root_fd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	model_unlock(m);
	return fd;
}

static int op_pidfd_is_alive(struct sys *sys, int pidfd)
{
	struct model *m = sys->userdata;
	struct model_process *p;
	int r;

	model_lock(m);
	p = process_by_pidfd(m, pidfd);
	r = p ? p->is_alive : -EBADF;
	model_unlock(m);
	return r;
}

static uint64_t op_now(struct sys *sys)
{
	return model_now(sys->userdata);
}

static uint64_t op_page_bytes(struct sys *sys)
{
	return model_page(sys->userdata);
}

static int op_release(struct sys *sys, char *buffer, size_t size)
{
	const struct model *m = sys->userdata;

	(void)snprintf(buffer, size, "%s",
		       m->options.release[0] ? m->options.release : "6.18.44-model");
	return 0;
}

const struct sys_ops *model_ops(void)
{
	static const struct sys_ops ops = {
		.pidfd_open = op_pidfd_open,
		.pidfd_is_alive = op_pidfd_is_alive,
		.collapse = model_collapse,
		.seed_hole = model_seed_hole,
		.pagemap_scan = model_pagemap_scan,
		.pagemap_read = model_pagemap_read,
		.kpageflags_read = model_kpageflags_read,
		.move_pages = model_move_pages,
		.now_ns = op_now,
		.page_bytes = op_page_bytes,
		.release = op_release,
	};

	return &ops;
}

int model_open_sys(struct model *m, struct sys *ret)
{
	struct sys sys = SYS_INIT;

	sys.rootfd = open(m->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sys.rootfd < 0)
		return -errno;
	sys.ops = model_ops();
	sys.userdata = m;
	*ret = sys;
	return 0;
}

const char *model_root(const struct model *m)
{
	return m->root;
}

const struct mmu_geometry *model_geometry(const struct model *m)
{
	return &m->options.geometry;
}

uint32_t model_features(const struct model *m)
{
	const struct model_options *o = &m->options;
	uint32_t features = FEATURE_OTHER_PROCESSES | FEATURE_NODES;

	if (o->has_collapse_right)
		features |= FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM | FEATURE_ELIGIBILITY_PROBE;
	if (o->has_scan)
		features |= FEATURE_PAGEMAP_SCAN | (o->has_guard ? FEATURE_SCAN_GUARD : 0);
	if (o->has_pfn_right)
		features |= FEATURE_PFN | FEATURE_KPAGEFLAGS;
	return features | (o->is_uffd_safe ? FEATURE_UFFD_SAFE : 0);
}

uint64_t model_now(struct model *m)
{
	uint64_t now;

	model_lock(m);
	now = m->now_ns;
	model_unlock(m);
	return now;
}

void model_advance(struct model *m, uint64_t ns)
{
	model_lock(m);
	m->now_ns += ns;
	model_unlock(m);
}

void model_set_free_blocks(struct model *m, uint64_t blocks)
{
	model_lock(m);
	m->free_blocks = blocks;
	proc_write_memory(m);
	model_unlock(m);
}

void model_set_shmem_knobs(struct model *m, const char *global, const char *per_size)
{
	model_lock(m);
	(void)snprintf(m->shmem_global, sizeof(m->shmem_global), "%s", global);
	(void)snprintf(m->shmem_block, sizeof(m->shmem_block), "%s", per_size);
	proc_write_host(m);
	model_unlock(m);
}

void model_set_ksm(struct model *m, bool is_running)
{
	model_lock(m);
	m->is_ksm_running = is_running;
	proc_write_host(m);
	model_unlock(m);
}
