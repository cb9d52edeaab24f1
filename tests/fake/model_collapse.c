/* SPDX-License-Identifier: GPL-2.0-or-later */

/* MADV_COLLAPSE, block by block, with the abort rule and the errnos of KERNEL.md 1.4, 1.5 and 2.1.
 */

#include "model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"

/* Results of one block; which of them let the call go on is the kernel's list. */
enum result {
	RESULT_DONE = 0,
	RESULT_NOT_PRESENT, /* no page table, guard, write protection: goes on */
	RESULT_BUSY,	    /* page count, page lock: goes on */
	RESULT_COMPOUND,    /* large folio of another order: goes on */
	RESULT_FAIL,	    /* everything else ends the call */
	RESULT_ALLOC,
	RESULT_CHARGE,
	RESULT_HOLES_ARMED,
};

static bool result_goes_on(enum result r)
{
	return r == RESULT_DONE || r == RESULT_NOT_PRESENT || r == RESULT_BUSY ||
	       r == RESULT_COMPOUND;
}

static int result_errno(enum result r)
{
	switch (r) {
	case RESULT_DONE:
		return 0;
	case RESULT_ALLOC:
		return -ENOMEM;
	case RESULT_CHARGE:
	case RESULT_HOLES_ARMED:
		return -EBUSY;
	case RESULT_BUSY:
		return -EAGAIN;
	case RESULT_NOT_PRESENT:
	case RESULT_COMPOUND:
	case RESULT_FAIL:
		break;
	}
	return -EINVAL;
}

/* ---- Which mappings are refused as a whole (KERNEL.md 1.2, 1.3) ---- */

static bool knobs_refuse(const struct model *m, const struct vma *v)
{
	if (strcmp(m->shmem_global, "deny") == 0)
		return true;
	if (v->object->backing != MODEL_MEMFD || !m->options.has_block_knob)
		return false;
	return strcmp(m->shmem_block, "never") == 0 ||
	       (strcmp(m->shmem_block, "advise") == 0 && !(v->flags & VMA_FLAG_HG));
}

bool vma_refuses(const struct model *m, const struct model_process *p, const struct vma *v)
{
	uint64_t block = model_block(m);

	if (p->vm.is_thp_disabled ||
	    (v->flags & (VMA_FLAGS_SPECIAL | VMA_FLAG_NH | VMA_FLAG_HT | VMA_FLAG_DE)))
		return true;
	if (align_up(v->start, block) + block > v->end)
		return true;
	if (!vma_is_file(v))
		return !v->was_faulted;
	if (!vma_is_shmem(v) || knobs_refuse(m, v))
		return true;
	return !is_aligned(v->start - v->first_page * model_page(m), block);
}

/* ---- Copying ---- */

struct block {
	struct model *m;
	struct model_process *p;
	struct vma *v;
	uint64_t page, first; /* in the mapping; in the object */
};

static uint64_t count_pages(const struct block *b, enum page_kind kind)
{
	return page_runs_count(&b->v->object->pages, kind, b->first, model_block_pages(b->m));
}

static bool is_pinned(const struct block *b)
{
	uint64_t n = model_block_pages(b->m);

	PAGE_RUNS_FOREACH(run, &b->v->object->pages, b->first, b->first + n)
	{
		if (run.is_pinned)
			return true;
	}
	return false;
}

static uint64_t count_entries(const struct block *b, enum page_kind kind)
{
	return page_runs_count(&b->v->table, kind, b->page, model_block_pages(b->m));
}

static bool is_to_populate(const struct block *b)
{
	return vma_is_shmem(b->v) &&
	       object_is_seeded_hole(b->v->object, b->first, model_block_pages(b->m));
}

static bool is_within_limit(const struct block *b)
{
	uint64_t max = b->p->vm.memcg_max_bytes,
		 used = process_charged_bytes(b->m, b->p) + model_block(b->m);
	struct model_stats *s = &b->m->stats;

	if (!max)
		return true;
	if (is_to_populate(b))
		s->least_headroom_bytes = min_u64(s->least_headroom_bytes, sat_sub_u64(max, used));
	return used <= max;
}

static enum result take_block(const struct block *b)
{
	struct model_stats *s = &b->m->stats;

	if (b->m->free_blocks == 0 || model_has_fault(b->m, MODEL_FAULT_ENOMEM))
		return RESULT_ALLOC;
	if (model_has_fault(b->m, MODEL_FAULT_EBUSY) || !is_within_limit(b))
		return RESULT_CHARGE;
	b->m->free_blocks--;
	if (is_to_populate(b))
		s->least_free_blocks = min_u64(s->least_free_blocks, b->m->free_blocks);
	return RESULT_DONE;
}

static void count_refill(const struct block *b, uint64_t first, uint64_t pages)
{
	PAGE_RUNS_FOREACH(run, &b->v->object->raced, first, first + pages)
	{
		if (run.kind == PAGES_NONE)
			b->m->stats.refilled_pages += run.pages;
		else
			b->m->stats.raced_refilled_pages += run.pages;
	}
}

static bool block_is_raced(const struct model *m, const struct vma *v, uint64_t page)
{
	return v->is_raced || page_runs_count(&v->object->raced, PAGES_SMALL, object_page(v, page),
					      model_block_pages(m)) > 0;
}

/* Anonymous memory may have the zero page where it has no page of its own. */
static void count_hole(const struct block *b, const struct page_run *hole)
{
	if (vma_is_file(b->v)) {
		count_refill(b, hole->first, hole->pages);
		return;
	}
	PAGE_RUNS_FOREACH(run, &b->v->table, hole->first, hole->first + hole->pages)
	{
		if (run.kind == ENTRY_ZERO)
			b->m->stats.zero_filled_pages += run.pages;
		else
			count_refill(b, run.first, run.pages);
	}
}

static void count_fills(const struct block *b)
{
	uint64_t n = model_block_pages(b->m), size = model_page(b->m);
	bool is_populated = is_to_populate(b);

	b->m->stats.swapped_in_pages += count_pages(b, PAGES_SWAPPED);
	b->m->stats.populated_bytes += is_populated ? n * size : 0;
	if (block_is_raced(b->m, b->v, b->page))
		b->m->stats.raced_copied_bytes += n * size;
	else
		b->m->stats.copied_bytes += n * size;
	b->m->now_ns += n * size * 2 / 3; /* 1.5 GB/s */
	PAGE_RUNS_FOREACH(run, &b->v->object->pages, b->first, b->first + n)
	{
		if (run.kind == PAGES_NONE && !is_populated)
			count_hole(b, &run);
	}
}

/* Where its pages are; they are all on one node here (KERNEL.md 9.3: where most are). */
static int old_node(const struct block *b)
{
	PAGE_RUNS_FOREACH(run, &b->v->object->pages, b->first, b->first + model_block_pages(b->m))
	{
		if (run.kind != PAGES_NONE)
			return (int)(run.pfn >> MODEL_NODE_SHIFT);
	}
	return 0;
}

/* A node that has no free block makes one, by compaction. */
static void take_of_node(struct model *m, int node)
{
	uint64_t *left = &m->node_free_blocks[node];

	if (m->options.nodes <= 1)
		return;
	*left = sat_sub_u64(*left, 1);
	m->stats.least_node_free_blocks = min_u64(m->stats.least_node_free_blocks, *left);
}

/* Moves what is there into one new folio; holes read as zeros. */
static void copy_block(const struct block *b)
{
	struct page_runs *pages = &b->v->object->pages;
	uint64_t n = model_block_pages(b->m), pfn;
	int node = old_node(b);
	uint32_t step;

	count_fills(b);
	if (is_to_populate(b))
		take_of_node(b->m, node);
	pfn = pfn_on_node(pfn_take(b->m, PAGES_FOLIO, n, &step), node);
	PAGE_RUNS_FOREACH(run, pages, b->first, b->first + n)
	{
		run.kind = PAGES_FOLIO;
		run.pfn = pfn + (run.first - b->first);
		run.pfn_step = step;
		run.stamp = run.stamp ? run.stamp : STAMP_ZEROS;
		page_runs_set(pages, &run);
	}
}

/* ---- Anonymous memory ---- */

static enum result collapse_anon(const struct block *b)
{
	enum result r;

	if (page_runs_at(&b->v->had_table, b->page, b->page + 1).kind == PAGES_NONE)
		return RESULT_NOT_PRESENT;
	if (b->v->flags & VMA_FLAG_UW)
		return RESULT_NOT_PRESENT;
	if (is_pinned(b))
		return RESULT_BUSY;
	if ((b->v->flags & VMA_FLAG_UM) && count_entries(b, PAGES_NONE) > 0 &&
	    b->m->options.is_uffd_safe)
		return RESULT_HOLES_ARMED;
	r = take_block(b);
	if (r != RESULT_DONE)
		return r;
	if (count_entries(b, ENTRY_GUARD) > 0) {
		b->m->free_blocks++;
		return RESULT_FAIL;
	}
	copy_block(b);
	vma_set_entries(b->v, ENTRY_HUGE, b->page, model_block_pages(b->m));
	return RESULT_DONE;
}

/* ---- Shared memory ---- */

static enum result remap(const struct block *b)
{
	if (b->v->flags & VMA_FLAG_UW)
		return RESULT_NOT_PRESENT;
	if (count_entries(b, ENTRY_COPIED) > 0)
		return RESULT_FAIL;
	vma_set_entries(b->v, ENTRY_HUGE, b->page, model_block_pages(b->m));
	b->m->stats.remapped_bytes += model_block(b->m);
	b->m->now_ns += 30000;
	return RESULT_DONE;
}

static bool is_armed_anywhere(const struct block *b)
{
	for (struct model_process *p = b->m->processes; p; p = p->next) {
		for (size_t i = 0; i < p->n_vmas; i++) {
			if (p->vmas[i].object == b->v->object && (p->vmas[i].flags & VMA_FLAG_UM))
				return true;
		}
	}
	return false;
}

static enum result copy_file(const struct block *b)
{
	uint64_t n = model_block_pages(b->m), holes = count_pages(b, PAGES_NONE);
	enum result r;

	if (count_pages(b, PAGES_LARGE) > 0 && !b->m->options.can_copy_large)
		return RESULT_COMPOUND;
	if (is_pinned(b))
		return RESULT_BUSY;
	r = take_block(b);
	if (r != RESULT_DONE)
		return r;
	if (holes == n || count_entries(b, ENTRY_COPIED) > 0 ||
	    (holes > 0 && b->m->options.is_uffd_safe && is_armed_anywhere(b))) {
		b->m->free_blocks++;
		return holes == n || holes == 0 ? RESULT_FAIL : RESULT_HOLES_ARMED;
	}
	copy_block(b);
	object_unmap(b->m, b->v->object, b->first, n);
	return RESULT_DONE;
}

static enum result collapse_file(const struct block *b)
{
	enum result r;

	if (vma_block_is_folio(b->m, b->v, b->page))
		return remap(b);
	r = copy_file(b);
	if (r != RESULT_DONE)
		return r;
	/* Paid for, and then refused (KERNEL.md 2.4). */
	if (b->v->flags & VMA_FLAG_UW)
		return RESULT_NOT_PRESENT;
	vma_set_entries(b->v, ENTRY_HUGE, b->page, model_block_pages(b->m));
	return RESULT_DONE;
}

static enum result collapse_block(const struct block *b)
{
	uint64_t n = model_block_pages(b->m);
	struct page_run entry = page_runs_at(&b->v->table, b->page, b->page + n);

	b->m->now_ns += 2000;
	if (entry.kind == ENTRY_HUGE && entry.pages == n)
		return RESULT_DONE;
	if (model_has_fault(b->m, MODEL_FAULT_EAGAIN))
		return RESULT_BUSY;
	return vma_is_file(b->v) ? collapse_file(b) : collapse_anon(b);
}

/* ---- One call ---- */

static bool ends_at(const struct block *b, uint64_t done, uint64_t blocks)
{
	if (done < blocks / 2)
		return false;
	if (model_has_fault(b->m, MODEL_FAULT_VANISH)) {
		process_end(b->m, b->p);
		return true;
	}
	return model_has_fault(b->m, MODEL_FAULT_HALF_EINVAL);
}

static int collapse_vma(struct model *m, struct model_process *p, hva_t start, hva_t end)
{
	struct vma *v = vma_at(p, start);
	hva_t first = align_up(start, model_block(m)), last = align_down(end, model_block(m));
	enum result worst = RESULT_DONE;

	if (vma_refuses(m, p, v))
		return -EINVAL;
	if (first > last)
		return -EINVAL;
	for (hva_t at = first; at < last; at += model_block(m)) {
		struct block b = {m, p, v, (at - v->start) / model_page(m), 0};
		enum result r;

		b.first = object_page(v, b.page);
		if (ends_at(&b, (at - first) / model_block(m), (last - first) / model_block(m)))
			return -EINVAL;
		r = collapse_block(&b);
		if (r != RESULT_DONE)
			worst = r;
		if (!result_goes_on(r))
			break;
	}
	return result_errno(worst);
}

static int collapse_range(struct model *m, struct model_process *p, hva_t start, hva_t end)
{
	bool has_gap = false;

	for (hva_t at = start; at < end;) {
		struct vma *v = vma_next(p, at);
		hva_t stop;
		int r;

		if (!v || v->start >= end)
			return -ENOMEM;
		has_gap |= v->start > at;
		stop = min_u64(v->end, end);
		r = collapse_vma(m, p, max_u64(v->start, at), stop);
		if (r < 0)
			return r;
		at = stop;
	}
	return has_gap ? -ENOMEM : 0;
}

/* ---- Judging the caller, before any fault changes the picture ---- */

static bool is_barred(const struct model *m, const struct model_process *p, const struct vma *v)
{
	return p->vm.has_sev || vma_refuses(m, p, v) || (v->flags & VMA_FLAGS_UFFD) || v->copies ||
	       ((v->flags & VMA_FLAG_MG) && m->is_ksm_running && !vma_is_file(v));
}

static void judge_block(struct model *m, struct model_process *p, struct vma *v, hva_t at)
{
	uint64_t page = (at - v->start) / model_page(m), n = model_block_pages(m);

	if (block_is_raced(m, v, page))
		return;
	if (is_barred(m, p, v) || page_runs_count(&v->table, ENTRY_GUARD, page, n) > 0)
		m->stats.barred_calls++;
	if (page_runs_count(&v->object->pages, PAGES_NONE, object_page(v, page), n) == n &&
	    page_runs_count(&v->table, ENTRY_ZERO, page, n) == 0)
		m->stats.empty_block_calls++;
}

static void judge(struct model *m, struct model_process *p, hva_t start, uint64_t bytes)
{
	struct vma *v = vma_at(p, start);

	if (v && (v->object->backing == MODEL_SECRETMEM || v->object->backing == MODEL_GUEST_MEMFD))
		m->stats.secret_calls++;
	if (bytes < model_block(m)) {
		m->stats.probe_calls++;
		return;
	}
	m->stats.calls++;
	m->stats.longest_call_bytes = max_u64(m->stats.longest_call_bytes, bytes);
	if (!is_aligned(start | bytes, model_block(m)))
		m->stats.unaligned_calls++;
	for (hva_t at = start; v && at < start + bytes && at + model_block(m) <= v->end;
	     at += model_block(m))
		judge_block(m, p, v, at);
}

/* ---- One call, from outside ---- */

static void log_call(struct model *m, const struct model_call *c)
{
	m->calls = realloc(m->calls, (m->n_calls + 1) * sizeof(*m->calls));
	if (!m->calls)
		abort();
	m->calls[m->n_calls++] = *c;
}

/* process_madvise() cuts at MAX_RW_COUNT (KERNEL.md 1.6). */
static uint64_t clamp(const struct model *m, uint64_t bytes)
{
	return min_u64(bytes, align_down(0x7fffffff, model_page(m)));
}

static int call_process(struct model *m, struct model_process *p, struct model_call *c)
{
	uint64_t bytes = clamp(m, c->bytes);
	int r;

	if (!p->is_alive) {
		m->stats.dead_process_calls++;
		return -ESRCH;
	}
	if (!m->options.has_collapse_right)
		return -EPERM;
	if (!is_aligned(c->start, model_page(m)))
		return -EINVAL;
	judge(m, p, c->start, c->bytes);
	if (c->bytes >= model_block(m)) {
		r = model_choose_faults(m, p, c);
		if (r < 0)
			return r;
	}
	return collapse_range(m, p, c->start, c->start + align_up(bytes, model_page(m)));
}

static void finish_call(struct model *m, const struct model_call *c)
{
	if (c->bytes < model_block(m))
		return;
	log_call(m, c);
	for (size_t i = 0; i < m->n_faults; i++)
		m->faults[i].hit = 0;
	for (struct model_process *p = m->processes; p; p = p->next)
		proc_write_counts(m, p);
	proc_write_memory(m);
}

ssize_t model_collapse(struct sys *sys, int pidfd, pid_t pid, hva_t start, uint64_t bytes)
{
	struct model *m = sys->userdata;
	struct model_call call = {.pid = pid, .start = start, .bytes = bytes};
	struct model_process *p;
	int r;

	model_lock(m);
	call.at_ns = m->now_ns;
	p = process_by_pidfd(m, pidfd);
	if (p && p->pid != pid)
		m->stats.wrong_process_calls++;
	m->now_ns += 2000;
	r = p ? call_process(m, p, &call) : -EBADF;
	call.err = -r;
	finish_call(m, &call);
	model_unlock(m);
	return r < 0 ? r : (ssize_t)clamp(m, bytes);
}
