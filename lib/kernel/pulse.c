/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "procfs.h"

static ssize_t reread(int fd, char *buffer, size_t size)
{
	ssize_t r = pread(fd, buffer, size - 1, 0);

	if (r < 0)
		return -errno;
	buffer[r] = '\0';
	return r;
}

int host_pulse_open(struct sys *sys, struct host_pulse_reader *ret)
{
	_cleanup_close_ int vmstat = -EBADF, loadavg = -EBADF;

	vmstat = openat(sys->rootfd, "proc/vmstat", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (vmstat < 0)
		return -errno;
	loadavg = openat(sys->rootfd, "proc/loadavg", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (loadavg < 0)
		return -errno;
	ret->vmstat_fd = TAKE_FD(vmstat);
	ret->loadavg_fd = TAKE_FD(loadavg);
	return 0;
}

void host_pulse_close(struct host_pulse_reader *r)
{
	r->vmstat_fd = close_fd(r->vmstat_fd);
	r->loadavg_fd = close_fd(r->loadavg_fd);
}

/* "\nNAME VALUE\n"; 0 where the kernel has no such counter. name starts with the newline, which
 * keeps a longer name from matching: none of those wanted is the first line. */
static uint64_t vmstat_value(const char *text, const char *end, const char *name)
{
	const char *at = strstr(text, name);
	uint64_t value = 0;
	struct scanner s;

	if (!at)
		return 0;
	s = (struct scanner){.at = at + strlen(name), .end = end};
	(void)scan_u64(&s, &value);
	return value;
}

static int read_vmstat(int fd, struct host_pulse *p)
{
	char text[32768];
	ssize_t n = reread(fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	p->split_pmd = vmstat_value(text, text + n, "\nthp_split_pmd ");
	p->split_page = vmstat_value(text, text + n, "\nthp_split_page ");
	p->anon_pages = vmstat_value(text, text + n, "\nnr_anon_pages ");
	p->file_pages = vmstat_value(text, text + n, "\nnr_mapped ");
	return 0;
}

static int read_last_pid(int fd, struct host_pulse *p)
{
	char text[128];
	ssize_t n = reread(fd, text, sizeof(text));
	struct scanner s;
	const char *blank;

	if (n < 0)
		return (int)n;
	blank = strrchr(text, ' ');
	if (!blank)
		return -EINVAL;
	s = (struct scanner){.at = blank + 1, .end = text + n};
	return scan_u64(&s, &p->last_pid) ? 0 : -EINVAL;
}

int host_pulse_read(const struct host_pulse_reader *r, struct host_pulse *ret)
{
	struct host_pulse p = {0};
	int e = read_vmstat(r->vmstat_fd, &p);

	if (e == 0)
		e = read_last_pid(r->loadavg_fd, &p);
	if (e < 0)
		return e;
	*ret = p;
	return 0;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

bool host_pulse_has_moved(const struct host_pulse *then, const struct host_pulse *now,
			  uint64_t pages)
{
	return distance(then->anon_pages, now->anon_pages) >= pages ||
	       distance(then->file_pages, now->file_pages) >= pages;
}

int pulse_read(const struct process *p, struct pulse *ret)
{
	char text[256];
	ssize_t n = reread(p->statm_fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	/* A zombie has no memory any more, a dead process no file. */
	return n == 0 ? -ESRCH
		      : statm_parse(text, (size_t)n, &ret->size_pages, &ret->resident_pages);
}

int pulse_read_faults(const struct process *p, struct pulse *ret)
{
	char text[1024];
	struct proc_stat stat;
	ssize_t n = reread(p->stat_fd, text, sizeof(text));
	int r;

	if (n < 0)
		return (int)n;
	r = n == 0 ? -ESRCH : stat_parse(text, (size_t)n, &stat);
	if (r == 0)
		ret->minor_faults = stat.minor_faults;
	return r;
}
