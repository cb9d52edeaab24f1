/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Scripted misfortune: which calls it hits, and what it does before they begin. */

#include "model_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "bits.h"

static const char *const fault_names[MODEL_FAULT_MAX] = {
	[MODEL_FAULT_EAGAIN] = "eagain",
	[MODEL_FAULT_VANISH] = "vanish",
	[MODEL_FAULT_HALF_EINVAL] = "half-einval",
	[MODEL_FAULT_ENOMEM] = "enomem",
	[MODEL_FAULT_EBUSY] = "ebusy",
	[MODEL_FAULT_EXEC] = "exec",
	[MODEL_FAULT_PUNCH] = "punch",
	[MODEL_FAULT_SWAP] = "swap",
	[MODEL_FAULT_UNMAP] = "unmap",
	[MODEL_FAULT_UFFD] = "uffd",
	[MODEL_FAULT_EINTR] = "eintr",
	[MODEL_FAULT_EPERM] = "eperm",
};

const char *model_fault_name(enum model_fault_kind kind)
{
	return fault_names[kind];
}

void model_add_fault(struct model *m, const struct model_fault *f)
{
	model_lock(m);
	m->faults = realloc(m->faults, (m->n_faults + 1) * sizeof(*m->faults));
	if (!m->faults)
		abort();
	m->faults[m->n_faults++] = (struct fault_state){.fault = *f};
	model_unlock(m);
}

void model_clear_faults(struct model *m)
{
	model_lock(m);
	m->n_faults = 0;
	model_unlock(m);
}

static void middle_block(struct model *m, struct model_process *p, const struct model_call *c,
			 enum model_fault_kind kind)
{
	hva_t at = c->start + align_down(c->bytes / 2, model_block(m));
	struct vma *v = vma_at(p, at);
	uint64_t page;

	if (!v)
		return;
	page = (at - v->start) / model_page(m);
	if (kind == MODEL_FAULT_PUNCH)
		vma_discard(m, v, page, max_u64(1, model_block_pages(m) / 16));
	else
		vma_swap_out(m, v, page, model_block_pages(m));
}

static void arm(struct model *m, struct model_process *p, struct vma *v)
{
	v->flags |= VMA_FLAG_UM;
	v->is_raced = true;
	proc_add_userfaultfd(m, p);
}

/* What changes the world before the call does anything. 0, or the errno of the whole call. */
static int fire(struct model *m, struct model_process *p, const struct model_call *c,
		enum model_fault_kind kind)
{
	struct vma *v = vma_at(p, c->start);

	m->stats.fired[kind]++;
	if (kind == MODEL_FAULT_EXEC)
		process_exec(m, p);
	else if (kind == MODEL_FAULT_PUNCH || kind == MODEL_FAULT_SWAP)
		middle_block(m, p, c, kind);
	else if (kind == MODEL_FAULT_UNMAP && v)
		process_remove_vma(m, p, v);
	else if (kind == MODEL_FAULT_UFFD && v)
		arm(m, p, v);
	if (kind == MODEL_FAULT_UNMAP || kind == MODEL_FAULT_UFFD)
		proc_write_maps(m, p);
	if (kind == MODEL_FAULT_EINTR)
		return -EINTR;
	return kind == MODEL_FAULT_EPERM ? -EPERM : 0;
}

int model_choose_faults(struct model *m, struct model_process *p, const struct model_call *c)
{
	bool was_racing = m->is_racing;
	int r = 0;

	m->is_racing = true;
	for (size_t i = 0; i < m->n_faults; i++) {
		struct fault_state *f = &m->faults[i];

		f->hit = 0;
		if ((f->fault.pid && f->fault.pid != p->pid) ||
		    (f->fault.until_ns && m->now_ns >= f->fault.until_ns))
			continue;
		if (f->skipped < f->fault.skip) {
			f->skipped++;
			continue;
		}
		if (!f->fault.until_ns && f->fault.calls == UINT32_MAX)
			continue; /* used up */
		f->hit = 1;
		if (!f->fault.until_ns)
			f->fault.calls = f->fault.calls > 1 ? f->fault.calls - 1 : UINT32_MAX;
		if (r == 0)
			r = fire(m, p, c, f->fault.kind);
	}
	m->is_racing = was_racing;
	return r;
}

bool model_has_fault(const struct model *m, enum model_fault_kind kind)
{
	for (size_t i = 0; i < m->n_faults; i++) {
		const struct fault_state *f = &m->faults[i];

		if (f->fault.kind == kind && f->hit > 0)
			return true;
	}
	return false;
}
