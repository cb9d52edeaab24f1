/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KERNEL.md 1.2, 1.4 "aligned start, length 1 MiB: success, nothing done": asking for one page at
 * the start of a block is a question about the VMA alone. thpd's ladder uses it before it spends
 * anything: the page size when MADV_COLLAPSE may work in this VMA, EINVAL when it never will, and
 * no effect. It answers for the VMA as a whole: not for the block, nor for uffd, guards, pins, or
 * pages. */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GUARD_INSTALL = 102, THP_DISABLE_EXCEPT_ADVISED = 1 << 1 };
#define BLOCKS(n) ((n)*memstate_block_bytes())

static int64_t address(int r, const memstate_map *map)
{
	return r < 0 ? r : (int64_t)(uintptr_t)map->addr;
}

static int64_t filled(int r, const memstate_map *map)
{
	return address(r < 0 ? r : memstate_fill_small(map->addr, map->bytes, 0), map);
}

static int64_t advised(int64_t start, uint64_t bytes, int advice)
{
	if (start < 0)
		return start;
	return madvise((void *)(uintptr_t)start, bytes, advice) < 0 ? -errno : start;
}

static int64_t memfd_small(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;

	return filled(memstate_map_memfd(&map, BLOCKS(2), arg[0]), &map);
}

static int64_t memfd_empty(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;

	return address(memstate_map_memfd(&map, BLOCKS(2), arg[0]), &map);
}

static int64_t anon_small(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;

	return filled(memstate_map_anon(&map, BLOCKS(2), arg[0]), &map);
}

static int64_t anon_empty(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;

	return address(memstate_map_anon(&map, BLOCKS(2), arg[0]), &map);
}

static int64_t memfd_short(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;

	return address(memstate_map_memfd(&map, BLOCKS(1) / 2, arg[0]), &map);
}

/* 1.5 blocks: the question is put about the half one at the end */
static int64_t memfd_tail(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;
	const int r = memstate_map_memfd(&map, BLOCKS(3) / 2, arg[0]);

	return r < 0 ? r : address(r, &map) + (int64_t)BLOCKS(1);
}

static int64_t memfd_private(const uint64_t arg[4])
{
	memstate_map shared = MEMSTATE_MAP_INIT, map = MEMSTATE_MAP_INIT;
	int r = memstate_map_memfd(&shared, BLOCKS(2), arg[0]);

	if (r == 0)
		r = memstate_map_fd(&map, shared.fd, 0, BLOCKS(2), 0, MAP_PRIVATE);
	return address(r, &map);
}

static int64_t memfd_unreadable(const uint64_t arg[4])
{
	const int64_t start = memfd_small(arg);

	if (start < 0)
		return start;
	return mprotect((void *)(uintptr_t)start, BLOCKS(2), PROT_NONE) < 0 ? -errno : start;
}

static int64_t memfd_advised(const uint64_t arg[4])
{
	return advised(memfd_small((const uint64_t[4]){0}), BLOCKS(2), (int)arg[0]);
}

static int64_t anon_advised(const uint64_t arg[4])
{
	return advised(anon_small((const uint64_t[4]){0}), BLOCKS(2), (int)arg[0]);
}

static int64_t anon_guarded(const uint64_t arg[4])
{
	return advised(anon_small((const uint64_t[4]){0}), memstate_page_bytes(), (int)arg[0]);
}

static int64_t memfd_armed(const uint64_t arg[4])
{
	const int64_t start = memfd_small((const uint64_t[4]){0});
	const int64_t fd =
		start < 0
			? start
			: expect_arm_uffd((const uint64_t[4]){(uint64_t)start, BLOCKS(2), arg[0]});

	return fd < 0 ? fd : start;
}

static int64_t thp_disabled(const uint64_t arg[4])
{
	if (prctl(PR_SET_THP_DISABLE, 1, (unsigned long)arg[0], 0, 0) < 0)
		return -errno;
	return memfd_small((const uint64_t[4]){0});
}

static int64_t named_file(const char *pattern)
{
	memstate_map map = MEMSTATE_MAP_INIT;
	char name[64];
	int fd, r;

	for (size_t i = 0; i < sizeof(name); i++)
		if ((name[i] = pattern[i]) == '\0')
			break;
	fd = mkstemp(name);
	if (fd < 0)
		return -errno;
	r = ftruncate(fd, (off_t)BLOCKS(2)) < 0
		    ? -errno
		    : memstate_map_fd(&map, fd, 0, BLOCKS(2), 0, MAP_SHARED);
	(void)unlink(name);
	return filled(r, &map);
}

static int64_t tmpfs_named(const uint64_t arg[4])
{
	(void)arg;
	return named_file("/dev/shm/thpd-expect-XXXXXX");
}

static int64_t disk_named(const uint64_t arg[4])
{
	(void)arg;
	return named_file("/var/tmp/thpd-expect-XXXXXX");
}

/* No page is needed in the pool as long as nothing is touched. */
static int64_t hugetlb(const uint64_t arg[4])
{
	void *p = mmap(NULL, BLOCKS(2), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	(void)arg;
	return p == MAP_FAILED ? -errno : (int64_t)(uintptr_t)p;
}

static int64_t secret(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;
	int fd = (int)syscall(SYS_memfd_secret, 0);

	(void)arg;
	if (fd < 0 || ftruncate(fd, (off_t)BLOCKS(2)) < 0)
		return -errno;
	return address(memstate_map_fd(&map, fd, 0, BLOCKS(2), 0, MAP_SHARED), &map);
}

/* A VM_SPECIAL VMA as large as a block that every kernel has: the submission entries of a big ring.
 * They take no address from us, so pads are put above until they land on a block boundary; a pad
 * may fall into a small gap elsewhere, then the next one will not. */
static int64_t special(const uint64_t arg[4])
{
	struct io_uring_params params = {.flags = IORING_SETUP_SQE128};
	const int ring = (int)syscall(SYS_io_uring_setup, 32768, &params);
	const uint64_t bytes = 32768 * 128;

	(void)arg;
	if (ring < 0)
		return -errno;
	for (int tries = 0; tries < 64; tries++) {
		uint8_t *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, ring, IORING_OFF_SQES);
		const uint64_t pad = ((uint64_t)(uintptr_t)p + bytes) % BLOCKS(1);

		if (p == MAP_FAILED)
			return -errno;
		if (pad == 0)
			return (int64_t)(uintptr_t)p;
		(void)munmap(p, bytes);
		(void)mmap(NULL, pad, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	return -EADDRNOTAVAIL;
}

enum verdict { NEVER, MAYBE, BY_KERNEL };

static const struct row {
	const char *text;
	expect_fn *setup;
	uint64_t arg;
	enum verdict verdict;
	int64_t missing_errno; /* setup may fail with this, or EPERM: then skip */
	const char *missing;
} rows[] = {
	{"memfd, small folios", memfd_small, 0, MAYBE, 0, NULL},
	{"memfd, nothing touched", memfd_empty, 0, MAYBE, 0, NULL},
	{"tmpfs, named file", tmpfs_named, 0, MAYBE, 0, NULL},
	{"memfd mapped MAP_PRIVATE", memfd_private, 0, MAYBE, 0, NULL},
	{"memfd, PROT_NONE", memfd_unreadable, 0, MAYBE, 0, NULL},
	{"memfd, half block at the end of a VMA with a whole one", memfd_tail, 0, MAYBE, 0, NULL},
	{"memfd, KSM mergeable (mg; no effect on shared memory)", memfd_advised, MADV_MERGEABLE,
	 MAYBE, -EINVAL, "no KSM"},
	{"anon, KSM mergeable (mg)", anon_advised, MADV_MERGEABLE, MAYBE, -EINVAL, "no KSM"},
	{"anon, small folios", anon_small, 0, MAYBE, 0, NULL},
	{"anon with a guard page (gu): not noticed", anon_guarded, GUARD_INSTALL, MAYBE, -EINVAL,
	 "kernel < 6.13: no guard regions"},
	{"memfd, uffd-wp armed (uw): not noticed", memfd_armed, UFFDIO_REGISTER_MODE_WP, MAYBE,
	 -EINVAL, "no uffd-wp for shmem"},
	{"memfd, uffd-missing armed (um): not noticed", memfd_armed, UFFDIO_REGISTER_MODE_MISSING,
	 MAYBE, 0, NULL},
	{"memfd, uffd-minor armed (ui): not noticed", memfd_armed, UFFDIO_REGISTER_MODE_MINOR,
	 MAYBE, -EINVAL, "no uffd-minor for shmem"},
	{"PR_SET_THP_DISABLE except advised", thp_disabled, THP_DISABLE_EXCEPT_ADVISED, MAYBE,
	 -EINVAL, "kernel < 6.18: no PR_THP_DISABLE_EXCEPT_ADVISED"},
	{"anon, nothing touched (no anon_vma)", anon_empty, 0, NEVER, 0, NULL},
	{"memfd a page off a block boundary", memfd_small, 4096, NEVER, 0, NULL},
	{"memfd shorter than a block", memfd_short, 0, NEVER, 0, NULL},
	{"memfd, MADV_NOHUGEPAGE (nh)", memfd_advised, MADV_NOHUGEPAGE, NEVER, 0, NULL},
	{"anon, MADV_NOHUGEPAGE (nh)", anon_advised, MADV_NOHUGEPAGE, NEVER, 0, NULL},
	{"PR_SET_THP_DISABLE", thp_disabled, 0, NEVER, 0, NULL},
	{"hugetlb (ht)", hugetlb, 0, NEVER, -EINVAL, "no hugetlb"},
	{"secretmem", secret, 0, NEVER, -ENOSYS, "secretmem off (secretmem.enable=0)"},
	{"regular file on disk, open for writing (7.2+ may allow)", disk_named, 0, BY_KERNEL, 0,
	 NULL},
	{"VM_SPECIAL: io_uring entries (io, de, pf or mm)", special, 0, NEVER, -ENOSYS,
	 "no io_uring"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void judge(expect *t, const expect_target *vmm, const struct row *row, const uint8_t *addr)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	const int64_t present = memstate_count_present(vmm->pid, addr, block);
	const int64_t huge = memstate_count_huge(vmm->pid, addr, block);
	const int64_t answer = expect_collapse(vmm, addr, page);
	char asked[24], done[24];

	if (row->verdict == BY_KERNEL)
		expect_ok(t, answer == (int64_t)page || answer == -EINVAL, "%s: %s here", row->text,
			  expect_errno_name(answer, asked));
	else
		expect_is(t, answer, row->verdict == MAYBE ? (int64_t)page : -EINVAL, "%s",
			  row->text);
	expect_ok(t,
		  memstate_count_present(vmm->pid, addr, block) == present &&
			  memstate_count_huge(vmm->pid, addr, block) == huge,
		  "%s: the question changed nothing", row->text);
	expect_note("the whole block, in earnest: %s; special VMA: %s",
		    expect_errno_name(expect_collapse(vmm, addr, block), done),
		    memstate_has_vmflag(vmm->pid, addr, "de") > 0 ? "yes" : "no");
}

static void ask(expect *t, const struct row *row)
{
	const uint64_t block = memstate_block_bytes();
	expect_target vmm = expect_target_start();
	const int64_t start = EXPECT_RUN(&vmm, row->setup, row->arg);

	if (start < 0 && (start == row->missing_errno || start == -EPERM)) {
		const char *missing =
			start == -EPERM ? "no permission for the setup" : row->missing;

		expect_skip(t, missing, "%s", row->text);
		expect_skip(t, missing, "%s: the question changed nothing", row->text);
	} else {
		(void)expect_setup(start, row->text);
		judge(t, &vmm, row,
		      (uint8_t *)(uintptr_t)(((uint64_t)start + block - 1) / block * block));
	}
	expect_target_stop(&vmm);
}

int main(void)
{
	expect t = expect_begin(2 * ROWS);

	for (const struct row *row = rows; row < rows + ROWS; row++)
		ask(&t, row);
	return expect_end(&t);
}
