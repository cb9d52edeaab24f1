/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "judge.h"

#include "headroom.h"
#include "populate.h"

static struct judgement judgement_of(enum block_state state, enum reason reason)
{
	return (struct judgement){state, reason, COUNT_KNOWN, false};
}

static struct judgement judgement_of_whole(enum block_state state, enum reason reason)
{
	return (struct judgement){state, reason, COUNT_KNOWN, true};
}

/* A shared mapping of a folio of block size: remapped in place. Private and anonymous ones are
 * copied (KERNEL 2.1). */
static bool is_remap(const struct region *r, const struct sight *sight)
{
	return sight->seen == SEEN_FOLIO && !(sight->flags & SIGHT_FOLIO_MIXED) && r->is_shared &&
	       (r->backing == BACKING_SHMEM || r->backing == BACKING_FILE);
}

static struct judgement judge_unlooked(const struct snapshot *s)
{
	return (struct judgement){BLOCK_UNKNOWN,
				  s->is_truncated ? REASON_TABLE_FULL : REASON_NOT_LOOKED_YET,
				  COUNT_IMPOSSIBLE, false};
}

static struct judgement judge_uncounted(const struct policy *p)
{
	bool is_for_action = p->mode == MODE_FULL && !p->is_paused && p->may_copy;

	return (struct judgement){BLOCK_UNKNOWN, REASON_NOT_LOOKED_YET,
				  is_for_action ? COUNT_FOR_ACTION : COUNT_FOR_REPORT, false};
}

/* The shared zero page is not memory of the guest: a collapse would allocate it, so a block that
 * holds it is not full. */
static bool is_populated(const struct policy *p, const struct sight *sight)
{
	bool is_padded = sight->fill == FILL_FULL && (sight->flags & SIGHT_ZERO);
	uint8_t fill = is_padded ? FILL_FULL - 1 : sight->fill;

	return fill_suffices(fill, p->min_populated_bp);
}

/* A full block whose folio size cannot be read is unknown; plan treats it as a copy, which is what
 * it costs at worst. On a VM with assigned devices a wrong guess costs an unmap storm (KERNEL
 * 12.1), so nothing is tried there. */
static struct judgement judge_unknown_folio(const struct snapshot *s)
{
	if (s->vm.has_vfio)
		return judgement_of(BLOCK_BARRED, REASON_FOLIO_UNKNOWN);
	if (headroom_for_copy(&s->vm) < block_bytes(&s->geometry))
		return judgement_of(BLOCK_BARRED, REASON_MEMCG_LIMIT);
	return judgement_of(BLOCK_UNKNOWN, REASON_FOLIO_UNKNOWN);
}

static struct judgement judge_copy(const struct snapshot *s)
{
	if (s->vm.has_vfio)
		return judgement_of(BLOCK_BARRED, REASON_PINNED_SUSPECTED);
	if (headroom_for_copy(&s->vm) < block_bytes(&s->geometry))
		return judgement_of(BLOCK_BARRED, REASON_MEMCG_LIMIT);
	return judgement_of(BLOCK_COPYABLE, REASON_SMALL_FOLIOS);
}

static struct judgement judge_pages(const struct snapshot *s, const struct region *r,
				    const struct sight *sight)
{
	if (sight->fill == FILL_UNKNOWN)
		return judge_uncounted(&s->policy);
	if (sight->present_pages == 0)
		return judgement_of(BLOCK_EMPTY, REASON_NEVER_TOUCHED);
	if (!is_populated(&s->policy, sight))
		return judgement_of(BLOCK_SPARSE, REASON_SPARSE);
	/* Anonymous memory is copied whatever its folios are. */
	if (sight->seen == SEEN_PAGES && r->backing != BACKING_ANON)
		return judge_unknown_folio(s);
	return judge_copy(s);
}

static struct judgement judge_flagged(const struct sight *sight, enum block_state state,
				      enum reason reason)
{
	return (struct judgement){
		state, reason, sight->fill == FILL_UNKNOWN ? COUNT_FOR_REPORT : COUNT_KNOWN, false};
}

static struct judgement judge_present(const struct snapshot *s, const struct region *r,
				      const struct sight *sight)
{
	if (sight->flags & SIGHT_GUARD)
		return judge_flagged(sight, BLOCK_BARRED, REASON_GUARD_REGION);
	if (sight->flags & SIGHT_ANON_COPY)
		return judge_flagged(sight, BLOCK_BARRED, REASON_COW_PAGE);
	if (sight->flags & SIGHT_SWAP)
		return judge_flagged(sight, BLOCK_SWAPPED, REASON_SWAPPED);
	if (is_remap(r, sight))
		return judgement_of_whole(BLOCK_REMAPPABLE, REASON_REMAPPABLE);
	return judge_pages(s, r, sight);
}

struct judgement judge_blocks(const struct snapshot *s, const struct region *r,
			      const struct sight *sight)
{
	switch ((enum seen)sight->seen) {
	case SEEN_HUGE:
		return judgement_of_whole(BLOCK_HUGE, REASON_NONE);
	case SEEN_NOTHING:
		return sight->flags & SIGHT_GUARD ? judgement_of(BLOCK_BARRED, REASON_GUARD_REGION)
						  : judgement_of(BLOCK_EMPTY, REASON_NEVER_TOUCHED);
	case SEEN_SWAPPED:
		return judge_flagged(sight, BLOCK_SWAPPED, REASON_SWAPPED);
	case SEEN_FOLIO:
	case SEEN_SMALL:
	case SEEN_PAGES:
		return judge_present(s, r, sight);
	case SEEN_UNKNOWN:
	case SEEN_MAX:
		break;
	}
	return judge_unlooked(s);
}

struct judgement judge_barred(const struct judgement *j, const struct sight *sight, enum reason bar)
{
	struct judgement barred = {BLOCK_BARRED, bar, j->count, j->is_whole};

	if (j->state == BLOCK_HUGE)
		return *j;
	/* The kernel also refuses a VMA that nothing ever touched (KERNEL 1.2): then that is the
	 * reason. */
	if (bar == REASON_KERNEL_REFUSED && j->state == BLOCK_EMPTY)
		return *j;
	/* What lies right is huge with the first touch. */
	if ((bar == REASON_DAX_PTE_ENTRIES || bar == REASON_DAX_LIKELY_HUGE) &&
	    (j->state == BLOCK_EMPTY || sight->seen == SEEN_UNKNOWN))
		return *j;
	if (bar == REASON_DAX_LIKELY_HUGE)
		barred.state = BLOCK_UNKNOWN;
	if (barred.count == COUNT_FOR_ACTION)
		barred.count = COUNT_FOR_REPORT;
	if (sight->seen == SEEN_NOTHING)
		barred.count = COUNT_KNOWN;
	return barred;
}

struct judgement judge_held(const struct judgement *j, const struct sight *sight,
			    enum reason hold_reason)
{
	struct judgement held = *j;
	bool is_unknown = j->state == BLOCK_UNKNOWN && sight->seen != SEEN_UNKNOWN;
	bool is_uncounted = is_unknown && j->reason != REASON_FOLIO_UNKNOWN;

	/* Says nothing of what the guest has touched since. */
	if (populate_is_refusal(hold_reason)) {
		held.reason = j->state == BLOCK_EMPTY ? hold_reason : j->reason;
		return held;
	}
	if (j->state == BLOCK_REMAPPABLE || j->state == BLOCK_COPYABLE || is_unknown) {
		held.state = BLOCK_BARRED;
		held.reason = hold_reason;
		held.count = is_uncounted ? COUNT_FOR_REPORT : COUNT_KNOWN;
	}
	/* That the guest gave it back says more than that it is not there. */
	if ((j->state == BLOCK_SPARSE || j->state == BLOCK_EMPTY) &&
	    hold_reason == REASON_LOST_PAGES)
		held.reason = hold_reason;
	return held;
}

struct judgement judge_policy(const struct judgement *j, const struct snapshot *s,
			      const struct region *r)
{
	const struct policy *p = &s->policy;
	struct judgement judged = *j;
	bool may = (j->state == BLOCK_REMAPPABLE && p->may_remap) ||
		   (j->state == BLOCK_COPYABLE && p->may_copy);

	if (j->state == BLOCK_EMPTY && j->reason == REASON_NEVER_TOUCHED)
		judged.reason = populate_reason(s, r);
	if (j->state != BLOCK_REMAPPABLE && j->state != BLOCK_COPYABLE)
		return judged;
	if (p->is_paused)
		judged.reason = REASON_PAUSED;
	else if (p->mode != MODE_FULL || !may)
		judged.reason = REASON_POLICY_OFF;
	else if (j->state == BLOCK_COPYABLE && s->copies_held != REASON_NONE)
		judged.reason = s->copies_held;
	return judged;
}
