/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. A collapse needs one page to begin with: it allocates a huge one on that
 * page's node, copies what is there and clears the rest, so that empty memory costs one clearing
 * and no fault per 4 KiB (KERNEL.md 0.4). MADV_POPULATE_WRITE of the first page of each block
 * provides it. fallocate() with FALLOC_FL_KEEP_SIZE would too, and as fast, but it needs the file,
 * which the VMM may have closed by then, and leaves no page table, without which a kernel
 * before 6.18 refuses to collapse (EINVAL). The fault takes the node from the policy of the mapping
 * (mbind), and where it has none, from that of the thread, which threads inherit.
 *
 * It goes by chunks: few enough calls, each of which disturbs all CPUs once, and where memory or
 * the cgroup's limit ends, it ends within one chunk, with nothing but a page a block for its
 * trouble. */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "congruent.h"
#include "prealloc.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define CHUNK_BYTES (32 * CONGRUENT_2M)

enum {
	TRIES = 3, /* pages come back from where they are for a moment; a compaction frees more */
	DEFAULT_THREADS = 8, /* where memory is the limit on machines that were measured */
	STACK_BYTES = 64 << 10,
};

struct job {
	uintptr_t start, end;
	_Atomic uintptr_t next; /* the first byte nobody has taken */
	atomic_int error;
};

unsigned int prealloc_threads(void)
{
	cpu_set_t cpus;
	int n = 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = CPU_COUNT(&cpus);
	return n > DEFAULT_THREADS ? DEFAULT_THREADS : (unsigned int)n;
}

static int seed_blocks(uintptr_t start, uintptr_t end, size_t page_bytes)
{
	for (uintptr_t at = start; at < end; at += CONGRUENT_2M)
		if (madvise((void *)at, page_bytes, MADV_POPULATE_WRITE) < 0)
			return -errno;
	return 0;
}

static int collapse_blocks(uintptr_t start, uintptr_t end)
{
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		if (madvise((void *)start, end - start, MADV_COLLAPSE) == 0)
			return 0;
		r = -errno;
		if (r != -EAGAIN && r != -ENOMEM)
			break;
	}
	return r;
}

/* A page that somebody holds is his block's misfortune only; all else would go on like that. */
static bool is_over(int error)
{
	return error < 0 && error != -EAGAIN;
}

static void *work(void *argument)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct job *job = argument;

	while (!is_over(atomic_load(&job->error))) {
		uintptr_t start = atomic_fetch_add(&job->next, CHUNK_BYTES), end;
		int r;

		if (start >= job->end)
			break;
		end = job->end - start < CHUNK_BYTES ? job->end : start + CHUNK_BYTES;
		r = seed_blocks(start, end, page_bytes);
		if (r == 0)
			r = collapse_blocks(start, end);
		if (r < 0 && !is_over(atomic_load(&job->error)))
			atomic_store(&job->error, r);
	}
	return NULL;
}

static unsigned int threads_start(pthread_t *threads, unsigned int count, struct job *job)
{
	pthread_attr_t attributes;
	unsigned int n = 0;

	if (pthread_attr_init(&attributes) != 0)
		return 0;
	pthread_attr_setstacksize(&attributes, STACK_BYTES + (size_t)PTHREAD_STACK_MIN);
	while (n < count && pthread_create(&threads[n], &attributes, work, job) == 0)
		n++;
	pthread_attr_destroy(&attributes);
	return n;
}

static unsigned int threads_wanted(const struct job *job, unsigned int threads)
{
	uint64_t chunks = (job->end - job->start + CHUNK_BYTES - 1) / CHUNK_BYTES;

	if (threads > PREALLOC_MAX_THREADS)
		threads = PREALLOC_MAX_THREADS;
	return chunks < threads ? (unsigned int)chunks : threads;
}

static void job_run(struct job *job, unsigned int threads)
{
	pthread_t helpers[PREALLOC_MAX_THREADS];
	unsigned int started = 0;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (threads > 1)
		started = threads_start(helpers, threads - 1, job);
	work(job);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int prealloc_huge(void *start, uint64_t bytes, unsigned int threads)
{
	uintptr_t from = (uintptr_t)start, to = from + bytes;
	int saved = errno;
	struct job job = {
		.start = (from + CONGRUENT_2M - 1) / CONGRUENT_2M * CONGRUENT_2M,
		.end = to / CONGRUENT_2M * CONGRUENT_2M,
	};

	if (job.start >= job.end)
		return 0;
	job.next = job.start;
	job_run(&job, threads_wanted(&job, threads));
	errno = saved;
	return job.error;
}
