/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memdevs.h"

#include <errno.h>
#include <string.h>

#include "guest_map.h"
#include "hmp_text.h"
#include "parse.h"
#include "procfs.h"

/* What QEMU takes for the id of an object. */
static bool id_is_sane(const char *id, size_t size)
{
	if (size == 0 || size >= MEMDEV_ID_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = id[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

/* By its id, or by the path that old machine types name it with (/objects/ID). */
static bool is_named(const struct memdev *d, struct scanner name)
{
	(void)scan_text(&name, "/objects/");
	return scan_text(&name, d->id) && name.at == name.end;
}

struct memdev *memdevs_find(struct memdevs *m, const char *name, size_t size)
{
	const struct scanner s = {.at = name, .end = name + size};

	for (size_t i = 0; i < m->n; i++)
		if (is_named(&m->items[i], s))
			return &m->items[i];
	return NULL;
}

int memdevs_add(struct memdevs *m, const char *id, size_t id_size, uint64_t guest_node)
{
	struct memdev *d = &m->items[m->n];

	if (!id_is_sane(id, id_size) || guest_node >= GUEST_NODES_MAX ||
	    memdevs_find(m, id, id_size))
		return -EINVAL;
	if (m->n == MEMDEVS_MAX)
		return -E2BIG;
	*d = (struct memdev){.guest_node = (int16_t)guest_node};
	memcpy(d->id, id, id_size);
	m->n++;
	return 0;
}

/* ---- The command line ----------------------------------------------------------------------- */

/* Of one -numa node. */
struct node_option {
	uint64_t id;
	struct scanner memdev; /* empty: a node without memory */
};

static int take_node_option(struct node_option *node, struct scanner option)
{
	if (scan_text(&option, "memdev="))
		node->memdev = option;
	else if (scan_text(&option, "mem="))
		return -ENOTSUP;
	else if (scan_text(&option, "nodeid="))
		return scan_u64(&option, &node->id) && option.at == option.end ? 0 : -ENOTSUP;
	return 0;
}

bool memdevs_is_node(struct scanner first)
{
	(void)scan_text(&first, "type=");
	return scan_text(&first, "node") && first.at == first.end;
}

/* The value of one -numa: a node, or a distance, a CPU or a cache, which tell nothing here. A node
 * without a number has the next one. */
static int take_numa(struct memdevs *m, struct scanner value, uint64_t *next_node)
{
	struct node_option node = {.id = *next_node};
	struct scanner option;
	int r = 0;

	if (!cmdline_next_option(&value, &option) || !memdevs_is_node(option))
		return 0;
	while (r == 0 && cmdline_next_option(&value, &option))
		r = take_node_option(&node, option);
	if (r < 0)
		return r;
	++*next_node;
	if (node.memdev.at == node.memdev.end)
		return 0;
	return memdevs_add(m, node.memdev.at, (size_t)(node.memdev.end - node.memdev.at), node.id);
}

int memdevs_read_cmdline(struct memdevs *m, const char *text, size_t size)
{
	struct scanner s = {.at = text, .end = text + size}, argument, value;
	uint64_t next_node = 0;
	int r = 0;

	while (r == 0 && cmdline_next(&s, &argument))
		if (cmdline_is_option(argument, "numa") && cmdline_next(&s, &value))
			r = take_numa(m, value, &next_node);
	return r;
}

/* ---- info ramblock -------------------------------------------------------------------------- */

static bool scan_column(struct scanner *s, uint64_t *ret)
{
	scan_blanks(s);
	return scan_text(s, "0x") && scan_hex(s, ret);
}

/* "  m0    4 KiB  0xOFFSET 0xUSED 0xTOTAL  0xHVA  rw": what follows the name. */
static int take_ramblock(struct memdev *d, struct scanner s)
{
	struct scanner unit;
	uint64_t page, offset, used, total, start;

	scan_blanks(&s);
	if (!scan_u64(&s, &page))
		return -EPROTO;
	scan_blanks(&s);
	if (!scan_word(&s, &unit) || !scan_column(&s, &offset) || !scan_column(&s, &used) ||
	    !scan_column(&s, &total))
		return -EPROTO;
	if (d->has_start || !d->has_bytes || total != d->bytes)
		return -EPROTO;
	if (!scan_column(&s, &start))
		return -ENODATA;
	d->start = start;
	d->has_start = true;
	return 0;
}

int memdevs_read_ramblock(struct memdevs *m, const char *text)
{
	struct scanner s = {.at = text, .end = text + strlen(text)}, line, name;

	while (hmp_next_line(&s, &line)) {
		struct memdev *d;
		int r;

		scan_blanks(&line);
		if (!scan_word(&line, &name))
			continue;
		d = memdevs_find(m, name.at, (size_t)(name.end - name.at));
		r = d ? take_ramblock(d, line) : 0;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < m->n; i++)
		if (!m->items[i].has_start)
			return -EPROTO;
	return 0;
}

/* ---- info mtree -f -------------------------------------------------------------------------- */

static void take_range(struct memdevs *m, const struct mtree_range *range)
{
	struct memdev *d =
		memdevs_find(m, range->name.at, (size_t)(range->name.end - range->name.at));

	if (!range->is_ram || !d || d->has_gpa || !d->has_bytes || range->offset >= d->bytes)
		return;
	d->gpa = range->gpa;
	d->gpa_offset = range->offset;
	d->has_gpa = true;
}

/* Only the address space "memory" counts: gpa2hva looks there. */
int memdevs_read_mtree(struct memdevs *m, const char *text)
{
	struct mtree tree = mtree_of(text);
	struct mtree_range range;

	while (mtree_next(&tree, &range))
		take_range(m, &range);
	if (!tree.was_memory)
		return -EPROTO;
	for (size_t i = 0; i < m->n; i++)
		if (!m->items[i].has_gpa)
			return -ENODATA;
	return 0;
}

/* ---- gpa2hva -------------------------------------------------------------------------------- */

int memdev_read_gpa2hva(struct memdev *d, const char *text)
{
	struct scanner region;
	hva_t hva;

	if (!d->has_gpa || !hmp_read_gpa2hva(text, d->gpa, &region, &hva) || !is_named(d, region) ||
	    hva < d->gpa_offset)
		return -EPROTO;
	d->start = hva - d->gpa_offset;
	d->has_start = true;
	return 0;
}
