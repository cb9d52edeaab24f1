/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Nodes, and move_pages(2) by the rules of KERNEL.md 9.1. The node of a page is in the high bits of
 * its PFN. A node's free blocks bound what is moved to it; copies are paid by the machine as a
 * whole.
 */

#include "model_internal.h"

#include <errno.h>
#include <numaif.h>

#include "bits.h"

static uint64_t node_bits(int node)
{
	return (uint64_t)node << MODEL_NODE_SHIFT;
}

static int node_of(uint64_t pfn)
{
	return (int)(pfn >> MODEL_NODE_SHIFT);
}

uint64_t pfn_on_node(uint64_t pfn, int node)
{
	return (pfn & (node_bits(1) - 1)) | node_bits(node);
}

void model_set_touch_node(struct model *m, int node)
{
	model_lock(m);
	m->touch_node = node;
	model_unlock(m);
}

void model_set_node_free_blocks(struct model *m, int node, uint64_t blocks)
{
	model_lock(m);
	m->node_free_blocks[node] = blocks;
	proc_write_memory(m);
	model_unlock(m);
}

/* ---- Where a page is ---- */

/* One page of a process. */
struct place {
	struct model *m;
	struct vma *v;
	uint64_t page; /* in the mapping */
};

static struct page_run contents_of(const struct place *p)
{
	uint64_t page = object_page(p->v, p->page);

	return page_runs_at(&p->v->object->pages, page, page + 1);
}

static enum page_kind entry_of(const struct place *p)
{
	return page_runs_at(&p->v->table, p->page, p->page + 1).kind;
}

/* The node, or what the kernel answers for what is no page of the process. */
static int where(const struct place *p)
{
	enum page_kind entry = entry_of(p);

	if (entry == ENTRY_ZERO)
		return -EFAULT;
	if (entry == ENTRY_COPIED)
		return node_of(page_runs_at(&p->v->copies->pages, p->page, p->page + 1).pfn);
	if ((entry != ENTRY_PAGE && entry != ENTRY_HUGE) || contents_of(p).kind == PAGES_DEVICE)
		return -ENOENT;
	return node_of(contents_of(p).pfn);
}

uint64_t model_bytes_on(struct model *m, pid_t pid, hva_t start, uint64_t bytes, int node)
{
	struct model_process *p;
	uint64_t pages = 0;

	model_lock(m);
	p = process_by_pid(m, pid);
	for (hva_t at = start; p && at < start + bytes; at += model_page(m)) {
		struct place place = {.m = m, .v = vma_at(p, at)};

		if (!place.v)
			continue;
		place.page = (at - place.v->start) / model_page(m);
		pages += where(&place) == node;
	}
	model_unlock(m);
	return pages * model_page(m);
}

/* ---- Moving ---- */

static void take_pfns(const struct place *p, enum page_kind kind, uint64_t first, uint64_t pages,
		      int node)
{
	struct page_runs *list = &p->v->object->pages;
	uint32_t step;
	uint64_t pfn = pfn_take(p->m, kind, pages, &step);

	pfn = pfn_on_node(pfn, node);
	PAGE_RUNS_FOREACH(run, list, first, first + pages)
	{
		run.kind = kind;
		run.pfn = pfn + (run.first - first) * step;
		run.pfn_step = step;
		page_runs_set(list, &run);
	}
	p->m->stats.moved_bytes += pages * model_page(p->m);
	p->m->now_ns += pages * model_page(p->m) * 2 / 3;
}

/* A folio keeps its size if the node has a free block for it; else it is moved in pieces. */
static int move_folio(const struct place *p, uint64_t first, int node)
{
	uint64_t n = model_block_pages(p->m);
	int from = node_of(contents_of(p).pfn);

	if (p->m->node_free_blocks[node] == 0) {
		vma_break_blocks(p->m, p->v, align_down(p->page, n), n, ENTRY_PAGE);
		object_split_folios(p->m, p->v->object, first, n);
		take_pfns(p, PAGES_SMALL, first, n, node);
		p->m->stats.split_by_move++;
		return node;
	}
	p->m->node_free_blocks[node]--;
	p->m->node_free_blocks[from]++;
	take_pfns(p, PAGES_FOLIO, first, n, node);
	return node;
}

static bool is_shared_by_others(const struct place *p)
{
	return p->v->object->n_mappings > 1;
}

static int move_one(const struct place *p, int node, int flags)
{
	uint64_t n = model_block_pages(p->m), page = object_page(p->v, p->page);
	int now = where(p);

	if (now < 0 || now == node)
		return now;
	if (entry_of(p) == ENTRY_COPIED || contents_of(p).is_pinned)
		return -EBUSY;
	if (is_shared_by_others(p) && !(flags & MPOL_MF_MOVE_ALL))
		return -EACCES;
	if (contents_of(p).kind == PAGES_FOLIO)
		return move_folio(p, align_down(page, n), node);
	take_pfns(p, contents_of(p).kind, page, 1, node);
	return node;
}

static void judge(struct model *m, const struct model_process *p, const struct vma *v)
{
	bool is_ram = v->object->backing == MODEL_ANON || vma_is_shmem(v);

	m->stats.barred_moves +=
		!is_ram || p->vm.has_vfio || p->vm.has_sev || (v->flags & VMA_FLAGS_UFFD);
}

static int answer(struct model *m, struct model_process *p, hva_t address, const int *node,
		  int flags)
{
	struct place place = {.m = m, .v = vma_at(p, address)};

	if (!place.v)
		return -EFAULT;
	place.page = (address - place.v->start) / model_page(m);
	m->stats.split_puds += place.v->object->backing == MODEL_DEVDAX_1G;
	if (!node)
		return where(&place);
	judge(m, p, place.v);
	return move_one(&place, *node, flags);
}

long model_move_pages(struct sys *sys, pid_t pid, size_t n, const hva_t *pages, const int *nodes,
		      int *status, int flags)
{
	struct model *m = sys->userdata;
	struct model_process *p;

	model_lock(m);
	p = process_by_pid(m, pid);
	m->now_ns += 2000;
	m->stats.move_calls += nodes != NULL;
	for (size_t i = 0; p && i < n; i++)
		status[i] = answer(m, p, pages[i], nodes ? &nodes[i] : NULL, flags);
	if (p && nodes) {
		for (struct model_process *q = m->processes; q; q = q->next)
			proc_write_counts(m, q);
		proc_write_memory(m);
	}
	model_unlock(m);
	return p ? 0 : -ESRCH;
}
