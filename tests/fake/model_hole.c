/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The model kernel: a page for a hole of a shmem file, as fallocate() gives it. */

#include <errno.h>

#include "bits.h"
#include "hole.h"
#include "model_internal.h"

void model_fail_seeds(struct model *m, int error)
{
	model_lock(m);
	m->seeds_error = error;
	model_unlock(m);
}

/* What was only allocated still counts as a hole. */
bool object_is_hole(const struct object *o, uint64_t first, uint64_t pages)
{
	PAGE_RUNS_FOREACH(run, &o->pages, first, first + pages)
	{
		if (run.kind != PAGES_NONE && (run.kind != PAGES_SMALL || run.stamp != 0))
			return false;
	}
	return true;
}

bool object_is_seeded_hole(const struct object *o, uint64_t first, uint64_t pages)
{
	return object_is_hole(o, first, pages) &&
	       page_runs_count(&o->pages, PAGES_SMALL, first, pages) > 0;
}

bool model_is_hole(struct model *m, pid_t pid, hva_t block)
{
	struct model_process *p;
	struct vma *v;
	bool result;

	model_lock(m);
	p = process_by_pid(m, pid);
	v = p ? vma_at(p, block) : NULL;
	result = v && vma_is_shmem(v) &&
		 object_is_hole(v->object, object_page(v, (block - v->start) / model_page(m)),
				model_block_pages(m));
	model_unlock(m);
	return result;
}

static int seed(struct model *m, struct model_process *p, const struct hole *hole)
{
	struct vma *v = p && p->is_alive ? vma_at(p, hole->start) : NULL;
	uint64_t first, pages = hole->bytes / model_page(m);
	struct page_run run = {.pages = 1, .kind = PAGES_SMALL};

	if (!v || !vma_is_shmem(v))
		return -ESRCH;
	if (m->seeds_error)
		return m->seeds_error;
	first = object_page(v, (hole->start - v->start) / model_page(m));
	if (!object_is_hole(v->object, first, pages))
		return -EEXIST;
	if (page_runs_at(&v->object->pages, first, first + 1).kind != PAGES_NONE)
		return 0;
	run.first = first;
	run.pfn = pfn_take(m, PAGES_SMALL, 1, &run.pfn_step);
	if (hole->node >= 0)
		run.pfn = pfn_on_node(run.pfn, hole->node);
	page_runs_set(&v->object->pages, &run);
	m->stats.seeded_pages++;
	return 0;
}

int model_seed_hole(struct sys *sys, int dirfd, pid_t pid, const struct hole *hole)
{
	struct model *m = sys->userdata;
	int e;

	(void)dirfd;
	model_lock(m);
	e = seed(m, process_by_pid(m, pid), hole);
	model_unlock(m);
	return e;
}
