/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What happens to the pages of one mapping, except for collapse. An object holds the pages; the
 * table of each mapping says which of them are mapped, and how. Addresses are page indexes from the
 * start of the mapping; blocks are aligned by address in tables and by file offset in objects,
 * which is the same thing only where the mapping is congruent. */

#include "model_internal.h"

#include "bits.h"

uint64_t object_page(const struct vma *v, uint64_t page)
{
	return v->first_page + page;
}

bool vma_is_file(const struct vma *v)
{
	return v->object->backing != MODEL_ANON;
}

bool vma_is_shmem(const struct vma *v)
{
	return v->object->backing == MODEL_MEMFD || v->object->backing == MODEL_TMPFS;
}

/* Zones of PFNs, so that kpageflags can be told from the number alone (model_scan.c). Small pages
 * are two apart: never contiguous. */
uint64_t pfn_take(struct model *m, enum page_kind kind, uint64_t pages, uint32_t *ret_step)
{
	uint64_t *next = &m->next_small_pfn, step = 2, first;

	if (kind == PAGES_FOLIO) {
		next = &m->next_folio_pfn;
		step = 1;
	} else if (kind == PAGES_LARGE) {
		next = &m->next_large_pfn;
		*next = align_up(*next, 16);
		step = 1;
	} else if (kind == PAGES_DEVICE) {
		next = &m->next_device_pfn;
		step = 1;
	}
	first = *next;
	*next += pages * step;
	*ret_step = (uint32_t)step;
	return first | (uint64_t)m->touch_node << MODEL_NODE_SHIFT;
}

static void set_pages(struct model *m, struct object *o, enum page_kind kind, uint64_t page,
		      uint64_t pages, uint64_t stamp)
{
	struct page_run run = {.first = page, .pages = pages, .kind = kind, .stamp = stamp};

	run.pfn = pfn_take(m, kind, pages, &run.pfn_step);
	page_runs_set(&o->pages, &run);
}

void vma_set_entries(struct vma *v, enum page_kind kind, uint64_t page, uint64_t pages)
{
	struct page_run run = {.first = page, .pages = pages, .kind = kind};

	page_runs_set(&v->table, &run);
}

static uint64_t address_page(const struct model *m, const struct vma *v, uint64_t page)
{
	return v->start / model_page(m) + page;
}

/* The part of [page, page + 1)'s block that lies in the mapping: first page, and the end. */
static void block_around(const struct model *m, const struct vma *v, uint64_t page,
			 uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t base = v->start / model_page(m), n = model_block_pages(m);
	uint64_t first = align_down(base + page, n);

	*ret_first = first > base ? first - base : 0;
	*ret_end = min_u64(first + n - base, (v->end - v->start) / model_page(m));
}

/* A table entry of block size over [first, end) that is only wanted in part. */
static void break_huge(const struct model *m, struct vma *v, uint64_t page, enum page_kind left)
{
	uint64_t first, end;

	if (page_runs_at(&v->table, page, page + 1).kind != ENTRY_HUGE)
		return;
	block_around(m, v, page, &first, &end);
	vma_set_entries(v, left, first, end - first);
}

void vma_break_blocks(struct model *m, struct vma *v, uint64_t page, uint64_t pages,
		      enum page_kind left)
{
	uint64_t first, end;

	for (uint64_t at = page; at < page + pages; at = end) {
		block_around(m, v, at, &first, &end);
		break_huge(m, v, at, left);
	}
}

/* ---- Tables of files are emptied in all mappings at once ---- */

static void vma_unmap_object(struct model *m, struct vma *v, uint64_t page, uint64_t pages)
{
	uint64_t size = (v->end - v->start) / model_page(m);
	uint64_t first = sat_sub_u64(page, v->first_page);
	uint64_t end = min_u64(sat_sub_u64(page + pages, v->first_page), size);

	if (first >= end)
		return;
	/* A PMD of a file that is split is dropped whole (KERNEL.md 2.6). */
	break_huge(m, v, first, PAGES_NONE);
	break_huge(m, v, end - 1, PAGES_NONE);
	PAGE_RUNS_FOREACH(run, &v->table, first, end)
	{
		if (run.kind == ENTRY_PAGE || run.kind == ENTRY_HUGE)
			page_runs_remove(&v->table, run.first, run.pages);
	}
}

void object_unmap(struct model *m, struct object *o, uint64_t page, uint64_t pages)
{
	for (struct model_process *p = m->processes; p; p = p->next) {
		for (size_t i = 0; i < p->n_vmas; i++) {
			if (p->vmas[i].object == o)
				vma_unmap_object(m, &p->vmas[i], page, pages);
		}
	}
}

/* ---- Folios ---- */

static bool object_block_is_folio(const struct model *m, const struct object *o, uint64_t first)
{
	uint64_t n = model_block_pages(m), pfn;
	struct page_run head = page_runs_at(&o->pages, first, first + n);

	pfn = head.pfn;
	if (head.kind != PAGES_FOLIO || !is_aligned(pfn, n))
		return false;
	PAGE_RUNS_FOREACH(run, &o->pages, first, first + n)
	{
		if (run.kind != PAGES_FOLIO || run.pfn != pfn + (run.first - first))
			return false;
	}
	return true;
}

bool vma_block_is_folio(const struct model *m, const struct vma *v, uint64_t page)
{
	uint64_t n = model_block_pages(m);

	if (!is_aligned(address_page(m, v, page) | object_page(v, page), n))
		return false;
	return object_block_is_folio(m, v->object, object_page(v, page));
}

/* What is left of the folios that [page, page + pages) reaches into becomes small. */
void object_split_folios(struct model *m, struct object *o, uint64_t page, uint64_t pages)
{
	uint64_t n = model_block_pages(m);
	uint64_t first = align_down(page, n), end = align_up(page + pages, n);

	PAGE_RUNS_FOREACH(run, &o->pages, first, end)
	{
		if (run.kind != PAGES_FOLIO)
			continue;
		run.kind = PAGES_SMALL;
		run.pfn = pfn_take(m, PAGES_SMALL, run.pages, &run.pfn_step);
		page_runs_set(&o->pages, &run);
	}
}

/* ---- Faults ---- */

static bool can_map_huge(const struct model *m, const struct vma *v, uint64_t first)
{
	uint64_t n = model_block_pages(m);

	return v->is_shared && vma_is_shmem(v) && !(v->flags & VMA_FLAGS_UFFD) &&
	       first + n <= (v->end - v->start) / model_page(m) &&
	       vma_block_is_folio(m, v, first) &&
	       page_runs_at(&v->table, first, first + n).kind == PAGES_NONE &&
	       page_runs_at(&v->table, first, first + n).pages == n;
}

/* A fault on a folio that this table does not map at all maps it huge (Linux 6.6). */
static void fault_huge(struct model *m, struct vma *v, uint64_t page, uint64_t end)
{
	while (page < end) {
		uint64_t first, next;

		block_around(m, v, page, &first, &next);
		if (can_map_huge(m, v, first))
			vma_set_entries(v, ENTRY_HUGE, first, next - first);
		page = next;
	}
}

static void fault_in(struct model *m, struct vma *v, const struct page_run *hole)
{
	enum page_kind kind =
		v->object->backing == MODEL_FSDAX || v->object->backing == MODEL_DEVDAX_1G
			? PAGES_DEVICE
			: PAGES_SMALL;
	uint64_t first = object_page(v, hole->first);

	PAGE_RUNS_FOREACH(run, &v->object->pages, first, first + hole->pages)
	{
		if (run.kind == PAGES_NONE || run.kind == PAGES_SWAPPED)
			set_pages(m, v->object, kind, run.first, run.pages, run.stamp);
	}
	vma_set_entries(v, ENTRY_PAGE, hole->first, hole->pages);
}

static void write_stamp(struct model *m, struct object *o, uint64_t first, uint64_t pages)
{
	uint64_t stamp = m->next_stamp++;

	PAGE_RUNS_FOREACH(run, &o->pages, first, first + pages)
	{
		if (run.kind == PAGES_NONE)
			continue;
		run.stamp = stamp;
		page_runs_set(&o->pages, &run);
		run = (struct page_run){.first = run.first,
					.pages = run.pages,
					.kind = PAGES_SMALL,
					.stamp = stamp};
		page_runs_set(&o->expected, &run);
	}
}

void vma_note_tables(struct model *m, struct vma *v, uint64_t page, uint64_t end)
{
	uint64_t first, last;

	block_around(m, v, page, &first, &last);
	block_around(m, v, end - 1, &page, &last);
	page_runs_set(
		&v->had_table,
		&(struct page_run){.first = first, .pages = last - first, .kind = ENTRY_PAGE});
	v->was_faulted = true;
}

void vma_touch(struct model *m, struct model_process *p, struct vma *v, uint64_t page,
	       uint64_t pages)
{
	uint64_t end = page + pages;

	if (v->is_shared)
		fault_huge(m, v, page, end);
	else
		vma_note_tables(m, v, page, end);
	PAGE_RUNS_FOREACH(run, &v->table, page, end)
	{
		if (run.kind != PAGES_NONE && run.kind != ENTRY_ZERO && run.kind != ENTRY_SWAP)
			continue;
		fault_in(m, v, &run);
		p->faults += run.pages;
	}
	/* Guards are not written to: a write there kills the guest. */
	PAGE_RUNS_FOREACH(run, &v->table, page, end)
	{
		if (run.kind == ENTRY_PAGE || run.kind == ENTRY_HUGE)
			write_stamp(m, v->object, object_page(v, run.first), run.pages);
	}
}

/* ---- Giving back ---- */

static void note_race(struct model *m, struct object *o, uint64_t page, uint64_t pages)
{
	if (m->is_racing)
		page_runs_set(
			&o->raced,
			&(struct page_run){.first = page, .pages = pages, .kind = PAGES_SMALL});
}

static void discard_anon(struct model *m, struct vma *v, uint64_t page, uint64_t pages)
{
	struct object *o = v->object;

	break_huge(m, v, page, ENTRY_PAGE);
	break_huge(m, v, page + pages - 1, ENTRY_PAGE);
	m->free_blocks +=
		page_runs_count(&o->pages, PAGES_FOLIO, page, pages) / model_block_pages(m);
	PAGE_RUNS_FOREACH(run, &v->table, page, page + pages)
	{
		if (run.kind != ENTRY_GUARD)
			page_runs_remove(&v->table, run.first, run.pages);
	}
	page_runs_remove(&o->pages, page, pages);
}

static void punch_block(struct model *m, struct object *o, uint64_t page, uint64_t end)
{
	uint64_t first = align_down(page, model_block_pages(m));

	if (!object_block_is_folio(m, o, first)) {
		object_unmap(m, o, page, end - page);
		page_runs_remove(&o->pages, page, end - page);
		return;
	}
	if (page_runs_at(&o->pages, page, end).is_pinned) {
		/* A pinned folio cannot be split: the range is only zeroed. */
		write_stamp(m, o, page, end - page);
		return;
	}
	object_unmap(m, o, first, model_block_pages(m));
	if (end - page == model_block_pages(m))
		m->free_blocks++;
	else
		object_split_folios(m, o, page, end - page);
	page_runs_remove(&o->pages, page, end - page);
}

static void punch_file(struct model *m, struct object *o, uint64_t page, uint64_t pages)
{
	for (uint64_t at = page, end; at < page + pages; at = end) {
		end = min_u64(align_down(at, model_block_pages(m)) + model_block_pages(m),
			      page + pages);
		punch_block(m, o, at, end);
	}
}

void vma_discard(struct model *m, struct vma *v, uint64_t page, uint64_t pages)
{
	struct object *o = v->object;

	page_runs_remove(&o->expected, object_page(v, page), pages);
	note_race(m, o, object_page(v, page), pages);
	if (vma_is_file(v))
		punch_file(m, o, object_page(v, page), pages);
	else
		discard_anon(m, v, page, pages);
}

static bool has_pinned(const struct object *o, uint64_t first, uint64_t pages)
{
	PAGE_RUNS_FOREACH(run, &o->pages, first, first + pages)
	{
		if (run.is_pinned)
			return true;
	}
	return false;
}

static void swap_out_part(struct model *m, struct vma *v, uint64_t page, uint64_t pages)
{
	struct object *o = v->object;
	uint64_t first = object_page(v, page);

	note_race(m, o, first, pages);
	if (vma_is_file(v))
		object_unmap(m, o, first, pages);
	vma_break_blocks(m, v, page, pages, ENTRY_PAGE);
	object_split_folios(m, o, first, pages);
	PAGE_RUNS_FOREACH(run, &o->pages, first, first + pages)
	{
		if (run.kind == PAGES_NONE)
			continue;
		run.kind = PAGES_SWAPPED;
		run.pfn = 0;
		run.pfn_step = 0;
		page_runs_set(&o->pages, &run);
		if (!vma_is_file(v))
			vma_set_entries(v, ENTRY_SWAP, run.first - v->first_page, run.pages);
	}
}

/* Folios with a pinned page stay. */
void vma_swap_out(struct model *m, struct vma *v, uint64_t page, uint64_t pages)
{
	uint64_t n = model_block_pages(m);

	for (uint64_t at = page, end; at < page + pages; at = end) {
		uint64_t block = align_down(object_page(v, at), n);

		end = min_u64(page + pages, block + n - v->first_page);
		if (!has_pinned(v->object, block, n))
			swap_out_part(m, v, at, end - at);
	}
}

/* ---- What the host counts ---- */

uint64_t process_resident_pages(const struct model_process *p)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < p->n_vmas; i++) {
		const struct vma *v = &p->vmas[i];

		PAGE_RUNS_FOREACH(run, &v->table, 0, (v->end - v->start) / model_page(p->model))
		{
			if (run.kind == ENTRY_PAGE || run.kind == ENTRY_HUGE ||
			    run.kind == ENTRY_COPIED)
				pages += run.pages;
		}
	}
	return pages;
}

uint64_t process_charged_bytes(struct model *m, const struct model_process *p)
{
	uint64_t pages = 0;

	for (const struct object *o = m->objects; o; o = o->next) {
		if (o->owner != p->pid)
			continue;
		PAGE_RUNS_FOREACH(run, &o->pages, 0, UINT64_MAX >> 16)
		{
			if (run.kind != PAGES_NONE && run.kind != PAGES_SWAPPED)
				pages += run.pages;
		}
	}
	return pages * model_page(m);
}
