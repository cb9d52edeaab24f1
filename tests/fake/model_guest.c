/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The public verbs of the model: what guests, VMMs and the host's memory management do, and the
 * truth about it. */

#include "model_internal.h"

#include <stdlib.h>

#include "bits.h"

/* A locked look at [start, start + bytes) of one mapping. */
struct range {
	struct model_process *p;
	struct vma *v;
	uint64_t page, pages;
};

static struct range range_begin(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = {0};

	model_lock(m);
	r.p = process_by_pid(m, pid);
	r.v = r.p ? vma_at(r.p, start) : NULL;
	if (!r.v || !is_aligned(start | bytes, model_page(m)) || start + bytes > r.v->end)
		abort(); /* the test is wrong */
	r.page = (start - r.v->start) / model_page(m);
	r.pages = bytes / model_page(m);
	return r;
}

static void range_end(struct model *m, const struct range *r)
{
	/* Sharers of a file may have changed too. */
	for (struct model_process *p = m->processes; p; p = p->next) {
		if (p == r->p || vma_is_file(r->v))
			proc_write_counts(m, p);
	}
	proc_write_memory(m);
	model_unlock(m);
}

void model_mmap(struct model *m, pid_t pid, const struct model_map *map)
{
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	if (!p)
		abort();
	(void)process_add_vma(m, p, map);
	proc_write_maps(m, p);
	model_unlock(m);
}

void model_munmap(struct model *m, pid_t pid, hva_t start)
{
	struct range r = range_begin(m, pid, start, 0);

	process_remove_vma(m, r.p, r.v);
	proc_write_maps(m, r.p);
	model_unlock(m);
}

void model_change_flags(struct model *m, pid_t pid, hva_t start, uint32_t set, uint32_t clear)
{
	struct range r = range_begin(m, pid, start, 0);

	r.v->flags = (r.v->flags & ~clear) | set;
	r.v->is_raced |= m->is_racing;
	proc_write_maps(m, r.p);
	model_unlock(m);
}

void model_touch(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_touch(m, r.p, r.v, r.page, r.pages);
	range_end(m, &r);
}

void model_read_zero(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	if (vma_is_file(r.v))
		abort();
	PAGE_RUNS_FOREACH(run, &r.v->table, r.page, r.page + r.pages)
	{
		if (run.kind == PAGES_NONE)
			vma_set_entries(r.v, ENTRY_ZERO, run.first, run.pages);
	}
	vma_note_tables(m, r.v, r.page, r.page + r.pages);
	range_end(m, &r);
}

void model_discard(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_discard(m, r.v, r.page, r.pages);
	range_end(m, &r);
}

void model_split(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	PAGE_RUNS_FOREACH(run, &r.v->table, r.page, r.page + r.pages)
	{
		if (run.kind == ENTRY_HUGE)
			vma_break_blocks(m, r.v, run.first, run.pages, ENTRY_PAGE);
	}
	range_end(m, &r);
}

void model_zap(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	if (!r.v->is_shared)
		abort();
	vma_break_blocks(m, r.v, r.page, r.pages, PAGES_NONE);
	page_runs_remove(&r.v->table, r.page, r.pages);
	range_end(m, &r);
}

void model_copy_on_write(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);
	struct page_run run = {.first = r.page, .pages = r.pages, .kind = PAGES_SMALL};

	if (!r.v->copies)
		abort();
	run.pfn = pfn_take(m, PAGES_SMALL, r.pages, &run.pfn_step);
	page_runs_set(&r.v->copies->pages, &run);
	vma_break_blocks(m, r.v, r.page, r.pages, ENTRY_PAGE);
	vma_set_entries(r.v, ENTRY_COPIED, r.page, r.pages);
	range_end(m, &r);
}

void model_swap_out(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_swap_out(m, r.v, r.page, r.pages);
	range_end(m, &r);
}

void model_guard(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_discard(m, r.v, r.page, r.pages);
	vma_set_entries(r.v, ENTRY_GUARD, r.page, r.pages);
	vma_note_tables(m, r.v, r.page, r.page + r.pages);
	r.v->flags |= VMA_FLAG_GU;
	proc_write_maps(m, r.p);
	range_end(m, &r);
}

void model_pin(struct model *m, pid_t pid, hva_t start, uint64_t bytes, bool is_pinned)
{
	struct range r = range_begin(m, pid, start, bytes);
	uint64_t first = object_page(r.v, r.page);

	PAGE_RUNS_FOREACH(run, &r.v->object->pages, first, first + r.pages)
	{
		if (run.kind == PAGES_NONE || run.kind == PAGES_SWAPPED)
			continue;
		run.is_pinned = is_pinned;
		page_runs_set(&r.v->object->pages, &run);
	}
	model_unlock(m);
}

/* Gives the present pages of a range other frames; what they hold stays. */
static void change_kind(struct model *m, struct vma *v, uint64_t page, uint64_t pages,
			enum page_kind kind, bool is_contiguous)
{
	struct page_runs *list = &v->object->pages;
	uint64_t first = object_page(v, page), pfn;
	uint32_t step;

	object_split_folios(m, v->object, first, pages);
	if (is_contiguous)
		m->next_small_pfn = align_up(m->next_small_pfn, model_block_pages(m));
	pfn = pfn_take(m, kind, pages, &step);
	PAGE_RUNS_FOREACH(run, list, first, first + pages)
	{
		if (run.kind == PAGES_NONE || run.kind == PAGES_SWAPPED)
			continue;
		run.kind = kind;
		run.pfn_step = is_contiguous ? 1 : step;
		run.pfn = pfn + (run.first - first) * run.pfn_step;
		page_runs_set(list, &run);
	}
}

static void require_blocks(const struct model *m, const struct range *r)
{
	if (!is_aligned(r->v->start / model_page(m) + r->page, model_block_pages(m)) ||
	    !is_aligned(r->pages, model_block_pages(m)))
		abort();
}

void model_make_huge(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	require_blocks(m, &r);
	vma_touch(m, r.p, r.v, r.page, r.pages);
	if (page_runs_count(&r.v->table, ENTRY_GUARD, r.page, r.pages) == 0 &&
	    is_aligned(object_page(r.v, r.page), model_block_pages(m))) {
		object_unmap(m, r.v->object, object_page(r.v, r.page), r.pages);
		change_kind(m, r.v, r.page, r.pages,
			    r.v->object->backing == MODEL_FSDAX ||
					    r.v->object->backing == MODEL_DEVDAX_1G
				    ? PAGES_DEVICE
				    : PAGES_FOLIO,
			    false);
		vma_set_entries(r.v, ENTRY_HUGE, r.page, r.pages);
	}
	range_end(m, &r);
}

void model_make_large(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_break_blocks(m, r.v, r.page, r.pages, ENTRY_PAGE);
	change_kind(m, r.v, r.page, r.pages, PAGES_LARGE, false);
	range_end(m, &r);
}

void model_make_contiguous(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);

	vma_break_blocks(m, r.v, r.page, r.pages, ENTRY_PAGE);
	change_kind(m, r.v, r.page, r.pages, PAGES_SMALL, true);
	range_end(m, &r);
}

void model_expect_remote(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);
	uint64_t first = object_page(r.v, r.page), stamp = m->next_stamp++;

	vma_discard(m, r.v, r.page, r.pages);
	/* What is pinned was only zeroed, and is there. */
	PAGE_RUNS_FOREACH(run, &r.v->object->pages, first, first + r.pages)
	{
		if (run.kind != PAGES_NONE)
			continue;
		run.kind = PAGES_SWAPPED;
		run.stamp = stamp;
		page_runs_set(&r.v->object->expected, &run);
	}
	range_end(m, &r);
}

void model_deliver_remote(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	struct range r = range_begin(m, pid, start, bytes);
	uint64_t first = object_page(r.v, r.page);

	PAGE_RUNS_FOREACH(run, &r.v->object->expected, first, first + r.pages)
	{
		if (run.kind == PAGES_SWAPPED)
			vma_touch(m, r.p, r.v, run.first - r.v->first_page, run.pages);
	}
	range_end(m, &r);
}

void model_race_begin(struct model *m)
{
	model_lock(m);
	m->is_racing = true;
	model_unlock(m);
}

void model_race_end(struct model *m)
{
	model_lock(m);
	m->is_racing = false;
	for (struct object *o = m->objects; o; o = o->next)
		page_runs_free(&o->raced);
	for (struct model_process *p = m->processes; p; p = p->next) {
		for (size_t i = 0; i < p->n_vmas; i++)
			p->vmas[i].is_raced = false;
	}
	model_unlock(m);
}

/* ---- The truth ---- */

static uint64_t count_entries(struct model *m, pid_t pid, hva_t start, uint64_t bytes,
			      uint32_t kinds)
{
	struct model_process *p;
	uint64_t pages = 0;

	model_lock(m);
	p = process_by_pid(m, pid);
	for (size_t i = 0; p && i < p->n_vmas; i++) {
		struct vma *v = &p->vmas[i];
		hva_t first = max_u64(v->start, start), end = min_u64(v->end, start + bytes);

		if (first >= end)
			continue;
		PAGE_RUNS_FOREACH(run, &v->table, (first - v->start) / model_page(m),
				  (end - v->start) / model_page(m))
		{
			if (kinds & (1U << run.kind))
				pages += run.pages;
		}
	}
	model_unlock(m);
	return pages * model_page(m);
}

uint64_t model_huge_bytes(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	return count_entries(m, pid, start, bytes, 1U << ENTRY_HUGE);
}

uint64_t model_present_bytes(struct model *m, pid_t pid, hva_t start, uint64_t bytes)
{
	return count_entries(m, pid, start, bytes,
			     1U << ENTRY_HUGE | 1U << ENTRY_PAGE | 1U << ENTRY_COPIED);
}

static bool block_is_whole(struct model *m, const struct vma *v, uint64_t page)
{
	uint64_t n = model_block_pages(m), first = object_page(v, page);
	bool is_remap = vma_is_file(v) && vma_block_is_folio(m, v, page);

	if (page_runs_at(&v->table, page, page + n).kind == ENTRY_HUGE)
		return false;
	PAGE_RUNS_FOREACH(entry, &v->table, page, page + n)
	{
		if (entry.kind != ENTRY_PAGE && !(is_remap && entry.kind == PAGES_NONE))
			return false;
	}
	PAGE_RUNS_FOREACH(run, &v->object->pages, first, first + n)
	{
		if (run.is_pinned && !is_remap)
			return false;
		if (run.kind == PAGES_LARGE && vma_is_file(v) && !m->options.can_copy_large)
			return false;
	}
	/* Nothing mapped at all: nobody can see from outside that the folio is there. */
	return page_runs_count(&v->table, PAGES_NONE, page, n) < n;
}

bool model_is_collapsible(struct model *m, pid_t pid, hva_t block)
{
	struct model_process *p;
	struct vma *v;
	bool result;

	model_lock(m);
	p = process_by_pid(m, pid);
	v = p ? vma_at(p, block) : NULL;
	result = v && block + model_block(m) <= v->end && !vma_refuses(m, p, v) &&
		 !(v->flags & VMA_FLAGS_UFFD) && !v->copies &&
		 block_is_whole(m, v, (block - v->start) / model_page(m));
	model_unlock(m);
	return result;
}

static uint64_t object_lost_pages(const struct object *o)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < o->expected.n_items; i++) {
		const struct page_run *e = &o->expected.items[i];

		PAGE_RUNS_FOREACH(run, &o->pages, e->first, e->first + e->pages)
		{
			bool is_remote = e->kind == PAGES_SWAPPED && run.kind == PAGES_NONE;

			if (run.stamp != e->stamp && !is_remote)
				lost += run.pages;
		}
	}
	return lost;
}

uint64_t model_check_data(struct model *m)
{
	uint64_t lost = 0;

	model_lock(m);
	for (const struct object *o = m->objects; o; o = o->next)
		lost += object_lost_pages(o);
	m->stats.lost_pages += lost;
	model_unlock(m);
	return lost;
}

struct model_stats model_stats(struct model *m)
{
	struct model_stats stats;

	model_lock(m);
	stats = m->stats;
	model_unlock(m);
	return stats;
}

const struct model_call *model_calls(struct model *m, size_t *ret_n)
{
	*ret_n = m->n_calls;
	return m->calls;
}

void model_forget_calls(struct model *m)
{
	model_lock(m);
	m->n_calls = 0;
	model_unlock(m);
}
