/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "collapse.h"

#include <errno.h>

/* process_madvise() silently cuts a call at 2 GiB less a page (KERNEL.md 1.6). */
#define CALL_BYTES_MAX (UINT64_C(1) << 30)

enum eligibility collapse_probe(struct sys *sys, const struct process *p, hva_t start,
				const struct mmu_geometry *g)
{
	ssize_t r = sys->ops->collapse(sys, p->pidfd, p->pid, start, page_bytes(g));

	if (r >= 0)
		return ELIGIBILITY_YES;
	if (r == -EINVAL)
		return ELIGIBILITY_NO;
	if (r == -EPERM || r == -EACCES)
		return ELIGIBILITY_NO_RIGHT;
	return ELIGIBILITY_UNKNOWN;
}

static bool is_acceptable(const struct process *p, const struct target *t,
			  const struct mmu_geometry *g)
{
	return t->pid == p->pid && t->starttime == p->starttime && t->bytes > 0 &&
	       /* Half a block would succeed for ever and do nothing (KERNEL.md 1.4). */
	       is_aligned(t->start | t->bytes, block_bytes(g)) && t->bytes <= CALL_BYTES_MAX &&
	       t->bytes <= UINT64_MAX - t->start;
}

struct outcome collapse_act(struct sys *sys, const struct process *p, const struct action *a,
			    const struct mmu_geometry *g)
{
	struct outcome o = {.action = a->id};
	uint64_t before_ns;
	ssize_t r;

	if (!is_acceptable(p, &a->target, g)) {
		o.err = EINVAL;
		return o;
	}
	before_ns = sys->ops->now_ns(sys);
	r = sys->ops->collapse(sys, p->pidfd, p->pid, a->target.start, a->target.bytes);
	o.took_ns = sys->ops->now_ns(sys) - before_ns;
	o.worst_call_ns = o.took_ns;
	o.err = r < 0 ? (int)-r : 0;
	return o;
}
