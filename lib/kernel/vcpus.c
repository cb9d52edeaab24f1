/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vcpus.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "parse.h"
#include "procfs.h"
#include "snapshot.h"

/* A VMM has some dozens of threads besides its vCPUs; a hostile one has as many as it can make. */
enum { THREADS_MAX = 4 * SNAPSHOT_VCPUS_MAX, CPUS_MAX = 8192 };

/* The node of each CPU; -1: not known. */
struct cpu_nodes {
	int16_t node[CPUS_MAX];
};

/* ---- Which CPU is where ---- */

/* The CPUs of a list ("0-3,8") are the node's; up to what is no list. */
static void put_on_node(struct cpu_nodes *cpus, const char *list, int16_t node)
{
	struct scanner s = {.at = list, .end = list + strlen(list)};
	uint64_t first, last;

	do {
		if (!scan_range(&s, &first, &last))
			return;
		for (uint64_t cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++)
			cpus->node[cpu] = node;
	} while (scan_char(&s, ','));
}

static struct cpu_nodes *read_cpu_nodes(struct sys *sys)
{
	struct cpu_nodes *cpus = malloc(sizeof(*cpus));

	if (!cpus)
		return NULL;
	for (size_t i = 0; i < CPUS_MAX; i++)
		cpus->node[i] = -1;
	for (int16_t node = 0; node < NODE_SET_MAX; node++) {
		char path[64], text[8192];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", node);
		n = sys_read_at(sys->rootfd, path, text, sizeof(text));
		if (n > 0)
			put_on_node(cpus, text, node);
	}
	return cpus;
}

/* ---- One thread ---- */

static bool has_number(const char *text, const char *prefix, const char *suffix)
{
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0 || !isdigit((unsigned char)text[n]))
		return false;
	while (isdigit((unsigned char)text[n]))
		n++;
	return strcmp(text + n, suffix) == 0;
}

static bool is_vcpu(const char *comm)
{
	return has_number(comm, "CPU ", "/KVM") || has_number(comm, "vcpu", "") ||
	       has_number(comm, "fc_vcpu ", "") || has_number(comm, "crosvm_vcpu", "");
}

/* A file of the thread below its directory, as text; length or -errno. */
static ssize_t read_file(int task_fd, pid_t tid, const char *name, char *buffer, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/%s", (int)tid, name);
	return sys_read_at(task_fd, path, buffer, size);
}

static int16_t node_of_cpu(const struct cpu_nodes *cpus, uint64_t cpu)
{
	return cpu < CPUS_MAX ? cpus->node[cpu] : -1;
}

/* The nodes of a list of CPUs, up to what is no list. */
static node_set_t nodes_of_cpus(const struct cpu_nodes *cpus, const char *list)
{
	struct scanner s = {.at = list, .end = list + strlen(list)};
	uint64_t first, last;
	node_set_t set = 0;

	do {
		if (!scan_range(&s, &first, &last))
			return set;
		for (uint64_t cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++)
			set |= node_set_of(cpus->node[cpu]);
	} while (scan_char(&s, ','));
	return set;
}

/* What follows `key` in a text of lines, up to the end of its line; "" if it is not there. */
static void find_line(const char *text, const char *key, char *buffer, size_t size)
{
	const char *at = strstr(text, key);

	buffer[0] = '\0';
	if (!at)
		return;
	at += strlen(key);
	at += strspn(at, " \t:");
	(void)snprintf(buffer, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static uint64_t leading_number(const char *text)
{
	struct scanner s = {.at = text, .end = text + strlen(text)};
	uint64_t value;

	return scan_u64(&s, &value) ? value : 0;
}

/* What is missing stays unknown; a thread that ended meanwhile is left out (false). */
static bool read_vcpu(int task_fd, const struct cpu_nodes *cpus, bool with_migrations,
		      struct vcpu *ret)
{
	struct proc_stat stat;
	char text[16384], line[4096];
	ssize_t n = read_file(task_fd, ret->tid, "stat", text, sizeof(text));

	if (n <= 0 || stat_parse(text, (size_t)n, &stat) < 0)
		return false;
	ret->node = node_of_cpu(cpus, stat.processor);
	if (read_file(task_fd, ret->tid, "status", text, sizeof(text)) > 0) {
		find_line(text, "\nCpus_allowed_list", line, sizeof(line));
		ret->allowed = nodes_of_cpus(cpus, line);
	}
	if (read_file(task_fd, ret->tid, "schedstat", text, sizeof(text)) > 0)
		ret->ran_ns = leading_number(text);
	/* Only kernels that can balance have the line, and it is the dearest of the files. */
	if (with_migrations && read_file(task_fd, ret->tid, "sched", text, sizeof(text)) > 0) {
		find_line(text, "\nnuma_pages_migrated", line, sizeof(line));
		ret->migrated_pages = leading_number(line);
	}
	return true;
}

static int take_thread(int task_fd, const char *name, const struct cpu_nodes *cpus,
		       bool with_migrations, struct vcpu **list, size_t *n)
{
	struct vcpu v = {.node = -1, .guest_node = -1, .busy_bp = VCPU_BUSY_UNKNOWN};
	char comm[64];
	ssize_t size;

	if (parse_pid(name, &v.tid) < 0)
		return 0;
	size = read_file(task_fd, v.tid, "comm", comm, sizeof(comm));
	if (size <= 0)
		return 0;
	comm[strcspn(comm, "\n")] = '\0';
	if (!is_vcpu(comm) || !read_vcpu(task_fd, cpus, with_migrations, &v))
		return 0;
	return ARRAY_APPEND(list, n, &v);
}

int vcpus_read(struct sys *sys, const struct process *p, bool with_migrations, struct vcpu **ret,
	       size_t *ret_n)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_free_ struct cpu_nodes *cpus = NULL;
	_cleanup_free_ struct vcpu *list = NULL;
	struct dirent *entry;
	size_t n = 0;
	int r = sys_opendir_at(p->dirfd, "task", &dir);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	cpus = read_cpu_nodes(sys);
	if (!cpus)
		return -ENOMEM;
	for (int i = 0; i < THREADS_MAX && n < SNAPSHOT_VCPUS_MAX && (entry = readdir(dir)); i++) {
		r = take_thread(dirfd(dir), entry->d_name, cpus, with_migrations, &list, &n);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(list);
	*ret_n = n;
	return 0;
}
