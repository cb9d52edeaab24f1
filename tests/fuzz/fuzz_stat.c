/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stat, statm and cgroup: a failure leaves the results alone, names stay terminated. */
#include <stdlib.h>
#include <string.h>

#include "memcg.h"
#include "procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cgroup(const char *text)
{
	char path[64], machine[64], name[16];
	bool is_unified;

	memcg_parse_paths(text, path, machine, sizeof(path), &is_unified);
	if (strnlen(path, sizeof(path)) == sizeof(path) ||
	    strnlen(machine, sizeof(machine)) == sizeof(machine))
		abort();
	if (cgroup_parse_machine(text, name, sizeof(name)) &&
	    strnlen(name, sizeof(name)) == sizeof(name))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_stat stat = {.starttime = 4711, .processor = 4711};
	uint64_t total = 4711, resident = 4711;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (stat_parse(text, size, &stat) < 0 && (stat.starttime != 4711 || stat.processor != 4711))
		abort();
	if (statm_parse(text, size, &total, &resident) < 0 && (total != 4711 || resident != 4711))
		abort();
	try_cgroup(text);
	free(text);
	return 0;
}
