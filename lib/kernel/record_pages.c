/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page tables as runs of equal pages. Frames are not written: what they tell (huge folio or not) is
 * the kind of the run, and without them equal neighbours merge, so that a large guest is a small
 * file. */
#include <errno.h>
#include <stdio.h>

#include "cleanup.h"
#include "inventory.h"
#include "look_parts.h"
#include "record_parts.h"
#include "snapshot.h"

enum { RECORD_REGIONS = 512 };

/* Larger than the code and libraries of a VMM, smaller than anything that a guest runs in. */
#define RECORD_REGION_BYTES_MIN (UINT64_C(1) << 20)

struct run_writer {
	struct text *out;
	const char *kind; /* NULL: no run yet */
	hva_t start, end;
	uint8_t base_shift;
};

static void flush(struct run_writer *w)
{
	char line[64];

	if (!w->kind)
		return;
	(void)snprintf(line, sizeof(line), "%llx %llu %s\n", (unsigned long long)w->start,
		       (unsigned long long)((w->end - w->start) >> w->base_shift), w->kind);
	text_add(w->out, line);
	w->kind = NULL;
}

static void add_run(struct run_writer *w, hva_t start, hva_t end, const char *kind)
{
	if (w->kind == kind && w->end == start) {
		w->end = end;
		return;
	}
	flush(w);
	w->start = start;
	w->end = end;
	w->kind = kind;
}

/* Static texts, so that equal kinds are equal pointers. */
static const char kind_huge[] = "huge", kind_folio[] = "folio", kind_small[] = "small",
		  kind_swap[] = "swap", kind_guard[] = "guard", kind_zero[] = "zero";

static const char *kind_of(uint64_t categories)
{
	if (categories & PAGE_GUARD)
		return kind_guard;
	if (categories & PAGE_SWAPPED)
		return kind_swap;
	if (categories & PAGE_PFNZERO)
		return kind_zero;
	return categories & PAGE_HUGE ? kind_huge : NULL;
}

/* Pages mapped one by one, inside one block: the first tells the folio. */
static const char *kind_of_pages(const struct look *l, hva_t start)
{
	uint64_t page = start >> l->geometry.base_shift, entry;

	if (read_entry(l, page, &entry) < 0 || !(entry & ENTRY_PRESENT))
		return kind_small;
	return frame_judge(l, page, entry) == SEEN_FOLIO ? kind_folio : kind_small;
}

static void add_region(struct run_writer *w, const struct look *l, const struct page_region *region)
{
	const char *kind = kind_of(region->categories);
	uint64_t block = block_bytes(&l->geometry);
	hva_t at = region->start;

	while (!kind && at < region->end) {
		hva_t end = min_u64(region->end, align_down(at, block) + block);

		add_run(w, at, end, kind_of_pages(l, at));
		at = end;
	}
	if (kind)
		add_run(w, at, region->end, kind);
}

static int scan_some(const struct look *l, hva_t *at, hva_t end, struct page_region *regions)
{
	uint64_t guard = l->features & FEATURE_SCAN_GUARD ? PAGE_GUARD : 0;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = *at,
		.end = min_u64(end, *at + (UINT64_C(64) << 20)),
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = RECORD_REGIONS,
		.category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED | guard,
		.return_mask = PAGE_PRESENT | PAGE_SWAPPED | PAGE_HUGE | PAGE_PFNZERO | guard,
	};
	int n = l->sys->ops->pagemap_scan(l->sys, l->process->pagemap_fd, l->process->pid, &arg);

	if (n >= 0)
		*at = arg.walk_end > *at ? arg.walk_end : arg.end;
	return n;
}

static int record_region(const struct look *l, const struct region *region, struct run_writer *w)
{
	struct page_region regions[RECORD_REGIONS];
	hva_t at = region->start;

	while (at < region->end) {
		int n = scan_some(l, &at, region->end, regions);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			add_region(w, l, &regions[i]);
	}
	return 0;
}

static bool may_be_walked(const struct region *r)
{
	switch (r->backing) {
	case BACKING_ANON:
	case BACKING_SHMEM:
	case BACKING_FSDAX:
	case BACKING_HUGETLB:
	case BACKING_FILE:
		return true;
	case BACKING_DEVDAX:
	case BACKING_SECRET:
	case BACKING_SPECIAL:
	case BACKING_MAX:
		break;
	}
	return false;
}

static int write_runs(const struct recorder *r, const struct process *p, const struct snapshot *s,
		      struct text *out)
{
	struct run_writer w = {.out = out, .base_shift = r->geometry.base_shift};
	struct look l = {
		.sys = r->sys,
		.process = p,
		.geometry = r->geometry,
		.features = r->host.features,
	};
	int e = 0;

	for (size_t i = 0; i < s->n_regions && e == 0; i++) {
		if (!may_be_walked(&s->regions[i]))
			continue;
		l.is_file = s->regions[i].backing != BACKING_ANON && !s->regions[i].is_shared;
		e = record_region(&l, &s->regions[i], &w);
	}
	flush(&w);
	return e;
}

int record_pages(const struct recorder *r, const struct process *p, struct text *out)
{
	struct survey_options o = {.min_region_bytes = RECORD_REGION_BYTES_MIN};
	struct snapshot s = SNAPSHOT_INIT;
	int e;

	/* Older kernels do not tell huge from folio: better no runs than wrong ones. */
	if (!(r->host.features & FEATURE_PAGEMAP_SCAN))
		return -EOPNOTSUPP;
	s.geometry = r->geometry;
	s.host = r->host;
	/* Nothing is asked of the kernel but what is there. */
	s.host.features &= ~(uint32_t)FEATURE_ELIGIBILITY_PROBE;
	e = region_survey(r->sys, p, &o, &s);
	if (e == 0)
		e = write_runs(r, p, &s, out);
	snapshot_clear(&s);
	return e;
}
