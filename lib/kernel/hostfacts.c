/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostfacts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "parse.h"

#define THP_DIRECTORY "sys/kernel/mm/transparent_hugepage/"

/* Cuts the newline off, as sysfs writes one. */
static ssize_t read_line(struct sys *sys, const char *path, char *buffer, size_t size)
{
	ssize_t n = sys_read_at(sys->rootfd, path, buffer, size);

	if (n > 0 && buffer[n - 1] == '\n')
		buffer[--n] = '\0';
	return n;
}

static int read_u64(struct sys *sys, const char *path, uint64_t *ret)
{
	char text[32];
	ssize_t n = read_line(sys, path, text, sizeof(text));

	return n < 0 ? (int)n : parse_u64(text, ret);
}

static uint8_t log2_exact(uint64_t value)
{
	return value && (value & (value - 1)) == 0 ? (uint8_t)__builtin_ctzll(value) : 0;
}

int host_read_geometry(struct sys *sys, struct mmu_geometry *ret)
{
	uint8_t base_shift = log2_exact(sys->ops->page_bytes(sys)), pmd_shift;
	uint64_t pmd_bytes;
	struct mmu_geometry g;

	if (read_u64(sys, THP_DIRECTORY "hpage_pmd_size", &pmd_bytes) < 0)
		return -EOPNOTSUPP;
	pmd_shift = log2_exact(pmd_bytes);
	if (pmd_shift <= base_shift)
		return -EOPNOTSUPP;
	g.base_shift = base_shift;
	g.pmd_order = (uint8_t)(pmd_shift - base_shift);
	/* A table of each level is one page of equal entries, so each level adds the same order. */
	g.pud_order = (uint8_t)(2 * g.pmd_order);
	if (!mmu_geometry_is_valid(&g))
		return -EOPNOTSUPP;
	*ret = g;
	return 0;
}

/* "always [madvise] never": the word in brackets; "" if there is none. */
static void read_choice(struct sys *sys, const char *path, char *buffer, size_t size)
{
	char text[256];
	const char *open, *close;

	buffer[0] = '\0';
	if (read_line(sys, path, text, sizeof(text)) < 0)
		return;
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (close)
		(void)snprintf(buffer, size, "%.*s", (int)(close - open - 1), open + 1);
}

static enum shmem_knob read_shmem_knob(struct sys *sys, const char *path)
{
	enum shmem_knob knob;
	char word[32];

	read_choice(sys, path, word, sizeof(word));
	return shmem_knob_from_name(word, &knob) == 0 ? knob : SHMEM_KNOB_ABSENT;
}

/* "0-3,8": how many; 0 if it is not such a list. */
static uint32_t count_cpu_list(const char *text)
{
	struct scanner s = {.at = text, .end = text + strlen(text)};
	uint64_t n = 0;

	do {
		uint64_t first, last;

		if (!scan_range(&s, &first, &last) || last > UINT16_MAX)
			return 0;
		n += last - first + 1;
	} while (scan_char(&s, ','));
	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

static uint32_t read_cpus(struct sys *sys)
{
	char text[1024];

	if (read_line(sys, "sys/devices/system/cpu/online", text, sizeof(text)) < 0)
		return 0;
	return count_cpu_list(text);
}

int host_read_knobs(struct sys *sys, const struct mmu_geometry *g, struct host *h)
{
	char path[128];
	uint64_t ksm_run;

	read_choice(sys, THP_DIRECTORY "enabled", h->thp_enabled, sizeof(h->thp_enabled));
	h->shmem_global = read_shmem_knob(sys, THP_DIRECTORY "shmem_enabled");
	(void)snprintf(path, sizeof(path), THP_DIRECTORY "hugepages-%llukB/shmem_enabled",
		       (unsigned long long)(block_bytes(g) / 1024));
	h->shmem_block = read_shmem_knob(sys, path);
	h->is_ksm_running = read_u64(sys, "sys/kernel/mm/ksm/run", &ksm_run) == 0 && ksm_run == 1;
	h->cpus = read_cpus(sys);
	return sys->ops->release(sys, h->kernel_release, sizeof(h->kernel_release));
}

/* "MemTotal:       24683444 kB" */
static void read_meminfo(struct sys *sys, struct host *h)
{
	char text[8192];
	ssize_t n = sys_read_at(sys->rootfd, "proc/meminfo", text, sizeof(text));
	struct scanner s = {.at = text, .end = text + (n > 0 ? n : 0)}, line, key;
	uint64_t kilobytes;

	while (scan_line(&s, &line)) {
		size_t size;

		if (!scan_word(&line, &key))
			continue;
		scan_blanks(&line);
		if (!scan_u64(&line, &kilobytes) || kilobytes > UINT64_MAX / 1024)
			continue;
		size = (size_t)(key.end - key.at);
		if (size == 9 && memcmp(key.at, "MemTotal:", size) == 0)
			h->mem_total_bytes = kilobytes * 1024;
		else if (size == 13 && memcmp(key.at, "MemAvailable:", size) == 0)
			h->mem_available_bytes = kilobytes * 1024;
	}
}

int host_read_memory(struct sys *sys, const struct mmu_geometry *g, struct host *h)
{
	h->mem_total_bytes = 0;
	h->mem_available_bytes = 0;
	read_meminfo(sys, h);
	host_read_zones(sys, g, h);
	return 0;
}
