/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps memory warm for a measurement that will allocate it: see bench/scene.sh.
 *
 *   bench_bank MIB
 *
 * Lines on stdin: `take` allocates the memory, huge if possible, `free` gives it back; each is
 * answered by `ok`. Ends with stdin. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int obey(const char *line, void *memory, size_t bytes)
{
	if (strcmp(line, "take\n") == 0)
		return madvise(memory, bytes, MADV_POPULATE_WRITE);
	if (strcmp(line, "free\n") == 0)
		return madvise(memory, bytes, MADV_DONTNEED);
	return -1;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) << 20 : 0;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char line[16];

	if (memory == MAP_FAILED)
		return 1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	while (fgets(line, sizeof(line), stdin))
		puts(obey(line, memory, bytes) == 0 ? "ok" : "failed");
	return 0;
}
