/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "node_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

static int scan_nodes(struct scanner *s, node_set_t *set, bool *is_cut)
{
	uint64_t first, last;

	if (!scan_range(s, &first, &last))
		return -EINVAL;
	*is_cut |= last >= NODE_SET_MAX;
	for (uint64_t node = first; node <= last && node < NODE_SET_MAX; node++)
		*set |= node_set_of((int)node);
	return 0;
}

/* is_cut: nodes were left out. */
static int scan_list(const char *text, node_set_t *set, bool *is_cut)
{
	struct scanner s = {.at = text, .end = text + strlen(text)};

	*set = 0;
	*is_cut = false;
	if (s.at == s.end)
		return 0;
	do {
		int r = scan_nodes(&s, set, is_cut);

		if (r < 0)
			return r;
	} while (scan_char(&s, ','));
	return s.at == s.end ? 0 : -EINVAL;
}

int node_set_parse(const char *text, node_set_t *ret)
{
	node_set_t set;
	bool is_cut;
	int r = scan_list(text, &set, &is_cut);

	if (r == 0)
		*ret = set;
	return r;
}

int node_set_parse_whole(const char *text, node_set_t *ret)
{
	node_set_t set;
	bool is_cut;
	int r = scan_list(text, &set, &is_cut);

	if (r == 0 && is_cut)
		r = -ERANGE;
	if (r == 0)
		*ret = set;
	return r;
}

/* The longest text is of pairs with a gap between them: 21 times "10-11,". */
const char *node_set_format(node_set_t set, char *buffer)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (int node = 0; node < NODE_SET_MAX; node++) {
		int first = node;

		if (!node_set_has(set, node))
			continue;
		while (node_set_has(set, node + 1))
			node++;
		used += (size_t)snprintf(buffer + used, NODE_SET_TEXT_MAX - used,
					 node == first ? "%s%d" : "%s%d-%d", used > 0 ? "," : "",
					 first, node);
	}
	return buffer;
}
