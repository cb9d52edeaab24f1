/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How much of each node is free, and how much of that the kernel would hand out in blocks. Both
 * files list the zones in the same order, /proc/zoneinfo those without memory as well. */

#include <string.h>

#include "cleanup.h"
#include "hostfacts.h"
#include "parse.h"

/* zoneinfo has some lines for each processor in each zone. */
enum { BUDDYINFO_BYTES_MAX = 1 << 20, ZONEINFO_BYTES_MAX = 16 << 20 };

struct zone_name {
	uint64_t node;
	struct scanner name;
};

/* "Node 0, zone   Normal", and what comes behind it is left in the line. */
static bool scan_zone(struct scanner *line, struct zone_name *ret)
{
	struct scanner word;

	if (!scan_text(line, "Node "))
		return false;
	scan_blanks(line);
	if (!scan_u64(line, &ret->node) || !scan_text(line, ", zone"))
		return false;
	scan_blanks(line);
	if (!scan_word(line, &word))
		return false;
	ret->name = word;
	return true;
}

static bool is_same_zone(const struct zone_name *a, const struct zone_name *b)
{
	size_t size = (size_t)(a->name.end - a->name.at);

	return a->node == b->node && size == (size_t)(b->name.end - b->name.at) &&
	       memcmp(a->name.at, b->name.at, size) == 0;
}

/* "(0, 1892, 1892)": the last one. */
static uint64_t scan_last(struct scanner *line)
{
	uint64_t last = 0;

	(void)scan_char(line, '(');
	while (scan_u64(line, &last) && scan_char(line, ','))
		scan_blanks(line);
	return last;
}

/* Goes to the zone, and behind it. What the kernel keeps free of it, in pages: its low watermark,
 * and what it holds back (lowmem_reserve) from whoever may have memory of higher zones, too, as
 * all may that user memory is for. 0 of a zone that is not found: *zoneinfo stays.
 *
 * The reserve for atomic allocations of high order counts as free, though a move gets nothing of
 * it. It is a hundredth of a zone at most (mm/page_alloc.c), so that it matters only where less
 * than that is left above FreeReserve=; a folio that is taken apart there is collapsed anew. Only
 * /proc/pagetypeinfo tells it, and walks the free lists with the zone's lock held: too dear. */
static uint64_t read_kept(struct scanner *zoneinfo, const struct zone_name *zone)
{
	struct scanner text = *zoneinfo, line;
	uint64_t low = 0;
	bool is_there = false;

	while (scan_line(&text, &line)) {
		struct zone_name name;

		scan_blanks(&line);
		if (scan_zone(&line, &name)) {
			is_there = is_same_zone(&name, zone);
		} else if (is_there && scan_text(&line, "low ")) {
			scan_blanks(&line);
			(void)scan_u64(&line, &low);
		} else if (is_there && scan_text(&line, "protection: ")) {
			*zoneinfo = text;
			return sat_add_u64(low, scan_last(&line));
		}
	}
	return 0;
}

static struct host_node *find_node(struct host *h, uint64_t id)
{
	struct host_node *node;

	for (uint16_t i = 0; i < h->n_nodes; i++)
		if ((uint64_t)h->nodes[i].id == id)
			return &h->nodes[i];
	if (h->n_nodes == HOST_NODES_MAX || id > INT16_MAX)
		return NULL;
	node = &h->nodes[h->n_nodes++];
	*node = (struct host_node){.id = (int16_t)id};
	return node;
}

/* Free pieces by order. */
static void scan_pieces(struct scanner *line, const struct mmu_geometry *g, struct host_zone *z)
{
	for (unsigned order = 0; order < 32; order++) {
		uint64_t pieces, bytes;

		scan_blanks(line);
		if (!scan_u64(line, &pieces) ||
		    __builtin_mul_overflow(pieces, page_bytes(g) << order, &bytes))
			return;
		z->free_bytes = sat_add_u64(z->free_bytes, bytes);
		if (order >= g->pmd_order)
			z->free_block_bytes = sat_add_u64(z->free_block_bytes, bytes);
	}
}

/* "Node 0, zone   Normal     12      5 ...". */
static void add_zone(struct scanner line, struct scanner *zoneinfo, const struct mmu_geometry *g,
		     struct host *h)
{
	struct host_zone zone = {0};
	struct host_node *node;
	struct zone_name name;

	if (!scan_zone(&line, &name))
		return;
	node = find_node(h, name.node);
	if (!node)
		return;
	scan_pieces(&line, g, &zone);
	if (__builtin_mul_overflow(read_kept(zoneinfo, &name), page_bytes(g), &zone.kept_bytes))
		zone.kept_bytes = UINT64_MAX;
	node->free_bytes = sat_add_u64(node->free_bytes, zone.free_bytes);
	node->free_block_bytes =
		sat_add_u64(node->free_block_bytes, host_zone_block_bytes(&zone, block_bytes(g)));
}

void host_read_zones(struct sys *sys, const struct mmu_geometry *g, struct host *h)
{
	_cleanup_free_ char *buddyinfo = NULL, *zoneinfo = NULL;
	struct scanner zones = {0}, s, line;
	size_t n;

	for (uint16_t i = 0; i < h->n_nodes; i++)
		h->nodes[i].free_bytes = h->nodes[i].free_block_bytes = 0;
	if (sys_read_all_at(sys->rootfd, "proc/zoneinfo", ZONEINFO_BYTES_MAX, &zoneinfo, &n) >= 0)
		zones = (struct scanner){.at = zoneinfo, .end = zoneinfo + n};
	if (sys_read_all_at(sys->rootfd, "proc/buddyinfo", BUDDYINFO_BYTES_MAX, &buddyinfo, &n) < 0)
		return;
	s = (struct scanner){.at = buddyinfo, .end = buddyinfo + n};
	while (scan_line(&s, &line))
		add_zone(line, &zones, g, h);
}
