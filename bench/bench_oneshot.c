/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people write today: a one-shot loop of process_madvise(MADV_COLLAPSE) over a range of
 * another process.
 *
 *   bench_oneshot PID START BYTES [CALL_BYTES [THREADS]]
 *
 * CALL_BYTES 0 is the whole range in calls of 1 GiB, as much as the kernel takes. Prints one JSON
 * line: how long the loop took (start-up not counted), the longest call, and what the loop believes
 * it made huge: the sum of the return values. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { THREADS_MAX = 16 };

struct share {
	int pidfd;
	uint64_t start, bytes, call_bytes;
	uint64_t worst_ns, claimed_bytes, failed_calls;
};

static void *run_share(void *userdata)
{
	struct share *s = userdata;

	for (uint64_t at = 0; at < s->bytes; at += s->call_bytes) {
		uint64_t left = s->bytes - at;
		struct iovec range = {
			.iov_base = (void *)(uintptr_t)(s->start + at),
			.iov_len = left < s->call_bytes ? left : s->call_bytes,
		};
		uint64_t began_ns = clock_ns(CLOCK_MONOTONIC), took_ns;
		long r = syscall(SYS_process_madvise, s->pidfd, &range, 1UL, MADV_COLLAPSE, 0U);

		took_ns = clock_ns(CLOCK_MONOTONIC) - began_ns;
		if (took_ns > s->worst_ns)
			s->worst_ns = took_ns;
		if (r < 0)
			s->failed_calls++;
		else
			s->claimed_bytes += (uint64_t)r;
	}
	return NULL;
}

static uint64_t number(int argc, char **argv, int index, uint64_t fallback)
{
	return index < argc ? strtoull(argv[index], NULL, 0) : fallback;
}

int main(int argc, char **argv)
{
	uint64_t start = number(argc, argv, 2, 0), bytes = number(argc, argv, 3, 0), began_ns,
		 took_ns;
	uint64_t call_bytes = number(argc, argv, 4, UINT64_C(2) << 20),
		 threads = number(argc, argv, 5, 1);
	struct share shares[THREADS_MAX] = {0}, sum = {0};
	pthread_t ids[THREADS_MAX];
	int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)number(argc, argv, 1, 0), 0U);

	if (argc < 4 || pidfd < 0 || threads < 1 || threads > THREADS_MAX)
		return 2;
	(void)alarm(MEASURED_SECONDS_MAX);
	if (call_bytes == 0)
		call_bytes = UINT64_C(1) << 30;
	began_ns = clock_ns(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < threads; i++) {
		shares[i] = (struct share){.pidfd = pidfd,
					   .start = start + bytes / threads * i,
					   .bytes = bytes / threads,
					   .call_bytes = call_bytes};
		if (pthread_create(&ids[i], NULL, run_share, &shares[i]) != 0)
			return 1;
	}
	for (uint64_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		sum.claimed_bytes += shares[i].claimed_bytes;
		sum.failed_calls += shares[i].failed_calls;
		sum.worst_ns =
			shares[i].worst_ns > sum.worst_ns ? shares[i].worst_ns : sum.worst_ns;
	}
	took_ns = clock_ns(CLOCK_MONOTONIC) - began_ns;
	printf("{\"wall_ns\":%llu,\"worst_call_ns\":%llu,\"claimed_bytes\":%llu,\"failed_calls\":%"
	       "llu}\n",
	       (unsigned long long)took_ns, (unsigned long long)sum.worst_ns,
	       (unsigned long long)sum.claimed_bytes, (unsigned long long)sum.failed_calls);
	return 0;
}
