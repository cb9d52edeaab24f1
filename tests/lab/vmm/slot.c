/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memgrip.h"
#include "memstate.h"

static const uint64_t GIB = UINT64_C(1) << 30;

/* --- the mapping ------------------------------------------------------------------------------ */

static const struct kind {
	const char *name;
	int flags;
	bool has_path;
} kinds[] = {
	{"memfd", MAP_SHARED, false},
	{"anon", MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, false},
	{"file", MAP_SHARED, true},
	{"private", MAP_PRIVATE | MAP_NORESERVE, true},
	{"hugetlb", MAP_SHARED, false},
};

static const struct kind *kind_of(const struct slot_plan *plan)
{
	for (size_t i = 0; plan->kind && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(plan->kind, kinds[i].name) == 0)
			return kinds[i].has_path == (plan->path != NULL) ? &kinds[i] : NULL;
	return NULL;
}

/* A file is made long enough; a device is what it is. */
static int lengthen(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= bytes)
		return 0;
	return ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
}

static int open_backing(const struct slot_plan *plan)
{
	const unsigned int pool = strcmp(plan->kind, "hugetlb") != 0
					  ? 0
					  : MFD_HUGETLB | (unsigned int)__builtin_ctzll(plan->page)
								  << MFD_HUGE_SHIFT;
	int fd = plan->path ? open(plan->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
			    : memfd_create("guest", MFD_CLOEXEC | pool);
	int r = fd < 0 ? -errno : lengthen(fd, plan->offset + plan->bytes);

	if (r < 0 && fd >= 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

/* Nothing adjoins the mapping, so that it never merges with a neighbour; a child has none of it. */
static int map_at(struct slot *s, const struct slot_plan *plan, int flags, int fd)
{
	const uint64_t room = 2 * GIB + plan->skew + plan->bytes;
	uint8_t *base =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at;

	if (base == MAP_FAILED)
		return -errno;
	s->reserved = base;
	s->reserved_bytes = room;
	at = base + GIB - (uintptr_t)base % GIB + plan->skew;
	if (mmap(at, plan->bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		 (off_t)plan->offset) == MAP_FAILED)
		return -errno;
	s->hva = at;
	return madvise(at, plan->bytes, MADV_DONTFORK) < 0 ? -errno : 0;
}

static int map(struct slot *s, const struct slot_plan *plan)
{
	const struct kind *kind = kind_of(plan);
	int fd = -1, r;

	if (!kind)
		return -EINVAL;
	if (!(kind->flags & MAP_ANONYMOUS))
		fd = open_backing(plan);
	if (fd < 0 && !(kind->flags & MAP_ANONYMOUS))
		return fd;
	r = map_at(s, plan, kind->flags, fd);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* --- the memslot ------------------------------------------------------------------------------ */

static int set(const struct slot *s, const struct machine *m, uint64_t bytes)
{
	struct kvm_userspace_memory_region slot = {
		.slot = s->id,
		.flags = (s->is_logged ? KVM_MEM_LOG_DIRTY_PAGES : 0) |
			 (s->is_readonly ? KVM_MEM_READONLY : 0),
		.guest_phys_addr = s->gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)s->hva,
	};

	return machine_ask(m, KVM_SET_USER_MEMORY_REGION, &slot);
}

int slot_add(struct slot *s, const struct machine *m, const struct slot_plan *plan)
{
	int r;

	if (s->hva)
		return -EEXIST;
	s->bytes = plan->bytes;
	s->gpa = plan->gpa;
	s->is_readonly = plan->is_readonly;
	s->dirty = calloc(plan->bytes / memstate_page_bytes() / 64 + 1, sizeof(*s->dirty));
	r = s->dirty ? map(s, plan) : -ENOMEM;
	r = r < 0 ? r : set(s, m, s->bytes);
	if (r < 0)
		(void)slot_drop(s, m);
	return r;
}

int slot_drop(struct slot *s, const struct machine *m)
{
	(void)slot_unpin(s, m);
	(void)slot_disarm(s, m);
	if (s->hva)
		(void)set(s, m, 0);
	if (s->reserved)
		(void)munmap(s->reserved, s->reserved_bytes);
	free(s->dirty);
	*s = (struct slot)SLOT_INIT(s->id);
	return 0;
}

int slot_recreate(struct slot *s, const struct machine *m)
{
	int r = set(s, m, 0);

	return r < 0 ? r : set(s, m, s->bytes);
}

int slot_log(struct slot *s, const struct machine *m)
{
	s->is_logged = true;
	return set(s, m, s->bytes);
}

int slot_unlog(struct slot *s, const struct machine *m)
{
	s->is_logged = false;
	return set(s, m, s->bytes);
}

int slot_nudge(struct slot *s, const struct machine *m)
{
	int r;

	if (s->is_logged)
		return -EBUSY;
	r = slot_log(s, m);
	return r < 0 ? r : slot_unlog(s, m);
}

int64_t slot_count_dirty(struct slot *s, const struct machine *m)
{
	struct kvm_dirty_log log = {.slot = s->id, .dirty_bitmap = s->dirty};
	const uint64_t words = (s->bytes / memstate_page_bytes() + 63) / 64;
	int64_t n = machine_ask(m, KVM_GET_DIRTY_LOG, &log);

	for (uint64_t i = 0; n >= 0 && i < words; i++)
		n += __builtin_popcountll(s->dirty[i]);
	return n;
}

int slot_clear_dirty(struct slot *s, const struct machine *m)
{
	struct kvm_clear_dirty_log log = {
		.slot = s->id,
		.num_pages = (uint32_t)(s->bytes / memstate_page_bytes()),
		.dirty_bitmap = s->dirty,
	};

	return machine_ask(m, KVM_CLEAR_DIRTY_LOG, &log);
}

/* --- the host's mapping ----------------------------------------------------------------------- */

int slot_collapse(const struct slot *s)
{
	const struct timespec step = {.tv_nsec = 2 * 1000 * 1000};

	/* A page that is just between LRU lists has 20 ms to get there. */
	for (int left = 10; madvise(s->hva, s->bytes, MADV_COLLAPSE) < 0; left--) {
		if (errno != EAGAIN || left == 0)
			return -errno;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

/* A right that one page has alone makes a VMA of its own of it, and the block cannot be mapped as
 * one. */
static int split_block(uint8_t *at)
{
	const uint64_t page = memstate_page_bytes();
	const int rights = PROT_READ | PROT_WRITE;

	if (mprotect(at, page, rights | PROT_EXEC) < 0 ||
	    madvise(at, memstate_block_bytes(), MADV_POPULATE_READ) < 0 ||
	    mprotect(at, page, rights) < 0)
		return -errno;
	return 0;
}

int slot_split(const struct slot *s)
{
	int r = 0;

	for (uint64_t at = 0; r == 0 && at < s->bytes; at += memstate_block_bytes())
		r = split_block(s->hva + at);
	return r;
}

/* --- what others hold ------------------------------------------------------------------------- */

int slot_pin(struct slot *s, const struct machine *m)
{
	(void)m;
	if (s->pin >= 0)
		return -EBUSY;
	s->pin = memgrip_pin(s->hva, s->bytes);
	return s->pin < 0 ? s->pin : 0;
}

int slot_unpin(struct slot *s, const struct machine *m)
{
	(void)m;
	if (s->pin < 0)
		return -ESRCH;
	(void)close(s->pin);
	s->pin = -1;
	return 0;
}

/* Its memory is not for children (MADV_DONTFORK). */
static void forget_nothing(void *userdata)
{
	(void)userdata;
}

int slot_arm(struct slot *s, const struct machine *m)
{
	(void)m;
	return memgrip_start_pager(&s->pager, s->hva, s->bytes, UFFDIO_REGISTER_MODE_MISSING,
				   forget_nothing, NULL);
}

int slot_disarm(struct slot *s, const struct machine *m)
{
	(void)m;
	return memgrip_end_pager(&s->pager);
}

/* --- where its pages are ---------------------------------------------------------------------- */

int slot_sum_frames(const struct slot *s, uint64_t *ret_sum)
{
	uint64_t sum = 0, pfn = 0;
	int r = 0;

	for (uint64_t at = 0; r == 0 && at < s->bytes; at += memstate_page_bytes()) {
		r = memstate_first_pfn(0, s->hva + at, &pfn);
		sum = (sum ^ pfn) * UINT64_C(0x100000001b3);
	}
	*ret_sum = sum;
	return r;
}

enum { NODE_QUERY_PAGES = 512 };

/* Which node each page is on, or a negative errno for it. */
static int ask_nodes(uint8_t *at, uint64_t pages, int *ret_nodes)
{
	void *addrs[NODE_QUERY_PAGES];

	for (uint64_t i = 0; i < pages; i++)
		addrs[i] = at + i * memstate_page_bytes();
	/* By number: libnuma is not needed for this one call. */
	return syscall(SYS_move_pages, 0, pages, addrs, NULL, ret_nodes, 0) < 0 ? -errno : 0;
}

static int add_nodes(const int *nodes, uint64_t pages, struct slot_nodes *total)
{
	for (uint64_t i = 0; i < pages; i++) {
		if (nodes[i] >= SLOT_NODES)
			return -ERANGE;
		*(nodes[i] < 0 ? &total->absent_bytes : &total->bytes[nodes[i]]) +=
			memstate_page_bytes();
	}
	return 0;
}

int slot_count_nodes(const struct slot *s, struct slot_nodes *ret)
{
	const uint64_t step = NODE_QUERY_PAGES * memstate_page_bytes();
	int nodes[NODE_QUERY_PAGES], r = 0;
	struct slot_nodes total = {0};

	for (uint64_t at = 0; r == 0 && at < s->bytes; at += step) {
		const uint64_t left = s->bytes - at;
		const uint64_t pages = (left < step ? left : step) / memstate_page_bytes();

		r = ask_nodes(s->hva + at, pages, nodes);
		r = r < 0 ? r : add_nodes(nodes, pages, &total);
	}
	if (r == 0)
		*ret = total;
	return r;
}
