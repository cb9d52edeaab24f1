/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu_nodes.h"

#include <string.h>

#include "parse.h"

/* One value of -object, as text. */
struct backend {
	const char *text;
	size_t size;
};

/* What follows the first `key` in the text; false if it is not there. */
static bool find(const struct backend *b, const char *key, struct scanner *ret)
{
	const char *at = memmem(b->text, b->size, key, strlen(key));

	if (!at)
		return false;
	*ret = (struct scanner){.at = at + strlen(key), .end = b->text + b->size};
	return true;
}

static bool begins_with(struct scanner s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s.end - s.at) >= n && memcmp(s.at, word, n) == 0;
}

static bool is_json(const struct backend *b)
{
	return b->size > 0 && b->text[0] == '{';
}

static bool is_memory(const struct backend *b)
{
	struct scanner s = {.at = b->text, .end = b->text + b->size};

	if (is_json(b))
		return find(b, "\"qom-type\":\"", &s) && begins_with(s, "memory-backend-");
	return begins_with(s, "memory-backend-");
}

static bool is_bound(const struct backend *b)
{
	struct scanner s;

	return find(b, is_json(b) ? "\"policy\":\"" : ",policy=", &s) &&
	       (begins_with(s, "bind") || begins_with(s, "interleave"));
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
static node_set_t nodes_of_json(const struct backend *b)
{
	node_set_t set = 0;
	struct scanner s;

	if (!find(b, "\"host-nodes\":[", &s))
		return 0;
	do
		set |= scan_nodes(&s);
	while (scan_char(&s, ','));
	return set;
}

/* host-nodes=0-1,...,host-nodes=3: one range a key. */
static node_set_t nodes_of_options(const struct backend *b)
{
	struct backend rest = *b;
	node_set_t set = 0;
	struct scanner s;

	while (find(&rest, ",host-nodes=", &s)) {
		set |= scan_nodes(&s);
		rest = (struct backend){s.at, (size_t)(s.end - s.at)};
	}
	return set;
}

static node_set_t nodes_of(const struct backend *b)
{
	if (!is_bound(b))
		return 0;
	return is_json(b) ? nodes_of_json(b) : nodes_of_options(b);
}

static struct backend next_argument(const char **at, const char *end)
{
	const char *nul = memchr(*at, '\0', (size_t)(end - *at));
	struct backend b = {*at, (size_t)((nul ? nul : end) - *at)};

	*at = nul ? nul + 1 : end;
	return b;
}

static bool is_object_option(const struct backend *b)
{
	return (b->size == 7 && memcmp(b->text, "-object", 7) == 0) ||
	       (b->size == 8 && memcmp(b->text, "--object", 8) == 0);
}

node_set_t qemu_bound_nodes(const char *text, size_t size)
{
	const char *at = text, *end = text + size;
	bool is_value = false;
	node_set_t set = 0;

	while (at < end) {
		struct backend b = next_argument(&at, end);

		if (is_value && is_memory(&b)) {
			node_set_t nodes = nodes_of(&b);

			if (nodes == 0)
				return 0;
			set |= nodes;
		}
		is_value = !is_value && is_object_option(&b);
	}
	return set;
}
