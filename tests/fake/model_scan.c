/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Looking at page tables: PAGEMAP_SCAN as fs/proc/task_mmu.c does it (KERNEL.md 7.1; compared with
 * a live 6.18), pagemap entries, kpageflags. */

#include "model_internal.h"

#include <errno.h>
#include <string.h>

#include "bits.h"

enum { CATEGORIES = (PAGE_GUARD << 1) - 1 };

#define ENTRY_PRESENT_BIT   (UINT64_C(1) << 63)
#define ENTRY_SWAP_BIT	    (UINT64_C(1) << 62)
#define ENTRY_FILE_BIT	    (UINT64_C(1) << 61)
#define ENTRY_GUARD_BIT	    (UINT64_C(1) << 58)
#define ENTRY_EXCLUSIVE_BIT (UINT64_C(1) << 56)
#define ENTRY_PFN_MASK	    ((UINT64_C(1) << 55) - 1)

enum {
	KPF_LRU = 5,
	KPF_ANON = 12,
	KPF_HEAD = 15,
	KPF_TAIL = 16,
	KPF_NOPAGE = 20,
	KPF_THP = 22,
	KPF_ZERO_PAGE = 24
};

#define ZERO_PAGE_PFN UINT64_C(7)

/* WRITTEN is set everywhere without async write protection, holes included. */
static uint64_t entry_categories(const struct model *m, const struct vma *v, enum page_kind kind)
{
	uint64_t file = vma_is_file(v) ? PAGE_FILE : 0;

	switch (kind) {
	case ENTRY_PAGE:
		return PAGE_WRITTEN | PAGE_PRESENT | file;
	case ENTRY_HUGE:
		return PAGE_WRITTEN | PAGE_PRESENT | PAGE_HUGE | file;
	case ENTRY_ZERO:
		return PAGE_WRITTEN | PAGE_PRESENT | PAGE_PFNZERO;
	case ENTRY_COPIED:
		return PAGE_WRITTEN | PAGE_PRESENT;
	case ENTRY_SWAP:
		return PAGE_WRITTEN | PAGE_SWAPPED;
	case ENTRY_GUARD:
		return PAGE_WRITTEN | PAGE_SWAPPED | (m->options.has_guard ? PAGE_GUARD : 0);
	case PAGES_NONE:
	case PAGES_SMALL:
	case PAGES_FOLIO:
	case PAGES_LARGE:
	case PAGES_SWAPPED:
	case PAGES_DEVICE:
	case PAGE_KIND_MAX:
		break;
	}
	return PAGE_WRITTEN;
}

static bool is_interesting(const struct pm_scan_arg *a, uint64_t categories)
{
	categories ^= a->category_inverted;
	return (categories & a->category_mask) == a->category_mask &&
	       (!a->category_anyof_mask || (categories & a->category_anyof_mask));
}

struct output {
	struct pm_scan_arg *arg;
	struct page_region *regions;
	uint64_t n_regions, found_pages;
	uint64_t page_size;
};

/* false: stop here; walk_end is set. */
static bool output_range(struct output *o, uint64_t categories, uint64_t start, uint64_t end)
{
	struct page_region *last = o->n_regions ? &o->regions[o->n_regions - 1] : NULL;
	uint64_t left = o->arg->max_pages - o->found_pages;
	bool is_cut = (end - start) / o->page_size > left;

	if (!o->arg->vec)
		return true;
	if (is_cut)
		end = start + left * o->page_size;
	categories &= o->arg->return_mask;
	if (end > start && last && last->end == start && last->categories == categories) {
		last->end = end;
	} else if (end > start) {
		if (o->n_regions == o->arg->vec_len) {
			o->arg->walk_end = start;
			return false;
		}
		o->regions[o->n_regions++] =
			(struct page_region){.start = start, .end = end, .categories = categories};
	}
	o->found_pages += (end - start) / o->page_size;
	if (is_cut)
		o->arg->walk_end = end;
	return !is_cut;
}

static bool scan_vma(struct model *m, const struct vma *v, struct output *o)
{
	uint64_t page = model_page(m);
	uint64_t first = (max_u64(v->start, o->arg->start) - v->start) / page;
	uint64_t end = (min_u64(v->end, o->arg->end) - v->start) / page;

	if (v->flags & VMA_FLAG_PF)
		return true;
	if (v->object->backing == MODEL_DEVDAX_1G)
		m->stats.split_puds++;
	m->stats.scanned_pages += end - first;
	PAGE_RUNS_FOREACH(run, &v->table, first, end)
	{
		uint64_t categories = entry_categories(m, v, run.kind);

		if (is_interesting(o->arg, categories) &&
		    !output_range(o, categories, v->start + run.first * page,
				  v->start + (run.first + run.pages) * page))
			return false;
	}
	return true;
}

static int scan(struct model *m, struct model_process *p, struct pm_scan_arg *arg)
{
	struct output o = {.arg = arg,
			   .regions = (struct page_region *)(uintptr_t)arg->vec,
			   .page_size = model_page(m)};

	if (arg->size != sizeof(*arg) || arg->flags ||
	    ((arg->category_inverted | arg->category_mask | arg->category_anyof_mask |
	      arg->return_mask) &
	     ~(uint64_t)(m->options.has_guard ? CATEGORIES : PAGE_GUARD - 1)) ||
	    !is_aligned(arg->start, model_page(m)) || (!arg->vec && arg->vec_len) ||
	    (arg->vec && !arg->vec_len))
		return -EINVAL;
	arg->end = align_up(arg->end, model_page(m));
	arg->walk_end = 0;
	if (!arg->max_pages)
		arg->max_pages = UINT64_MAX;
	for (size_t i = 0; i < p->n_vmas; i++) {
		const struct vma *v = &p->vmas[i];

		if (v->end > arg->start && v->start < arg->end && !scan_vma(m, v, &o))
			return (int)o.n_regions;
	}
	arg->walk_end = arg->end;
	return (int)o.n_regions;
}

/* Scripted failures of looks; 0 if this one goes well. */
static int scan_fault(struct model *m)
{
	if (m->scans_fail == 0)
		return 0;
	if (m->scans_skip > 0) {
		m->scans_skip--;
		return 0;
	}
	m->scans_fail--;
	return m->scans_error;
}

int model_pagemap_scan(struct sys *sys, int fd, pid_t pid, struct pm_scan_arg *arg)
{
	struct model *m = sys->userdata;
	struct model_process *p;
	int r;

	model_lock(m);
	p = process_by_pagemap(m, fd, pid);
	if (p && p->pid != pid)
		m->stats.wrong_process_calls++;
	m->stats.scan_calls++;
	m->now_ns += 2000;
	r = fd < 0 && !p ? -EACCES : scan_fault(m);
	if (r == 0 && !p)
		r = -ESRCH; /* that mm is gone; so measured on 6.18 */
	if (r == 0)
		r = m->options.has_scan ? scan(m, p, arg) : -ENOTTY;
	model_unlock(m);
	return r;
}

void model_fail_scans(struct model *m, uint32_t skip, uint32_t calls, int error)
{
	model_lock(m);
	m->scans_skip = skip;
	m->scans_fail = calls;
	m->scans_error = error;
	model_unlock(m);
}

static uint64_t frame(const struct object *o, uint64_t page)
{
	return page_runs_at(&o->pages, page, page + 1).pfn;
}

static uint64_t entry_value(const struct model *m, const struct vma *v, uint64_t page)
{
	enum page_kind kind = page_runs_at(&v->table, page, page + 1).kind;
	uint64_t file = vma_is_file(v) ? ENTRY_FILE_BIT : 0;
	uint64_t mask = m->options.has_pfn_right ? ENTRY_PFN_MASK : 0;

	switch (kind) {
	case ENTRY_PAGE:
	case ENTRY_HUGE:
		return ENTRY_PRESENT_BIT | file | (file ? 0 : ENTRY_EXCLUSIVE_BIT) |
		       (frame(v->object, object_page(v, page)) & mask);
	case ENTRY_COPIED:
		return ENTRY_PRESENT_BIT | ENTRY_EXCLUSIVE_BIT | (frame(v->copies, page) & mask);
	case ENTRY_ZERO:
		return ENTRY_PRESENT_BIT | (ZERO_PAGE_PFN & mask);
	case ENTRY_SWAP:
		return ENTRY_SWAP_BIT;
	case ENTRY_GUARD:
		return ENTRY_SWAP_BIT | (m->options.has_guard ? ENTRY_GUARD_BIT : 0);
	case PAGES_NONE:
	case PAGES_SMALL:
	case PAGES_FOLIO:
	case PAGES_LARGE:
	case PAGES_SWAPPED:
	case PAGES_DEVICE:
	case PAGE_KIND_MAX:
		break;
	}
	return 0;
}

ssize_t model_pagemap_read(struct sys *sys, int fd, pid_t pid, uint64_t first, uint64_t *entries,
			   size_t n)
{
	struct model *m = sys->userdata;
	struct model_process *p;
	struct vma *v = NULL;

	model_lock(m);
	p = process_by_pagemap(m, fd, pid);
	if (p && p->pid != pid)
		m->stats.wrong_process_calls++;
	m->stats.read_pages += n;
	m->now_ns += 500;
	for (size_t i = 0; p && i < n; i++) {
		hva_t address = (first + i) * model_page(m);

		if (!v || address < v->start || address >= v->end) {
			v = vma_at(p, address);
			m->stats.split_puds += v && v->object->backing == MODEL_DEVDAX_1G;
		}
		entries[i] = v ? entry_value(m, v, (address - v->start) / model_page(m)) : 0;
	}
	model_unlock(m);
	return p ? (ssize_t)n : fd < 0 ? -EACCES : 0;
}

#define BIT(n) (UINT64_C(1) << (n))

/* By the zones of pfn_take(). */
static uint64_t frame_flags(const struct model *m, pfn_t pfn)
{
	uint64_t n = model_block_pages(m);

	pfn &= (UINT64_C(1) << MODEL_NODE_SHIFT) - 1;
	if (pfn == ZERO_PAGE_PFN)
		return BIT(KPF_ZERO_PAGE);
	if (pfn >= UINT64_C(1) << 37)
		return BIT(KPF_NOPAGE);
	if (pfn >= UINT64_C(1) << 36)
		return BIT(KPF_LRU) | BIT(KPF_THP) | BIT(is_aligned(pfn, n) ? KPF_HEAD : KPF_TAIL);
	if (pfn >= UINT64_C(1) << 34)
		return BIT(KPF_LRU) | BIT(KPF_THP) | BIT(is_aligned(pfn, 16) ? KPF_HEAD : KPF_TAIL);
	return BIT(KPF_LRU);
}

ssize_t model_kpageflags_read(struct sys *sys, pfn_t first, uint64_t *flags, size_t n)
{
	struct model *m = sys->userdata;

	model_lock(m);
	m->stats.kpageflags_pages += n;
	m->now_ns += 200;
	for (size_t i = 0; i < n; i++)
		flags[i] = frame_flags(m, first + i);
	model_unlock(m);
	return m->options.has_pfn_right ? (ssize_t)n : -EACCES;
}
