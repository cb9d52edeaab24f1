/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "hostfacts.h"
#include "parse.h"

#define NODE_DIRECTORY "sys/devices/system/node/"

/* A file of one node, its newline cut off; "" if it cannot be read or does not fit. */
static void read_node_line(struct sys *sys, int id, const char *name, char *buffer, size_t size)
{
	char path[96];
	ssize_t n;

	(void)snprintf(path, sizeof(path), NODE_DIRECTORY "node%d/%s", id, name);
	n = sys_read_at(sys->rootfd, path, buffer, size);
	buffer[n > 0 ? n : 0] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
}

/* "Node 0 MemTotal:       24683444 kB", the first line. */
static uint64_t read_total_bytes(struct sys *sys, int id)
{
	char text[4096];
	struct scanner s;
	uint64_t kilobytes;
	const char *at;

	read_node_line(sys, id, "meminfo", text, sizeof(text));
	at = strstr(text, "MemTotal:");
	if (!at)
		return 0;
	s = (struct scanner){.at = at + strlen("MemTotal:"), .end = text + strlen(text)};
	scan_blanks(&s);
	return scan_u64(&s, &kilobytes) && kilobytes <= UINT64_MAX / 1024 ? kilobytes * 1024 : 0;
}

/* The kernel writes a distance for each node that is online, in their order; those without memory
 * are no nodes of the host here, and are left out. */
static void read_distances(struct sys *sys, node_set_t online, const struct host *h,
			   struct host_node *node)
{
	uint64_t distances[NODE_SET_MAX] = {0};
	char text[512];
	struct scanner s;
	size_t used = 0;

	node->distances[0] = '\0';
	read_node_line(sys, node->id, "distance", text, sizeof(text));
	s = (struct scanner){.at = text, .end = text + strlen(text)};
	for (int id = 0; id < NODE_SET_MAX; id++) {
		if (!node_set_has(online, id))
			continue;
		scan_blanks(&s);
		if (!scan_u64(&s, &distances[id]) || distances[id] > UINT8_MAX)
			return;
	}
	for (uint16_t i = 0; i < h->n_nodes; i++) {
		int id = h->nodes[i].id, n;

		n = snprintf(node->distances + used, sizeof(node->distances) - used, "%s%u",
			     i > 0 ? " " : "",
			     (unsigned int)(id < NODE_SET_MAX ? distances[id] : 0));
		if (n < 0 || (size_t)n >= sizeof(node->distances) - used) {
			node->distances[0] = '\0';
			return;
		}
		used += (size_t)n;
	}
}

static node_set_t read_online(struct sys *sys)
{
	char text[NODE_SET_TEXT_MAX];
	node_set_t set = 0;
	ssize_t n = sys_read_at(sys->rootfd, NODE_DIRECTORY "online", text, sizeof(text));

	if (n <= 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return node_set_parse(text, &set) == 0 ? set : 0;
}

void host_read_nodes(struct sys *sys, struct host *h)
{
	node_set_t online;
	uint64_t balancing;

	if (h->n_nodes < 2)
		return;
	online = read_online(sys);
	for (uint16_t i = 0; i < h->n_nodes; i++) {
		struct host_node *node = &h->nodes[i];
		char cpus[4096];

		read_node_line(sys, node->id, "cpulist", cpus, sizeof(cpus));
		node->has_cpus = cpus[0] != '\0';
		node->total_bytes = read_total_bytes(sys, node->id);
		read_distances(sys, online, h, node);
	}
	h->is_numa_balancing = sys_read_number_at(sys->rootfd, "proc/sys/kernel/numa_balancing",
						  &balancing) == 0 &&
			       balancing != 0;
}
