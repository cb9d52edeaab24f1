/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.1, 1.3, finding 10: the global shmem_enabled=deny and the per-size knob (6.11+)
 * =never bar memfd; per-size =advise wants MADV_HUGEPAGE; a named tmpfs file follows neither
 * per-size value. The one-page question of expect_eligibility_probe sees it. Knobs are pushed for
 * milliseconds, under a lock, and put back by a guardian process. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THP "/sys/kernel/mm/transparent_hugepage/"

typedef struct targets {
	expect_target memfd, advised, tmpfs;
} targets;

static targets targets_start(void)
{
	char name[] = "/dev/shm/thpd-expect-XXXXXX";
	const uint64_t bytes = 2 * memstate_block_bytes();
	const int fd = mkostemp(name, O_CLOEXEC);
	targets all;

	(void)expect_setup(fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0,
			   "file in /dev/shm");
	all.memfd = expect_target_holding(EXPECT_MEMFD, 2, 0);
	all.advised = expect_target_holding(EXPECT_MEMFD, 2, 0);
	all.tmpfs = expect_target_start();
	/* It has its name while it is mapped: a nameless one counts as anonymous shmem. */
	expect_target_map_fd(&all.tmpfs, fd, bytes, 0, MAP_SHARED);
	(void)unlink(name);
	(void)close(fd);
	expect_target_fill(&all.memfd);
	expect_target_fill(&all.advised);
	expect_target_fill(&all.tmpfs);
	(void)expect_setup(expect_run_blocks(&all.advised, expect_madvise, 0, 2, MADV_HUGEPAGE),
			   "advise");
	return all;
}

static void targets_stop(targets *all)
{
	expect_target_stop(&all->memfd);
	expect_target_stop(&all->advised);
	expect_target_stop(&all->tmpfs);
}

/* Collapses one block of each with the knob set, then says what came of it. */
static void with_knob(expect *t, const char *path, const char *value, const int64_t want[3])
{
	const uint64_t page = memstate_page_bytes();
	const char *scope = strstr(path, "hugepages-") ? "per-size" : "global";
	targets all = targets_start();
	expect_guard knob;
	const int r = expect_knob_push(t, &knob, path, value);
	int64_t got[4] = {0};

	if (r < 0) {
		for (int i = 0; i < 4; i++)
			expect_skip(t,
				    r == -ENOENT ? "kernel < 6.11: no per-size shmem knob"
						 : "the sysfs knob cannot be written",
				    "%s shmem_enabled=%s", scope, value);
		targets_stop(&all);
		return;
	}
	got[0] = expect_collapse(&all.memfd, all.memfd.addr, page);
	got[1] = expect_collapse_blocks(&all.memfd, 0, 1);
	got[2] = expect_collapse_blocks(&all.advised, 0, 1);
	got[3] = expect_collapse_blocks(&all.tmpfs, 0, 1);
	expect_knob_pop(t, &knob);
	expect_is(t, got[0], want[0] < 0 ? want[0] : (int64_t)page,
		  "%s %s: memfd, one-page question", scope, value);
	expect_is(t, got[1], want[0], "%s %s: memfd", scope, value);
	expect_is(t, got[2], want[1], "%s %s: memfd with MADV_HUGEPAGE", scope, value);
	expect_is(t, got[3], want[2], "%s %s: named tmpfs file", scope, value);
	targets_stop(&all);
}

int main(void)
{
	expect t = expect_begin(16);
	const int64_t done = (int64_t)memstate_block_bytes();
	char per_size[128];

	(void)snprintf(per_size, sizeof(per_size), THP "hugepages-%ukB/shmem_enabled",
		       (unsigned int)(memstate_block_bytes() / 1024));
	with_knob(&t, per_size, "never", (const int64_t[]){-EINVAL, -EINVAL, done});
	with_knob(&t, per_size, "advise", (const int64_t[]){-EINVAL, done, done});
	with_knob(&t, THP "shmem_enabled", "never", (const int64_t[]){done, done, done});
	with_knob(&t, THP "shmem_enabled", "deny", (const int64_t[]){-EINVAL, -EINVAL, -EINVAL});
	return expect_end(&t);
}
