/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A monitor's words: a message, the texts of the human monitor inside of it, and a command line.
 * What is taken for known keeps its laws. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "guest_map.h"
#include "hmp_text.h"
#include "memdevs.h"
#include "qemu_dirty_rate.h"
#include "qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

static void try_message(const char *text, size_t size)
{
	struct json_object *o = NULL;
	ssize_t n = qmp_parse(text, size, &o);
	uint64_t id;

	expect((n > 0) == (o != NULL) && n <= (ssize_t)size);
	if (qmp_number(o, "id", &id))
		expect(id <= INT64_MAX);
	(void)qmp_text(qmp_member(o, "error"), "desc");
	json_object_put(o);
}

/* Two backends of a size that is known. */
static void two(struct memdevs *m)
{
	m->n = 0;
	expect(memdevs_add(m, "m0", 2, 0) == 0 && memdevs_add(m, "m1", 2, 1) == 0);
	for (size_t i = 0; i < m->n; i++) {
		m->items[i].has_bytes = true;
		m->items[i].bytes = 0x8000000;
	}
}

static void try_tables(struct memdevs *m, const char *text)
{
	two(m);
	if (memdevs_read_ramblock(m, text) == 0)
		expect(m->items[0].has_start && m->items[1].has_start);
	two(m);
	if (memdevs_read_mtree(m, text) != 0)
		return;
	for (size_t i = 0; i < m->n; i++)
		expect(m->items[i].has_gpa && m->items[i].gpa_offset < m->items[i].bytes);
}

static void try_ranges(const char *text)
{
	struct mtree m = mtree_of(text);
	struct mtree_range r;
	struct scanner region;
	hva_t hva;

	while (mtree_next(&m, &r)) {
		expect(m.was_memory && r.bytes > 0 && r.bytes - 1 <= UINT64_MAX - r.gpa);
		expect(!(r.is_ram && r.is_readonly));
		expect(text <= r.name.at && r.name.at < r.name.end && r.name.end <= m.rest.at);
	}
	if (hmp_read_gpa2hva(text, 0xe8000, &region, &hva))
		expect(text < region.at && region.at <= region.end &&
		       region.end < text + strlen(text));
}

static void try_address(struct memdevs *m, const char *text)
{
	struct memdev *d = &m->items[0];

	two(m);
	d->has_gpa = true;
	d->gpa = d->gpa_offset = 0xe8000;
	if (memdev_read_gpa2hva(d, text) == 0)
		expect(d->has_start && d->start <= UINT64_MAX - d->gpa_offset);
	else
		expect(!d->has_start);
}

static void try_cmdline(struct memdevs *m, const char *text, size_t size)
{
	m->n = 0;
	(void)dirty_rate_has_ring(text, size);
	(void)memdevs_read_cmdline(m, text, size);
	expect(m->n <= MEMDEVS_MAX);
	for (size_t i = 0; i < m->n; i++) {
		const struct memdev *d = &m->items[i];

		expect(d->guest_node >= 0 && d->guest_node < GUEST_NODES_MAX);
		expect(memdevs_find(m, d->id, strnlen(d->id, MEMDEV_ID_MAX)) == d);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memdevs *m = malloc(sizeof(*m));
	char *text = malloc(size + 1);

	if (!text || !m)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	try_message(text, size);
	try_tables(m, text);
	try_ranges(text);
	try_address(m, text);
	try_cmdline(m, text, size);
	free(text);
	free(m);
	return 0;
}
