/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu_nodes.h"

#include <string.h>

#include "parse.h"
#include "procfs.h"

/* What follows the first `key` in the text; false if it is not there. */
static bool find(struct scanner text, const char *key, struct scanner *ret)
{
	const char *at = memmem(text.at, (size_t)(text.end - text.at), key, strlen(key));

	if (!at)
		return false;
	*ret = (struct scanner){.at = at + strlen(key), .end = text.end};
	return true;
}

/* A value of -object is JSON or a list of options. */
static bool is_json(struct scanner object)
{
	return scan_char(&object, '{');
}

static bool is_memory(struct scanner object)
{
	if (is_json(object) && !find(object, "\"qom-type\":\"", &object))
		return false;
	return scan_text(&object, "memory-backend-");
}

static bool is_bound(struct scanner object)
{
	struct scanner s;

	return find(object, is_json(object) ? "\"policy\":\"" : ",policy=", &s) &&
	       (scan_text(&s, "bind") || scan_text(&s, "interleave"));
}

/* "0-1" or "0": what stands at the scanner. */
static node_set_t scan_nodes(struct scanner *s)
{
	uint64_t first, last;
	node_set_t set = 0;

	if (!scan_range(s, &first, &last))
		return 0;
	for (uint64_t node = first; node <= last && node < NODE_SET_MAX; node++)
		set |= node_set_of((int)node);
	return set;
}

/* {"host-nodes":[0,2]} */
static node_set_t nodes_of_json(struct scanner object)
{
	node_set_t set = 0;
	struct scanner s;

	if (!find(object, "\"host-nodes\":[", &s))
		return 0;
	do
		set |= scan_nodes(&s);
	while (scan_char(&s, ','));
	return set;
}

/* host-nodes=0-1,...,host-nodes=3: one range a key. */
static node_set_t nodes_of_options(struct scanner object)
{
	node_set_t set = 0;

	while (find(object, ",host-nodes=", &object))
		set |= scan_nodes(&object);
	return set;
}

static node_set_t nodes_of(struct scanner object)
{
	if (!is_bound(object))
		return 0;
	return is_json(object) ? nodes_of_json(object) : nodes_of_options(object);
}

node_set_t qemu_bound_nodes(const char *text, size_t size)
{
	struct scanner s = {.at = text, .end = text + size}, argument, object;
	node_set_t set = 0;

	while (cmdline_next(&s, &argument)) {
		node_set_t nodes;

		if (!cmdline_is_option(argument, "object") || !cmdline_next(&s, &object) ||
		    !is_memory(object))
			continue;
		nodes = nodes_of(object);
		if (nodes == 0)
			return 0;
		set |= nodes;
	}
	return set;
}
