/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memstate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* How a PMD-mapped folio becomes PTE-mapped without QEMU; 6.18, per block of 2 MiB, shmem / anon:
 *
 *   mprotect(first page), MADV_POPULATE_READ(block), mprotect back      152 us / 134 us   used here
 *   map once more a page off, populate, mremap over the aligned place   267 us / -
 *   uffd-wp the range, unprotect page by page, unregister (QEMU's way)  330 us / 390 us
 *   MADV_DONTNEED of the block or of one page, touch again              does not do: the PMD comes
 * back
 *
 * The first mprotect puts a VMA boundary inside the block. That splits the mapping: an anonymous
 * PMD becomes PTEs, a shared one is dropped (KERNEL.md 7.1), and while the boundary is there no
 * fault may install a PMD. The second mprotect lets the VMAs merge; a page table that exists is
 * kept for good.
 */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

enum { SCAN_REGIONS = 512, PAGEMAP_CHUNK = 4096 };

#define PAGEMAP_PRESENT	 (UINT64_C(1) << 63)
#define PAGEMAP_PFN_MASK ((UINT64_C(1) << 55) - 1)

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

static int proc_open(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	if (pid == 0)
		(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	else
		(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

uint64_t memstate_page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t memstate_block_bytes(void)
{
	uint64_t bytes = 0;
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "re");

	if (f) {
		if (fscanf(f, "%" SCNu64, &bytes) != 1)
			bytes = 0;
		(void)fclose(f);
	}
	/* Without THP nothing will work, but sizes still have to make sense until the test says so.
	 */
	return bytes ? bytes : UINT64_C(2) << 20;
}

/* Reserve enough that a block-aligned start plus skew fits with a gap on both sides. */
static uint8_t *reserve(uint64_t bytes, uint64_t skew_bytes)
{
	const uint64_t block = memstate_block_bytes(), page = memstate_page_bytes();
	const uint64_t want = bytes + skew_bytes + 2 * block + 2 * page;
	uint8_t *base =
		mmap(NULL, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start, head, end;

	if (base == MAP_FAILED)
		return NULL;
	start = ((uint64_t)(uintptr_t)base + page + block - 1) / block * block + skew_bytes;
	head = start - (uint64_t)(uintptr_t)base;
	end = head + (bytes + page - 1) / page * page;
	/* Keep one inaccessible page either side, give the rest back. */
	if (head > page)
		(void)munmap(base, head - page);
	if (end + page < want)
		(void)munmap(base + end + page, want - end - page);
	return base + head;
}

static int map_at(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes, int flags, int fd,
		  uint64_t offset)
{
	uint8_t *addr = reserve(bytes, skew_bytes);

	if (!addr)
		return -errno;
	if (mmap(addr, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, (off_t)offset) ==
	    MAP_FAILED)
		return -errno;
	*ret_map = (memstate_map){.addr = addr, .bytes = bytes, .fd = fd};
	return 0;
}

static int map_without_file(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes, int flags)
{
	int r = map_at(ret_map, bytes, skew_bytes, MAP_ANONYMOUS | flags, -1, 0);

	if (r == 0)
		ret_map->fd = -EBADF;
	return r;
}

int memstate_map_anon(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes)
{
	return map_without_file(ret_map, bytes, skew_bytes, MAP_PRIVATE | MAP_NORESERVE);
}

int memstate_map_shared_anon(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes)
{
	return map_without_file(ret_map, bytes, skew_bytes, MAP_SHARED);
}

int memstate_map_fd(memstate_map *ret_map, int fd, uint64_t offset, uint64_t bytes,
		    uint64_t skew_bytes, int flags)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3), r;

	if (own < 0)
		return -errno;
	r = map_at(ret_map, bytes, skew_bytes, flags, own, offset);
	if (r < 0)
		(void)close(own);
	return r;
}

int memstate_map_memfd(memstate_map *ret_map, uint64_t bytes, uint64_t skew_bytes)
{
	int fd = memfd_create("thpd-test", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0)
		r = -errno;
	else
		r = map_at(ret_map, bytes, skew_bytes, MAP_SHARED, fd, 0);
	if (r < 0)
		(void)close(fd);
	return r;
}

void memstate_unmap(memstate_map *map)
{
	const uint64_t page = memstate_page_bytes();

	if (!map->addr)
		return;
	(void)munmap(map->addr - page, map->bytes + 2 * page);
	if (map->fd >= 0)
		(void)close(map->fd);
	*map = (memstate_map)MEMSTATE_MAP_INIT;
}

int memstate_fill_small(void *addr, uint64_t bytes, uint64_t seed)
{
	const uint64_t page = memstate_page_bytes(), block = memstate_block_bytes();
	const int disabled = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	int64_t huge;

	/* Whatever the host's knobs say, the faults of this process are small for the moment. */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	for (uint64_t at = 0; at < bytes; at += page)
		*(volatile uint64_t *)((uint8_t *)addr + at) = at / page + seed;
	if (disabled >= 0)
		(void)prctl(PR_SET_THP_DISABLE, disabled & 1, disabled & ~1, 0, 0);
	if (bytes < block)
		return 0;
	huge = memstate_count_huge(0, addr, bytes);
	return huge < 0 ? (int)huge : huge > 0 ? -EIO : 0;
}

int memstate_check_filled(const void *addr, uint64_t bytes, uint64_t seed)
{
	const uint64_t page = memstate_page_bytes();

	for (uint64_t at = 0; at < bytes; at += page)
		if (*(const volatile uint64_t *)((const uint8_t *)addr + at) != at / page + seed)
			return -EILSEQ;
	return 0;
}

int memstate_make_huge(void *addr, uint64_t bytes)
{
	const struct timespec step = {.tv_nsec = 2 * 1000 * 1000};
	const uint64_t block = memstate_block_bytes();
	int64_t huge;

	/* An empty block is refused (KERNEL.md 1.4), so give each one a page first. */
	for (uint64_t at = 0; at < bytes; at += block) {
		volatile uint64_t *word = (volatile uint64_t *)((uint8_t *)addr + at);

		*word = *word;
	}
	/* EAGAIN may be a page that is just between LRU lists: it has 20 ms to get there. */
	for (int left = 10; madvise(addr, bytes, MADV_COLLAPSE) < 0; left--) {
		if (errno != EAGAIN || left == 0)
			return -errno;
		(void)nanosleep(&step, NULL);
	}
	huge = memstate_count_huge(0, addr, bytes);
	return huge < 0 ? (int)huge : (uint64_t)huge == bytes / block ? 0 : -EIO;
}

static int block_make_pte_mapped(uint8_t *block_start, uint64_t block, uint64_t page)
{
	if (mprotect(block_start, page, PROT_READ) < 0)
		return -errno;
	if (madvise(block_start, block, MADV_POPULATE_READ) < 0)
		return -errno;
	return mprotect(block_start, page, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
}

int memstate_make_pte_mapped(void *addr, uint64_t bytes)
{
	const uint64_t page = memstate_page_bytes(), block = memstate_block_bytes();
	int64_t huge, present;

	for (uint64_t at = 0; at < bytes; at += block) {
		int r = block_make_pte_mapped((uint8_t *)addr + at, block, page);

		if (r < 0)
			return r;
	}
	huge = memstate_count_huge(0, addr, bytes);
	present = memstate_count_present(0, addr, bytes);
	if (huge < 0 || present < 0)
		return (int)(huge < 0 ? huge : present);
	return huge == 0 && (uint64_t)present == bytes / page ? 0 : -EIO;
}

int memstate_scan_fd(int pagemap_fd, memstate_scan *scan)
{
	struct scan_region regions[SCAN_REGIONS];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = scan->start,
		.end = scan->end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = SCAN_REGIONS,
		.max_pages = scan->max_pages,
		.category_inverted = scan->inverted,
		.category_mask = scan->mask,
		.return_mask = scan->returned ? scan->returned : scan->mask,
	};
	const uint64_t page = memstate_page_bytes();
	int n = ioctl(pagemap_fd, SCAN_IOCTL, &arg);

	if (n < 0)
		return -errno;
	scan->walk_end = arg.walk_end;
	scan->first = n > 0 ? regions[0].start : UINT64_MAX;
	scan->categories = n > 0 ? regions[0].categories : 0;
	scan->pages = 0;
	for (int i = 0; i < n; i++)
		scan->pages += (regions[i].end - regions[i].start) / page;
	return 0;
}

int memstate_scan_pages(pid_t pid, memstate_scan *scan)
{
	int fd = proc_open(pid, "pagemap"), r;

	if (fd < 0)
		return fd;
	r = memstate_scan_fd(fd, scan);
	(void)close(fd);
	return r;
}

/* Calls visit for each VMA of smaps that overlaps [start, end), with its bounds, one line at a
 * time. */
typedef void smaps_visit(void *userdata, uint64_t vma_start, uint64_t vma_end, const char *line);

static int smaps_walk(pid_t pid, uint64_t start, uint64_t end, smaps_visit *visit, void *userdata)
{
	uint64_t vma_start = 0, vma_end = 0;
	char line[512];
	int fd = proc_open(pid, "smaps");
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		return fd < 0 ? fd : -errno;
	while (fgets(line, sizeof(line), f)) {
		uint64_t a, b;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &a, &b) == 2) {
			vma_start = a;
			vma_end = b;
		}
		if (vma_start < end && vma_end > start)
			visit(userdata, vma_start, vma_end, line);
	}
	(void)fclose(f);
	return 0;
}

struct huge_sum {
	uint64_t start, end;
	uint64_t huge_bytes, vma_bytes;
	bool is_partial; /* some VMA reaches out of the range and is huge in parts */
};

static void huge_sum_visit(void *userdata, uint64_t vma_start, uint64_t vma_end, const char *line)
{
	struct huge_sum *sum = userdata;
	uint64_t kb = 0, inside_start, inside_end;
	bool is_inside;

	if (sscanf(line, "AnonHugePages: %" SCNu64, &kb) != 1 &&
	    sscanf(line, "ShmemPmdMapped: %" SCNu64, &kb) != 1 &&
	    sscanf(line, "FilePmdMapped: %" SCNu64, &kb) != 1)
		return;
	if (kb == 0)
		return;
	inside_start = vma_start > sum->start ? vma_start : sum->start;
	inside_end = vma_end < sum->end ? vma_end : sum->end;
	is_inside = vma_start >= sum->start && vma_end <= sum->end;
	if (is_inside)
		sum->huge_bytes += kb * 1024;
	else if (kb * 1024 == vma_end - vma_start)
		sum->huge_bytes += inside_end - inside_start;
	else
		sum->is_partial = true;
}

/* In our own memory the range can be made a VMA of its own for the moment of the look: a change of
 * VmFlags at block boundaries splits the VMA and no mapping. */
static int64_t count_huge_by_smaps(pid_t pid, uint64_t start, uint64_t bytes)
{
	struct huge_sum sum = {.start = start, .end = start + bytes};
	void *range = (void *)(uintptr_t)start;
	int r;

	if (pid == 0 && madvise(range, bytes, MADV_DONTDUMP) < 0)
		return -errno;
	r = smaps_walk(pid, start, start + bytes, huge_sum_visit, &sum);
	if (pid == 0)
		(void)madvise(range, bytes, MADV_DODUMP);
	if (r < 0)
		return r;
	return sum.is_partial ? -EOPNOTSUPP : (int64_t)(sum.huge_bytes / memstate_block_bytes());
}

int64_t memstate_count_huge(pid_t pid, const void *start, uint64_t bytes)
{
	memstate_scan scan = {
		.start = (uint64_t)(uintptr_t)start,
		.end = (uint64_t)(uintptr_t)start + bytes,
		.mask = MEMSTATE_PRESENT | MEMSTATE_HUGE,
	};
	uint64_t pages = 0;

	while (scan.start < scan.end) {
		int r = memstate_scan_pages(pid, &scan);

		if (r == -ENOTTY)
			return count_huge_by_smaps(pid, (uint64_t)(uintptr_t)start, bytes);
		if (r < 0)
			return r;
		pages += scan.pages;
		scan.start = scan.walk_end;
	}
	return (int64_t)(pages * memstate_page_bytes() / memstate_block_bytes());
}

int64_t memstate_count_present(pid_t pid, const void *start, uint64_t bytes)
{
	const uint64_t page = memstate_page_bytes();
	uint64_t index = (uint64_t)(uintptr_t)start / page, left = bytes / page;
	uint64_t entries[PAGEMAP_CHUNK];
	int fd = proc_open(pid, "pagemap");
	int64_t present = 0;

	if (fd < 0)
		return fd;
	while (left > 0) {
		const uint64_t want = left < PAGEMAP_CHUNK ? left : PAGEMAP_CHUNK;
		ssize_t n = pread(fd, entries, want * sizeof(*entries),
				  (off_t)(index * sizeof(*entries)));
		const uint64_t got = n > 0 ? (uint64_t)n / sizeof(*entries) : 0;

		if (got == 0) {
			present = n < 0 ? -errno : present;
			break;
		}
		for (uint64_t i = 0; i < got; i++)
			present += (entries[i] & PAGEMAP_PRESENT) != 0;
		index += got;
		left -= got;
	}
	(void)close(fd);
	return present;
}

int memstate_first_pfn(pid_t pid, const void *addr, uint64_t *ret_pfn)
{
	const uint64_t index = (uint64_t)(uintptr_t)addr / memstate_page_bytes();
	int fd = proc_open(pid, "pagemap");
	uint64_t entry = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, &entry, sizeof(entry), (off_t)(index * sizeof(entry)));
	(void)close(fd);
	if (n != sizeof(entry) || !(entry & PAGEMAP_PRESENT))
		return -ENXIO;
	if (!(entry & PAGEMAP_PFN_MASK))
		return -EPERM;
	*ret_pfn = entry & PAGEMAP_PFN_MASK;
	return 0;
}

int memstate_pfn_flags(uint64_t pfn, uint64_t *ret_kpageflags)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, ret_kpageflags, sizeof(*ret_kpageflags),
		  (off_t)(pfn * sizeof(*ret_kpageflags)));
	(void)close(fd);
	return n == sizeof(*ret_kpageflags) ? 0 : -EIO;
}

int memstate_is_huge_folio(pid_t pid, const void *addr)
{
	const uint64_t pages = memstate_block_bytes() / memstate_page_bytes();
	uint64_t pfn, flags;
	int r = memstate_first_pfn(pid, addr, &pfn);

	if (r < 0)
		return r;
	r = memstate_pfn_flags(pfn, &flags);
	if (r < 0)
		return r;
	if (pfn % pages != 0 || !(flags >> MEMSTATE_KPF_COMPOUND_HEAD & 1))
		return 0;
	for (uint64_t i = 1; i < pages; i++) {
		r = memstate_pfn_flags(pfn + i, &flags);
		if (r < 0)
			return r;
		if (!(flags >> MEMSTATE_KPF_COMPOUND_TAIL & 1))
			return 0;
	}
	return 1;
}

struct field_query {
	const char *field;
	size_t length;
	int64_t value;
};

static void field_visit(void *userdata, uint64_t vma_start, uint64_t vma_end, const char *line)
{
	struct field_query *query = userdata;

	(void)vma_start;
	(void)vma_end;
	if (strncmp(line, query->field, query->length) == 0 && line[query->length] == ':')
		query->value = strtoll(line + query->length + 1, NULL, 10);
}

int64_t memstate_smaps_kb(pid_t pid, const void *addr, const char *field)
{
	struct field_query query = {.field = field, .length = strlen(field), .value = -ENOENT};
	int r = smaps_walk(pid, (uint64_t)(uintptr_t)addr, (uint64_t)(uintptr_t)addr + 1,
			   field_visit, &query);

	return r < 0 ? r : query.value;
}

static void flag_visit(void *userdata, uint64_t vma_start, uint64_t vma_end, const char *line)
{
	struct field_query *query = userdata;

	(void)vma_start;
	(void)vma_end;
	if (strncmp(line, "VmFlags:", 8) != 0)
		return;
	for (const char *word = line + 8; *word; word++)
		if (word[0] == ' ' && strncmp(word + 1, query->field, query->length) == 0 &&
		    (word[1 + query->length] == ' ' || word[1 + query->length] == '\n'))
			query->value = 1;
}

int memstate_has_vmflag(pid_t pid, const void *addr, const char *flag)
{
	struct field_query query = {.field = flag, .length = strlen(flag), .value = 0};
	int r = smaps_walk(pid, (uint64_t)(uintptr_t)addr, (uint64_t)(uintptr_t)addr + 1,
			   flag_visit, &query);

	return r < 0 ? r : (int)query.value;
}
