/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. The small page of a hole is charged to the memory cgroup of who calls
 * fallocate(), and becomes the VM's own with the collapse only. A VMM whose collapses all fail can
 * offer as many holes as it likes, and must not make its host pay for each: so the first block of
 * an action is collapsed by itself before the others get their pages, and what fails there costs
 * one page (before Linux 6.18, where there is no page table yet, the VM a huge page that is not
 * mapped: the kernel finds out at the end). With that the action ends, and nothing more is
 * populated by its plan (populate_ends_plan()).
 *
 * Those pages stay until the file's owner frees them. There is no call that frees a page only if it
 * was never written: whatever is asked first, the guest may write between the answer and the
 * hole, and its data would be gone. */

#include "fill.h"

#include <errno.h>

#include "bits.h"
#include "collapse.h"
#include "hole.h"

#define CALL_BYTES_MAX (UINT64_C(64) << 20)

struct filling {
	struct sys *sys;
	const struct process *process;
	const struct action *action;
	const struct region *region;
	const struct mmu_geometry *geometry;
	hva_t from; /* seeded from here on, not collapsed yet */
	bool has_collapsed;
	struct outcome *outcome;
};

/* That a block holds data says nothing of the others. */
static void note(struct filling *f, int err)
{
	if (err != 0 && (f->outcome->err == 0 || f->outcome->err == EEXIST))
		f->outcome->err = err;
}

/* False: there is no sense in going on. */
static bool collapse_until(struct filling *f, hva_t end)
{
	struct action part = *f->action;
	struct outcome o;

	if (f->from == end)
		return true;
	part.target.start = f->from;
	part.target.bytes = end - f->from;
	o = collapse_act(f->sys, f->process, &part, f->geometry);
	f->outcome->took_ns += o.took_ns;
	f->outcome->worst_call_ns = max_u64(f->outcome->worst_call_ns, o.worst_call_ns);
	note(f, o.err);
	f->has_collapsed |= o.err == 0;
	return o.err == 0;
}

static bool seed(struct filling *f, hva_t block)
{
	const struct hole hole = {f->region, block, block_bytes(f->geometry), f->action->node};
	int r = f->sys->ops->seed_hole(f->sys, f->process->dirfd, f->process->pid, &hole);

	if (r < 0)
		note(f, -r);
	return r == 0;
}

/* Once one went well, neighbouring holes are collapsed by one call: what begins and ends there is
 * paid once. */
static bool fill(struct filling *f, hva_t start, hva_t end)
{
	uint64_t block = block_bytes(f->geometry);

	f->from = start;
	for (hva_t at = start; at < end; at += block) {
		bool is_seeded = seed(f, at);

		if (is_seeded && f->has_collapsed)
			continue;
		if (!collapse_until(f, is_seeded ? at + block : at))
			return false;
		if (!is_seeded && f->outcome->err != EEXIST)
			return false;
		f->from = at + block;
	}
	return collapse_until(f, end);
}

static bool is_acceptable(const struct action *a, const struct region *r,
			  const struct mmu_geometry *g)
{
	const struct target *t = &a->target;

	return is_aligned(t->start | t->bytes, block_bytes(g)) &&
	       t->bytes <= max_u64(CALL_BYTES_MAX, block_bytes(g)) &&
	       t->bytes <= UINT64_MAX - t->start && t->start >= r->start &&
	       t->start + t->bytes <= r->end;
}

struct outcome fill_act(struct sys *sys, const struct process *p, const struct action *a,
			const struct region *r, const struct sight *sights, size_t n,
			const struct mmu_geometry *g)
{
	struct outcome o = {.action = a->id};
	struct filling f = {sys, p, a, r, g, 0, false, &o};
	hva_t start = a->target.start, end = start + a->target.bytes;

	if (a->target.pid != p->pid || a->target.starttime != p->starttime ||
	    !is_acceptable(a, r, g)) {
		o.err = EINVAL;
		return o;
	}
	for (size_t i = 0; i < n; i++) {
		hva_t from = max_u64(sights[i].start, start),
		      to = min_u64(sights[i].start + sights[i].blocks * block_bytes(g), end);

		if (sights[i].seen != SEEN_NOTHING || (sights[i].flags & SIGHT_GUARD) || from >= to)
			continue;
		if (!fill(&f, from, to))
			break;
	}
	return o;
}
