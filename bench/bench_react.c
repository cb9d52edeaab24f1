/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long does it take until somebody repairs a range of another process?
 *
 *   bench_react PID START BYTES
 *
 * Watches until the range has a present page that is not mapped huge, then until it has none any
 * more. A look at a range in order costs microseconds (an inverted PAGEMAP_SCAN, KERNEL.md 0.2), so
 * that a look every millisecond takes nothing from the one who is being measured. One JSON line:
 * {"reaction_ns"}; status 1 after a minute. */

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "memstate.h"

#define DEADLINE_NS (UINT64_C(60) * 1000000000)

struct watch {
	int pagemap_fd;
	uint64_t start, end;
};

static bool has_small_pages(const struct watch *w)
{
	memstate_scan scan = {
		.start = w->start,
		.end = w->end,
		.inverted = MEMSTATE_HUGE,
		.mask = MEMSTATE_PRESENT | MEMSTATE_HUGE,
		.max_pages = 1,
	};

	if (memstate_scan_fd(w->pagemap_fd, &scan) < 0)
		exit(1);
	return scan.first != UINT64_MAX;
}

/* The time when it came to that; ends the program if it does not. */
static uint64_t wait_until(const struct watch *w, bool has_small)
{
	const struct timespec step = {.tv_nsec = 1000 * 1000};
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	while (has_small_pages(w) != has_small) {
		if (clock_ns(CLOCK_MONOTONIC) > end_ns)
			exit(1);
		(void)nanosleep(&step, NULL);
	}
	return clock_ns(CLOCK_MONOTONIC);
}

int main(int argc, char **argv)
{
	struct watch w;
	uint64_t began_ns;
	char path[64];

	if (argc != 4)
		return 2;
	(void)snprintf(path, sizeof(path), "/proc/%s/pagemap", argv[1]);
	w.pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	w.start = strtoull(argv[2], NULL, 0);
	w.end = w.start + strtoull(argv[3], NULL, 0);
	if (w.pagemap_fd < 0)
		return 1;
	began_ns = wait_until(&w, true);
	printf("{\"reaction_ns\":%llu}\n", (unsigned long long)(wait_until(&w, false) - began_ns));
	return 0;
}
