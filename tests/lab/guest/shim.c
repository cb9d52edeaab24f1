/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaded into a VMM that is not ours (LD_PRELOAD), so that its memory can be brought into a known
 * state: only a process itself can do so. SHIM_FILE is the file that the VMM maps as guest memory,
 * SHIM_IN and SHIM_OUT are FIFOs. A line in, a line out:
 *
 *   huge OFF LEN, pte OFF LEN    as memstate_make_huge, memstate_make_pte_mapped; bytes
 *
 * answered by `ok addr=0xADDR bytes=LEN`, or by `failed` and why.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memstate.h"

/* The longest mapping of the file. 0 or -ENOENT. */
static int find_mapping(const char *path, uint64_t *ret_start, uint64_t *ret_bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352];

	*ret_start = *ret_bytes = 0;
	while (maps && fgets(line, sizeof(line), maps)) {
		uint64_t start, end;

		if (!strstr(line, path) ||
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 ||
		    end - start <= *ret_bytes)
			continue;
		*ret_start = start;
		*ret_bytes = end - start;
	}
	if (maps)
		(void)fclose(maps);
	return *ret_bytes > 0 ? 0 : -ENOENT;
}

static int obey(const char *line, uint64_t *ret_addr, uint64_t *ret_bytes)
{
	uint64_t start, bytes, offset;
	char verb[8];
	int r;

	if (sscanf(line, "%7s %" SCNu64 " %" SCNu64, verb, &offset, ret_bytes) != 3)
		return -EINVAL;
	r = find_mapping(getenv("SHIM_FILE"), &start, &bytes);
	if (r < 0)
		return r;
	if (offset > bytes || *ret_bytes > bytes - offset)
		return -ERANGE;
	*ret_addr = start + offset;
	if (strcmp(verb, "huge") == 0)
		return memstate_make_huge((void *)*ret_addr, *ret_bytes);
	if (strcmp(verb, "pte") == 0)
		return memstate_make_pte_mapped((void *)*ret_addr, *ret_bytes);
	return -EINVAL;
}

static void *serve(void *unused)
{
	FILE *in = fopen(getenv("SHIM_IN"), "re"), *out = fopen(getenv("SHIM_OUT"), "we");
	char line[128];

	while (in && out && fgets(line, sizeof(line), in)) {
		uint64_t addr, bytes;
		int r = obey(line, &addr, &bytes);

		if (r < 0)
			(void)fprintf(out, "failed: %s\n", strerror(-r));
		else
			(void)fprintf(out, "ok addr=0x%" PRIx64 " bytes=%" PRIu64 "\n", addr,
				      bytes);
		(void)fflush(out);
	}
	return unused;
}

/* The VMM's signals are for the VMM's threads. */
__attribute__((constructor)) static void shim_begin(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (!getenv("SHIM_FILE") || !getenv("SHIM_IN") || !getenv("SHIM_OUT"))
		return;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	if (pthread_create(&thread, NULL, serve, NULL) == 0)
		(void)pthread_detach(thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
