/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What monitoring does that knows nothing better: reads smaps of every VM, again and again.
 *
 *   bench_poll SECONDS EVERY_SECONDS PID...
 *
 * One JSON line: {"cpu_ns","rounds"}. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common.h"

int main(int argc, char **argv)
{
	uint64_t rounds, done = 0, began_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	struct timespec pause = {0};

	if (argc < 4 || atoi(argv[1]) <= 0 || atoi(argv[2]) <= 0)
		return 2;
	pause.tv_sec = atoi(argv[2]);
	rounds = (uint64_t)(atoi(argv[1]) / atoi(argv[2]));
	for (; done < rounds; done++) {
		for (int i = 3; i < argc; i++)
			read_smaps(atoi(argv[i]));
		(void)nanosleep(&pause, NULL);
	}
	printf("{\"cpu_ns\":%llu,\"rounds\":%llu}\n",
	       (unsigned long long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns),
	       (unsigned long long)done);
	return 0;
}
