/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. Memory may be populated when its policy is there (mbind), and must be before
 * the guest runs. Between mapping and that, no call is for certain: QEMU calls mbind() only where
 * it was given a policy, and last. So what is mapped is remembered, and populated
 *
 * - when the thread that mapped it starts another one. vCPUs are threads, under KVM and TCG alike,
 *   and whoever maps, binds, and then starts them in one thread is never met in between. Not memory
 *   without a file: programs of all kinds share such with their children, and more of it than they
 *   use, and a script that starts a VMM may well start one of them;
 * - when it becomes a memslot of KVM, whoever mapped it: that is for memory that is added later.
 *
 * Missed, and thus used as ever: memory added later without KVM, until the thread that mapped it
 * starts another; memory of a VMM without threads; without KVM, memory without a file. Left out:
 * what is mapped with MAP_NORESERVE, which says that it is not to be filled (QEMU: reserve=off, as
 * for virtio-mem).
 *
 * The table has no lock, so that a fork or a signal in between leaves nobody waiting: a slot is
 * taken by one exchange of its state. A thread is known by its kernel id, which the child of a fork
 * does not share, so that it never fills what its parent mapped. */

#include <errno.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "born.h"
#include "congruent.h"
#include "prealloc.h"
#include "shmem.h"

/* Linux 6.8; it begins like the structure of the older one. */
#define SET_MEMORY_REGION2 _IOC(_IOC_WRITE, KVMIO, 0x49, 160)

enum { MAX_CANDIDATES = 64 }; /* far more than a VMM maps before it starts a thread */

enum { SLOT_FREE, SLOT_BUSY, SLOT_READY };

struct candidate {
	atomic_int state;
	_Atomic pid_t owner; /* 0: no thread, it waits for KVM */
	_Atomic uintptr_t start, end;
};

struct wanted {
	pid_t owner; /* 0: whoever */
	uintptr_t start, end;
};

static struct {
	bool is_on;
	unsigned int threads;
	struct candidate candidates[MAX_CANDIDATES];
	atomic_int count; /* of candidates, a little more at times */
	atomic_bool has_spoken;
} born;

/* One line, once: a VMM's stderr is read by people who look for something else. */
static void say_once(const char *what, const char *why)
{
	struct iovec line[] = {
		{(void *)"thpd: THPD_POPULATE: ", 21},
		{(void *)what, strlen(what)},
		{(void *)why, strlen(why)},
		{(void *)"\n", 1},
	};

	if (!atomic_exchange(&born.has_spoken, true) && writev(STDERR_FILENO, line, 4) < 0)
		return; /* nobody there to tell */
}

static const char *reason_of(int error)
{
	switch (-error) {
	case ENOMEM:
		return "no huge pages are free";
	case EBUSY:
		return "the memory limit of its cgroup is reached";
	case EAGAIN:
		return "some of its pages are held by others";
	case EFAULT:
		return "its file ends before, or the file system is full";
	default:
		return "the kernel does not collapse shared memory (Linux 6.1 does, unless "
		       "shmem_enabled=deny)";
	}
}

static unsigned int threads_of(const char *text)
{
	unsigned long n;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return prealloc_threads();
	n = strtoul(text, &end, 10);
	return *end || n < 1 || n > PREALLOC_MAX_THREADS ? prealloc_threads() : (unsigned int)n;
}

void born_init(void)
{
	const char *text = getenv("THPD_POPULATE");
	int saved = errno;

	if (!text || !*text)
		return;
	born.is_on = strcmp(text, "huge") == 0;
	born.threads = threads_of(getenv("THPD_POPULATE_THREADS"));
	if (!born.is_on)
		say_once("the one value it has is huge; nothing is populated", "");
	errno = saved;
}

/* --- the table ------------------------------------------------------------------------------- */

static bool is_wanted(const struct candidate *c, const struct wanted *w)
{
	return (w->owner == 0 || c->owner == w->owner) && c->start < w->end && w->start < c->end;
}

/* What it holds can change until it is taken, so that it is looked at again. */
static bool candidate_take(struct candidate *c, const struct wanted *w)
{
	int ready = SLOT_READY;

	if (c->state != SLOT_READY || !is_wanted(c, w) ||
	    !atomic_compare_exchange_strong(&c->state, &ready, SLOT_BUSY))
		return false;
	if (is_wanted(c, w))
		return true;
	c->state = SLOT_READY;
	return false;
}

static void candidate_free(struct candidate *c)
{
	c->state = SLOT_FREE;
	born.count--;
}

static bool candidate_add(pid_t owner, uintptr_t start, uintptr_t end)
{
	for (size_t i = 0; i < MAX_CANDIDATES; i++) {
		struct candidate *c = &born.candidates[i];
		int free = SLOT_FREE;

		if (!atomic_compare_exchange_strong(&c->state, &free, SLOT_BUSY))
			continue;
		born.count++;
		c->owner = owner;
		c->start = start;
		c->end = end;
		c->state = SLOT_READY;
		return true;
	}
	return false;
}

/* Helpers are started by pthread_create() as well, and the library's own goes before the C
 * library's: their start says nothing of what this thread has mapped. What is preloaded has its
 * room from the start, and needs no call to find it. */
static _Thread_local __attribute__((tls_model("initial-exec"))) bool is_populating;

static void populate(uintptr_t start, uintptr_t end)
{
	int r;

	is_populating = true;
	r = prealloc_huge((void *)start, end - start, born.threads);
	is_populating = false;
	if (r < 0)
		say_once("guest memory is not all huge: ", reason_of(r));
}

static void populate_wanted(const struct wanted *w)
{
	for (size_t i = 0; i < MAX_CANDIDATES && born.count > 0; i++) {
		struct candidate *c = &born.candidates[i];
		uintptr_t start, end;

		if (!candidate_take(c, w))
			continue;
		start = c->start;
		end = c->end;
		candidate_free(c);
		populate(start, end);
	}
}

/* --- what the VMM does ----------------------------------------------------------------------- */

static bool is_candidate(const struct place_request *q, const void *got)
{
	return q->bytes >= CONGRUENT_2M && (q->prot & PROT_WRITE) && !(q->flags & MAP_NORESERVE) &&
	       shmem_is_shared(q) && ((uintptr_t)got - shmem_offset(q)) % CONGRUENT_2M == 0;
}

static bool remember(const struct place_request *q, uintptr_t start)
{
	pid_t owner = shmem_is_anonymous(q) ? 0 : (pid_t)syscall(SYS_gettid);

	return candidate_add(owner, start, start + q->bytes);
}

void born_mapped(const struct place_request *q, void *got)
{
	int saved = errno;

	if (!born.is_on || got == MAP_FAILED)
		return;
	born_unmapped(got, q->bytes);
	if (is_candidate(q, got) && !remember(q, (uintptr_t)got))
		say_once("guest memory is not all huge: ", "too many mappings at once");
	errno = saved;
}

void born_unmapped(const void *addr, size_t bytes)
{
	const struct wanted w = {.start = (uintptr_t)addr, .end = (uintptr_t)addr + bytes};

	for (size_t i = 0; i < MAX_CANDIDATES && born.count > 0; i++)
		if (candidate_take(&born.candidates[i], &w))
			candidate_free(&born.candidates[i]);
}

void born_before_thread(void)
{
	struct wanted w = {.end = UINTPTR_MAX};

	if (born.count <= 0 || is_populating)
		return;
	w.owner = (pid_t)syscall(SYS_gettid);
	populate_wanted(&w);
}

void born_before_ioctl(unsigned long request, const void *argument)
{
	const struct kvm_userspace_memory_region *slot = argument;
	struct wanted w = {0};

	if (born.count <= 0 || !slot ||
	    (request != KVM_SET_USER_MEMORY_REGION && request != SET_MEMORY_REGION2))
		return;
	w.start = (uintptr_t)slot->userspace_addr;
	w.end = w.start + slot->memory_size; /* 0 bytes: it is taken away */
	populate_wanted(&w);
}
