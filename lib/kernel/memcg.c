/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memcg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "procfs.h"

/* What version 1 shows for "no limit" is close to the largest number, rounded to pages. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

struct cgroup_line {
	struct scanner id, controllers, path;
};

/* "4:memory:/machine.slice/vm" or "0::/machine.slice/vm". */
static bool parse_line(struct scanner line, struct cgroup_line *l)
{
	const char *first = memchr(line.at, ':', (size_t)(line.end - line.at));
	const char *second = first ? memchr(first + 1, ':', (size_t)(line.end - first - 1)) : NULL;

	if (!second)
		return false;
	l->id = (struct scanner){line.at, first};
	l->controllers = (struct scanner){first + 1, second};
	l->path = (struct scanner){second + 1, line.end};
	return true;
}

static bool is_memory(struct scanner controllers)
{
	const char *at = controllers.at;

	while (at < controllers.end) {
		size_t n = strcspn(at, ",:");

		if (n == 6 && memcmp(at, "memory", 6) == 0)
			return true;
		at += n + 1;
	}
	return false;
}

static void copy(struct scanner s, char *buffer, size_t size)
{
	size_t n = min_u64((uint64_t)(s.end - s.at), size - 1);

	memcpy(buffer, s.at, n);
	buffer[n] = '\0';
}

void memcg_parse_paths(const char *text, char *ret_path, char *ret_machine, size_t size,
		       bool *ret_is_unified)
{
	struct scanner s = {.at = text, .end = text + strlen(text)}, line;
	struct scanner memory = {NULL, NULL}, unified = {NULL, NULL};
	struct cgroup_line l;
	char name[8];

	ret_machine[0] = '\0';
	while (scan_line(&s, &line)) {
		if (!parse_line(line, &l))
			continue;
		if (is_memory(l.controllers))
			memory = l.path;
		else if (l.controllers.at == l.controllers.end)
			unified = l.path;
		if (ret_machine[0] == '\0') {
			copy(l.path, ret_machine, size);
			if (!cgroup_parse_machine(ret_machine, name, sizeof(name)))
				ret_machine[0] = '\0';
		}
	}
	/* Where version 1 holds the memory controller, the unified hierarchy has no limits. */
	*ret_is_unified = !memory.at;
	copy(memory.at	  ? memory
	     : unified.at ? unified
			  : (struct scanner){text, text},
	     ret_path, size);
}

int memcg_read_paths(const struct process *p, char *ret_path, char *ret_machine, size_t size,
		     bool *ret_is_unified)
{
	char text[16384];
	ssize_t n = sys_read_at(p->dirfd, "cgroup", text, sizeof(text));

	if (n < 0)
		return (int)n;
	memcg_parse_paths(text, ret_path, ret_machine, size, ret_is_unified);
	return 0;
}

/* One number of a cgroup; UINT64_MAX for "max" and for what is not there. */
static uint64_t read_number(struct sys *sys, const char *directory, const char *name)
{
	char path[1024], text[32];
	uint64_t value;
	int size = snprintf(path, sizeof(path), "%s/%s", directory, name);
	ssize_t n;

	if (size < 0 || (size_t)size >= sizeof(path))
		return UINT64_MAX;
	n = sys_read_at(sys->rootfd, path, text, sizeof(text));
	if (n <= 0)
		return UINT64_MAX;
	if (text[n - 1] == '\n')
		text[n - 1] = '\0';
	return parse_u64(text, &value) == 0 ? value : UINT64_MAX;
}

static uint64_t headroom_of(struct sys *sys, const char *directory, bool is_unified)
{
	uint64_t limit =
		read_number(sys, directory, is_unified ? "memory.max" : "memory.limit_in_bytes");
	uint64_t used;

	if (limit >= V1_NO_LIMIT)
		return UINT64_MAX;
	used = read_number(sys, directory, is_unified ? "memory.current" : "memory.usage_in_bytes");
	return used == UINT64_MAX ? UINT64_MAX : sat_sub_u64(limit, used);
}

/* The directory below rootfd; false if the path leaves what thpd can see. */
static bool make_directory(const char *point, const char *top, const char *path, char *buffer,
			   size_t size)
{
	size_t n = strlen(top);
	int length;

	if (point[0] != '/' || path[0] != '/' || strstr(path, "/.."))
		return false;
	/* A hierarchy mounted at some inner point shows only what lies below that. */
	if (n > 1) {
		if (strncmp(path, top, n) != 0 || (path[n] != '/' && path[n] != '\0'))
			return false;
		path += n;
	}
	length = snprintf(buffer, size, "%s%s", point + 1, path);
	return length > 0 && (size_t)length < size;
}

uint64_t memcg_read_headroom(struct sys *sys, const struct process *p, const struct mounts *m)
{
	char path[512], machine[512], directory[1024];
	uint64_t headroom = UINT64_MAX;
	bool is_unified;
	size_t top;

	if (memcg_read_paths(p, path, machine, sizeof(path), &is_unified) < 0)
		return UINT64_MAX;
	if (!make_directory(is_unified ? m->unified : m->memory_v1,
			    is_unified ? m->unified_top : m->memory_v1_top, path, directory,
			    sizeof(directory)))
		return UINT64_MAX;
	top = strlen(is_unified ? m->unified : m->memory_v1) - 1;
	for (;;) {
		char *slash;

		headroom = min_u64(headroom, headroom_of(sys, directory, is_unified));
		slash = strrchr(directory, '/');
		if (!slash || (size_t)(slash - directory) < top)
			return headroom;
		*slash = '\0';
	}
}
