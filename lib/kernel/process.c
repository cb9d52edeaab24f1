/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "cleanup.h"
#include "parse.h"
#include "procfs.h"

#define NS_PER_S UINT64_C(1000000000)

static int open_directory(struct sys *sys, pid_t pid)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "proc/%d", (int)pid);
	fd = openat(sys->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

static int open_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

static int read_stat(const struct process *p, struct proc_stat *ret)
{
	char text[1024];
	ssize_t n = pread(p->stat_fd, text, sizeof(text), 0);

	if (n < 0)
		return -errno;
	return n == 0 ? -ESRCH : stat_parse(text, (size_t)n, ret);
}

/* Where the program and its stack were put: both are set by exec and random with ASLR. What this
 * misses (no ASLR, no right to see the addresses) the dead pagemap shows: process_attach(). */
static uint64_t mm_key_of(const struct proc_stat *stat)
{
	return stat->start_stack * UINT64_C(0x9e3779b97f4a7c15) ^ stat->start_code;
}

uint64_t process_age_ns(struct sys *sys, const struct process *p)
{
	char text[64];
	ssize_t n = sys_read_at(sys->rootfd, "proc/uptime", text, sizeof(text));
	long ticks_per_s = sysconf(_SC_CLK_TCK);
	uint64_t uptime_s, began_s;

	if (n <= 0 || ticks_per_s <= 0)
		return UINT64_MAX;
	text[strcspn(text, ".")] = '\0';
	began_s = p->starttime / (uint64_t)ticks_per_s;
	if (parse_u64(text, &uptime_s) < 0 || uptime_s < began_s)
		return UINT64_MAX;
	uptime_s -= began_s;
	return uptime_s > UINT64_MAX / NS_PER_S ? UINT64_MAX : uptime_s * NS_PER_S;
}

int process_read_identity(struct process *p)
{
	struct proc_stat stat;
	int r = read_stat(p, &stat);

	if (r < 0)
		return r;
	p->starttime = stat.starttime;
	p->mm_key = mm_key_of(&stat);
	p->is_known = true;
	return 0;
}

/* The directory and the pidfd were opened by number, one after the other. If the process of the
 * directory still exists after the pidfd was opened, its number was never free in between, so that
 * both are the same process. */
static int prove_same(struct sys *sys, const struct process *p)
{
	char text[256];
	ssize_t n = pread(p->statm_fd, text, sizeof(text), 0);
	int r;

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	r = sys->ops->pidfd_is_alive(sys, p->pidfd);
	return r < 0 ? r : r == 0 ? -ESRCH : 0;
}

static int open_parts(struct sys *sys, struct process *p)
{
	p->dirfd = open_directory(sys, p->pid);
	if (p->dirfd < 0)
		return p->dirfd;
	p->pidfd = sys->ops->pidfd_open(sys, p->pid);
	if (p->pidfd < 0)
		return p->pidfd;
	p->stat_fd = open_file(p->dirfd, "stat");
	if (p->stat_fd < 0)
		return p->stat_fd;
	p->statm_fd = open_file(p->dirfd, "statm");
	if (p->statm_fd < 0)
		return p->statm_fd;
	return prove_same(sys, p);
}

int process_hold(struct sys *sys, pid_t pid, struct process *ret)
{
	struct process p = PROCESS_INIT;
	int r;

	p.pid = pid;
	r = open_parts(sys, &p);
	if (r < 0) {
		process_close(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int process_open(struct sys *sys, pid_t pid, struct process *ret)
{
	struct process p;
	int r = process_hold(sys, pid, &p);

	if (r < 0)
		return r;
	r = process_attach(sys, &p);
	if (r < 0) {
		process_close(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void process_close(struct process *p)
{
	p->dirfd = close_fd(p->dirfd);
	p->pidfd = close_fd(p->pidfd);
	p->pagemap_fd = close_fd(p->pagemap_fd);
	p->statm_fd = close_fd(p->statm_fd);
	p->stat_fd = close_fd(p->stat_fd);
}

bool process_is_alive(struct sys *sys, const struct process *p)
{
	return sys->ops->pidfd_is_alive(sys, p->pidfd) == 1;
}

/* The pagemap fd reads nothing at all once the mm that it was opened on is gone. */
static bool pagemap_is_dead(struct sys *sys, const struct process *p)
{
	uint64_t entry;

	return sys->ops->pagemap_read(sys, p->pagemap_fd, p->pid, 0, &entry, 1) == 0;
}

/* Out of fds is a failure; everything else only means that looks cannot be made. */
static bool is_out_of_fds(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

int process_attach(struct sys *sys, struct process *p)
{
	struct process now = *p;
	bool is_other;
	int r, fd;

	if (!process_is_alive(sys, p))
		return -ESRCH;
	r = process_read_identity(&now);
	if (r < 0)
		return r;
	is_other = p->is_known && (now.mm_key != p->mm_key || pagemap_is_dead(sys, p));
	if (p->is_known && !is_other && p->pagemap_fd >= 0)
		return 0;
	/* First the fd, then the key: an exec in between leaves a dead fd, which the next call
	 * finds. */
	fd = open_file(p->dirfd, "pagemap");
	if (is_out_of_fds(fd))
		return fd;
	r = process_read_identity(&now);
	if (r < 0) {
		(void)close_fd(fd);
		return r;
	}
	is_other |= p->is_known && now.mm_key != p->mm_key;
	(void)close_fd(p->pagemap_fd);
	*p = now;
	p->pagemap_fd = fd;
	return is_other ? 1 : 0;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int process_list(struct sys *sys, pid_t **ret, size_t *ret_n)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	struct dirent *entry;
	size_t n = 0;
	int r = sys_opendir_at(sys->rootfd, "proc", &dir);

	if (r < 0)
		return r;
	while ((errno = 0, entry = readdir(dir))) {
		pid_t pid;

		if (parse_pid(entry->d_name, &pid) < 0)
			continue;
		r = ARRAY_APPEND(&pids, &n, &pid);
		if (r < 0)
			return r;
	}
	if (errno)
		return -errno;
	if (n)
		qsort(pids, n, sizeof(*pids), compare_pids);
	*ret = TAKE_PTR(pids);
	*ret_n = n;
	return 0;
}
