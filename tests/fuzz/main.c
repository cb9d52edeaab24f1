/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a fuzz target on the files named on the command line: a crash found by the fuzzer becomes an
 * ordinary program. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int run_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX);
	FILE *f = fopen(path, "re");
	size_t size;

	if (!data || !f) {
		perror(path);
		free(data);
		return 1;
	}
	size = fread(data, 1, INPUT_MAX, f);
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run_file(argv[i]);
	return failed;
}
