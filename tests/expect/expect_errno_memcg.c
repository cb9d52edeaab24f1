/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.5 EBUSY, 1.1: the new folio is charged to the memory cgroup of the target, not of the
 * caller; over the limit it is EBUSY, with no OOM kill. Uses a cgroup of its own, v1 or v2. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int put(const char *dir, const char *file, const char *value)
{
	char path[192];
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

/* Makes the cgroup; which of the two limit files it has tells the version. */
static int cgroup_make(char dir[128], const char **ret_limit_file)
{
	static const struct {
		const char *parent, *limit, *no_swap, *no_swap_value;
	} versions[] = {
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.swappiness", "0"},
		{"/sys/fs/cgroup", "memory.max", "memory.swap.max", "0"},
	};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		char file[192];

		(void)snprintf(dir, 128, "%s/thpd-expect-%d", versions[i].parent, (int)getpid());
		if (access(versions[i].parent, F_OK) < 0 || mkdir(dir, 0755) < 0)
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", dir, versions[i].limit);
		if (access(file, F_OK) == 0) {
			(void)put(dir, versions[i].no_swap, versions[i].no_swap_value);
			*ret_limit_file = versions[i].limit;
			return 0;
		}
		(void)rmdir(dir);
	}
	return -ENOENT;
}

/* Busy until the last process in it is really gone. */
static int cgroup_remove(const char *dir, const char *unused)
{
	const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};

	(void)unused;
	for (int left = 2000; rmdir(dir) < 0; left--) {
		if (errno != EBUSY || left == 0)
			return -errno;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

/* A block of small pages fits under the limit, a second block of memory for the copy does not. */
static void squeeze(expect *t, const char *dir, const char *limit_file)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_holding(EXPECT_MEMFD, 1, 0);
	char number[32];
	int r;

	(void)snprintf(number, sizeof(number), "%d", (int)vmm.pid);
	r = put(dir, "cgroup.procs", number);
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)(block * 7 / 4));
	if (r == 0)
		r = put(dir, limit_file, number);
	if (r < 0) {
		expect_skip(t, "cgroup takes no process or no limit", "over the limit");
		expect_skip(t, "cgroup takes no process or no limit", "not huge");
		expect_skip(t, "cgroup takes no process or no limit", "limit raised");
	} else {
		expect_target_fill(&vmm);
		expect_is(t, expect_collapse_blocks(&vmm, 0, 1), -EBUSY,
			  "target's cgroup is over its limit");
		expect_is(t, expect_is_huge(&vmm, 0), 0, "target lives, block is not huge");
		(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)(block * 8));
		(void)expect_setup(put(dir, limit_file, number), "raise the limit");
		expect_is(t, expect_collapse_blocks(&vmm, 0, 1), (int64_t)block,
			  "limit raised: success");
	}
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(3);
	char dir[128];
	const char *limit_file;
	expect_guard guard;

	if (cgroup_make(dir, &limit_file) < 0)
		return expect_skip_rest(&t, "no memory cgroup can be made here");
	guard = expect_guard_start(cgroup_remove, dir, "");
	squeeze(&t, dir, limit_file);
	expect_guard_release(&guard);
	return expect_end(&t);
}
