/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "collapse.h"
#include "lack.h"
#include "process.h"
#include "release.h"

/* Theory of operation. Version numbers say little: distributions backport, sandboxes take rights
 * away. So a forked helper offers a little memory of its own, and thpd does to it, from outside,
 * what it will do to a VMM: looks, asks, collapses, looks again. The helper does nothing but wait;
 * it is killed at the end, dies with its parent, and kills itself after a deadline, so that it
 * cannot stay behind. It holds one touched page or block a kind: some MiB, for some milliseconds.
 *
 * Two things are not tried: userfaultfd safety (Linux 6.4; by the release, since proving it means
 * to race a pager), and the right to look at other users' processes (by the capability). */

enum { HELPER_DEADLINE_MS = 2000, HELPER_LIFE_S = 10 };

/* Larger blocks (512 MiB with 64K pages) are not collapsed for a trial: that would hurt a host. */
#define TRIAL_BLOCK_BYTES_MAX (UINT64_C(32) << 20)

/* What the helper offers; each address is that of a whole block. */
struct offer {
	hva_t shmem;	/* memfd: one page touched */
	hva_t anon;	/* one page touched */
	hva_t refusing; /* anon with MADV_NOHUGEPAGE, one page touched */
};

struct helper {
	pid_t pid;
	struct process process;
	struct offer offer;
};

/* ---- inside the helper: only async-signal-safe calls, since the parent may have threads ---- */

/* A whole block of address space, or 0. */
static hva_t map_block(uint64_t block, int flags, int fd)
{
	char *room = mmap(NULL, 2 * block, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	char *start;

	if (room == MAP_FAILED)
		return 0;
	start = room + (align_up((uintptr_t)room, block) - (uintptr_t)room);
	if (mmap(start, block, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		return 0;
	return (hva_t)(uintptr_t)start;
}

static void touch(hva_t address)
{
	*(volatile char *)(uintptr_t)address = 1;
}

static void offer_memory(const struct mmu_geometry *g, struct offer *offer)
{
	uint64_t block = block_bytes(g);
	int fd = memfd_create("thpd-probe", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)block) == 0)
		offer->shmem = map_block(block, MAP_SHARED, fd);
	offer->anon = map_block(block, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	offer->refusing = map_block(block, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (offer->shmem)
		touch(offer->shmem);
	if (offer->anon)
		touch(offer->anon);
	if (offer->refusing) {
		(void)madvise((void *)(uintptr_t)offer->refusing, block, MADV_NOHUGEPAGE);
		touch(offer->refusing);
	}
}

_Noreturn static void run_helper(const struct mmu_geometry *g, int fd, pid_t parent)
{
	struct offer offer = {0};
	sigset_t none;

	(void)sigemptyset(&none);
	(void)signal(SIGALRM, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)alarm(HELPER_LIFE_S);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Otherwise the service's own setting would answer for the kernel. */
	(void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	if (getppid() == parent) {
		offer_memory(g, &offer);
		if (write(fd, &offer, sizeof(offer)) == (ssize_t)sizeof(offer))
			for (;;)
				(void)pause();
	}
	_exit(1);
}

/* ---- outside ---- */

static int wait_for_offer(int fd, struct offer *ret)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r = poll(&p, 1, HELPER_DEADLINE_MS);

	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	/* A pipe passes so few bytes whole or not at all. */
	if (read(fd, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		return -EIO;
	return ret->anon && ret->refusing ? 0 : -ENOMEM;
}

static void helper_stop(struct helper *h)
{
	siginfo_t info;

	if (h->pid <= 0)
		return;
	/* Not reaped yet, so the number still is this child's. */
	(void)kill(h->pid, SIGKILL);
	while (waitid(P_PID, (id_t)h->pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	process_close(&h->process);
	h->pid = 0;
}

static int helper_start(struct sys *sys, const struct mmu_geometry *g, struct helper *h)
{
	_cleanup_close_ int reader = -EBADF, writer = -EBADF;
	pid_t parent = getpid();
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	reader = fds[0];
	writer = fds[1];
	h->pid = fork();
	if (h->pid < 0)
		return -errno;
	if (h->pid == 0)
		run_helper(g, writer, parent);
	writer = close_fd(writer);
	r = wait_for_offer(reader, &h->offer);
	if (r == 0)
		r = process_open(sys, h->pid, &h->process);
	return r;
}

static int scan_once(struct sys *sys, const struct helper *h, hva_t start, uint64_t bytes,
		     uint64_t wanted, struct page_region *region)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = start + bytes,
		.vec = (uint64_t)(uintptr_t)region,
		.vec_len = 1,
		.category_anyof_mask = wanted,
		.return_mask = wanted | PAGE_HUGE,
	};

	return sys->ops->pagemap_scan(sys, h->process.pagemap_fd, h->pid, &arg);
}

static uint32_t probe_looking(struct sys *sys, const struct mmu_geometry *g, const struct helper *h)
{
	uint64_t entry = 0, flags;
	uint32_t found = 0;
	struct page_region region;
	int node = -1;

	if (scan_once(sys, h, h->offer.anon, page_bytes(g), PAGE_PRESENT, &region) == 1)
		found |= FEATURE_PAGEMAP_SCAN;
	if (scan_once(sys, h, h->offer.anon, page_bytes(g), PAGE_PRESENT | PAGE_GUARD, &region) ==
	    1)
		found |= FEATURE_SCAN_GUARD;
	/* A present page has a frame; it reads as 0 without the right. */
	if (sys->ops->pagemap_read(sys, h->process.pagemap_fd, h->pid,
				   h->offer.anon >> g->base_shift, &entry, 1) == 1 &&
	    (entry & ((UINT64_C(1) << 55) - 1)) != 0)
		found |= FEATURE_PFN;
	if (sys->ops->kpageflags_read(sys, entry & ((UINT64_C(1) << 55) - 1), &flags, 1) == 1)
		found |= FEATURE_KPAGEFLAGS;
	if (sys->ops->move_pages(sys, h->pid, 1, &h->offer.anon, NULL, &node, 0) == 0 && node >= 0)
		found |= FEATURE_NODES;
	return found;
}

/* Refusals that only say that this is a bad moment show that the call is understood. */
static bool is_passing_refusal(int err)
{
	return err == ENOMEM || err == EAGAIN || err == EBUSY;
}

/* Success alone is no evidence (KERNEL.md 1.4): the block must be huge afterwards. */
static bool block_is_huge(struct sys *sys, const struct mmu_geometry *g, const struct helper *h,
			  hva_t start)
{
	struct page_region region = {0};

	return scan_once(sys, h, start, block_bytes(g), PAGE_PRESENT, &region) == 1 &&
	       (region.categories & PAGE_HUGE) && region.end - region.start == block_bytes(g);
}

/* Whether the trial block could be collapsed; *ret_err is the errno if it was refused. */
static bool try_collapse(struct sys *sys, const struct mmu_geometry *g, const struct helper *h,
			 hva_t start, bool can_scan, int *ret_err)
{
	struct action a = {
		.target = {.pid = h->pid,
			   .starttime = h->process.starttime,
			   .start = start,
			   .bytes = block_bytes(g)},
	};
	struct outcome o;

	*ret_err = 0;
	if (!start)
		return false;
	if (block_bytes(g) > TRIAL_BLOCK_BYTES_MAX)
		return collapse_probe(sys, &h->process, start, g) == ELIGIBILITY_YES;
	o = collapse_act(sys, &h->process, &a, g);
	if (is_passing_refusal(o.err))
		return true;
	*ret_err = o.err;
	return o.err == 0 && (!can_scan || block_is_huge(sys, g, h, start));
}

/* A kernel that has the call looks at the pidfd first: EBADF, whatever the rights, the advice and
 * the memory are. Any other answer is not the kernel's (or it has no such call). */
static bool is_call_filtered(struct sys *sys, const struct mmu_geometry *g, const struct helper *h)
{
	return sys->ops->collapse(sys, -1, h->pid, h->offer.anon, page_bytes(g)) != -EBADF;
}

static uint32_t probe_collapsing(struct sys *sys, const struct mmu_geometry *g,
				 const struct helper *h, bool can_scan, struct trial *trial)
{
	uint32_t found = 0;
	int ignored;

	if (!try_collapse(sys, g, h, h->offer.anon, can_scan, &trial->collapse_error)) {
		trial->is_call_filtered = trial->collapse_error != 0 && is_call_filtered(sys, g, h);
		return 0;
	}
	found |= FEATURE_COLLAPSE;
	if (try_collapse(sys, g, h, h->offer.shmem, can_scan, &ignored))
		found |= FEATURE_COLLAPSE_SHMEM;
	/* The probe is of use only if it tells yes from no. */
	if (collapse_probe(sys, &h->process, h->offer.anon, g) == ELIGIBILITY_YES &&
	    collapse_probe(sys, &h->process, h->offer.refusing, g) == ELIGIBILITY_NO)
		found |= FEATURE_ELIGIBILITY_PROBE;
	return found;
}

static bool is_uffd_safe(const char *text)
{
	struct release r;

	return release_parse(text, &r) == 0 && !release_is_before(&r, 6, 4);
}

static uint32_t read_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint32_t rights = 0;

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	if (data[0].effective & (1U << CAP_SYS_PTRACE))
		rights |= RIGHT_PTRACE;
	if (data[0].effective & (1U << CAP_SYS_NICE))
		rights |= RIGHT_NICE;
	if (data[0].effective & (1U << CAP_SYS_ADMIN))
		rights |= RIGHT_ADMIN;
	return rights;
}

static int probe_with_helper(struct sys *sys, const struct mmu_geometry *g, struct host *host)
{
	struct helper h = {.process = PROCESS_INIT};
	int r = helper_start(sys, g, &h);

	if (r == 0) {
		bool can_scan;

		host->trial.is_shmem_offered = h.offer.shmem != 0;
		host->features |= probe_looking(sys, g, &h);
		can_scan = host->features & FEATURE_PAGEMAP_SCAN;
		host->features |= probe_collapsing(sys, g, &h, can_scan, &host->trial);
	}
	helper_stop(&h);
	return r;
}

/* The gravest lack: one line of log; `thpctl doctor` has them all. */
static const char *name_lack(const struct host *h)
{
	static const enum feature by_weight[] = {
		FEATURE_COLLAPSE,   FEATURE_PAGEMAP_SCAN,   FEATURE_OTHER_PROCESSES, FEATURE_PFN,
		FEATURE_KPAGEFLAGS, FEATURE_COLLAPSE_SHMEM, FEATURE_NODES,
	};

	for (size_t i = 0; i < ARRAY_SIZE(by_weight); i++)
		if (!(h->features & (uint32_t)by_weight[i]) &&
		    (by_weight[i] != FEATURE_NODES || h->n_nodes > 1))
			return host_lack(h, by_weight[i]).text;
	return NULL;
}

int features_probe(struct sys *sys, const struct mmu_geometry *g, struct host *host,
		   const char **ret_why)
{
	int r = sys->ops->release(sys, host->kernel_release, sizeof(host->kernel_release));

	if (ret_why)
		*ret_why = NULL;
	if (r < 0)
		return r;
	host->features = 0;
	host->trial = (struct trial){
		.rights = read_rights(),
		.has_kpageflags_file = faccessat(sys->rootfd, "proc/kpageflags", F_OK, 0) == 0,
	};
	r = probe_with_helper(sys, g, host);
	host->trial.helper_error = -r;
	if (is_uffd_safe(host->kernel_release))
		host->features |= FEATURE_UFFD_SAFE;
	if (host->trial.rights & RIGHT_PTRACE)
		host->features |= FEATURE_OTHER_PROCESSES;
	if (ret_why)
		*ret_why = name_lack(host);
	if (r < 0 || (host->features & FEATURE_COLLAPSE))
		return r;
	return host_is_too_old(host) ? -EOPNOTSUPP : -EPERM;
}
