/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "populate.h"

#include <errno.h>

#include "headroom.h"
#include "sights.h"

#define NS_PER_S UINT64_C(1000000000)
/* Until a guest has booted it gives nothing back, and that takes longer than thpd takes to find a
 * VM. */
#define YOUNG_NS (30 * NS_PER_S)
/* Between two looks a guest can touch memory and give it back unseen: this bounds how often. */
#define FIRST_TIME_NS (600 * NS_PER_S)

void populate_clear(struct populate_history *h)
{
	interval_set_clear(&h->seen);
	*h = (struct populate_history)POPULATE_HISTORY_INIT;
}

static void begin(struct populate_history *h, uint64_t age_ns, uint64_t now_ns)
{
	h->is_begun = true;
	h->is_from_start = age_ns <= YOUNG_NS;
	h->until_ns = h->is_from_start ? sat_add_u64(now_ns, FIRST_TIME_NS - age_ns) : 0;
}

static int note_seen(struct populate_history *h, const struct sight *s,
		     const struct mmu_geometry *g)
{
	if (s->seen == SEEN_NOTHING || s->seen == SEEN_UNKNOWN)
		return 0;
	return interval_set_add(&h->seen, s->start, sight_end(s, g));
}

int populate_observe(struct populate_history *h, const struct snapshot *s, uint64_t now_ns)
{
	int r = 0;

	if (!h->is_begun)
		begin(h, s->vm.age_ns, now_ns);
	/* What the guest gave back is never forgotten, so nothing more is to be learned. */
	for (size_t i = 0; r == 0 && i < s->n_sights && !h->gave_back; i++) {
		const struct sight *sight = &s->sights[i];

		if (sight->seen == SEEN_NOTHING)
			h->gave_back = interval_set_overlaps(&h->seen, sight->start,
							     sight_end(sight, &s->geometry));
		r = note_seen(h, sight, &s->geometry);
	}
	return r;
}

/* All that was empty was made, but for guard regions (kernel/fill.c); after an error nothing tells
 * which blocks were. */
static bool is_gone_again(const struct action *a, const struct outcome *o, const struct sight *s)
{
	return a->kind == ACTION_POPULATE && o->err == 0 && s->seen == SEEN_NOTHING &&
	       !(s->flags & SIGHT_GUARD);
}

/* What the look after populating does not say was made all the same, for all that is known. */
static int note_unseen(struct populate_history *h, const struct action *a, const struct outcome *o,
		       hva_t start, hva_t end)
{
	if (a->kind != ACTION_POPULATE || o->err == ECANCELED || start >= end)
		return 0;
	return interval_set_add(&h->seen, start, end);
}

int populate_learn(struct populate_history *h, const struct action *a, const struct outcome *o,
		   const struct sight *after, size_t n, const struct mmu_geometry *g)
{
	hva_t at = a->target.start;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && !h->gave_back; i++) {
		bool is_known = after[i].seen != SEEN_UNKNOWN;

		h->gave_back = is_gone_again(a, o, &after[i]);
		r = note_unseen(h, a, o, at, is_known ? after[i].start : sight_end(&after[i], g));
		if (r == 0)
			r = note_seen(h, &after[i], g);
		at = max_u64(at, sight_end(&after[i], g));
	}
	return r < 0 ? r : note_unseen(h, a, o, at, a->target.start + a->target.bytes);
}

static enum reason held_by_history(const struct populate_history *h, const struct snapshot *s,
				   uint64_t now_ns)
{
	if (h->wish == POPULATE_WISH_FORCED)
		return REASON_NONE;
	if (h->gave_back)
		return REASON_GAVE_BACK;
	if (!h->is_from_start || s->vm.is_restored)
		return REASON_NOT_FROM_START;
	return h->wish == POPULATE_WISH_NONE && now_ns >= h->until_ns ? REASON_NOT_FROM_START
								      : REASON_NONE;
}

enum reason populate_held(const struct populate_history *h, const struct snapshot *s,
			  uint64_t now_ns)
{
	enum reason held = held_by_history(h, s, now_ns);

	if (s->policy.is_paused)
		return REASON_PAUSED;
	if (s->policy.mode != MODE_FULL || s->policy.populate != POPULATE_HUGE)
		return REASON_POLICY_OFF;
	if (s->vm.has_uffd)
		return REASON_USERFAULTFD;
	if (s->vm.has_sev)
		return REASON_SEV_OR_GUEST_MEMFD;
	if (s->vm.has_vfio)
		return REASON_PINNED_SUSPECTED;
	if (s->is_migrating == ANSWER_YES)
		return REASON_DIRTY_LOGGING_ON;
	if (held == REASON_NONE && headroom_for_copy(&s->vm) < block_bytes(&s->geometry))
		return REASON_MEMCG_LIMIT;
	return held;
}

bool populate_wants_flags(const struct populate_history *h, const struct snapshot *s,
			  uint64_t now_ns)
{
	if (h->wish != POPULATE_WISH_NONE)
		return true;
	return s->policy.populate == POPULATE_HUGE &&
	       (!h->is_begun || held_by_history(h, s, now_ns) == REASON_NONE);
}

/* Whoever reserves no memory for a mapping does not mean to fill it: a virtio-mem device maps all
 * that may ever be plugged in. */
static enum reason held_by_flags(const struct region *r)
{
	if (!r->are_flags_known)
		return REASON_NEVER_TOUCHED;
	return r->flags & VMA_FLAG_NR ? REASON_NOT_RESERVED : REASON_NONE;
}

enum reason populate_reason(const struct snapshot *s, const struct region *r)
{
	bool is_fit = r->backing == BACKING_SHMEM && r->is_shared && r->is_writable,
	     is_full = s->populate_held == REASON_NODE_FULL;
	enum reason held;

	if (!is_fit || s->policy.populate != POPULATE_HUGE)
		return REASON_NEVER_TOUCHED;
	if (s->populate_held == REASON_POLICY_OFF)
		return REASON_NEVER_TOUCHED;
	if (s->populate_held != REASON_NONE && !is_full)
		return s->populate_held;
	held = held_by_flags(r);
	if (held != REASON_NONE)
		return held; /* room would not help */
	return is_full ? REASON_NODE_FULL : REASON_TO_POPULATE;
}

enum reason populate_refusal(int err)
{
	switch (err) {
	case ENOMEM:
	case EBUSY:
	case ESRCH:
	case ECANCELED:
		return REASON_NONE;
	case EEXIST:
		return REASON_FILE_HAS_DATA;
	case EPERM:
		return REASON_SEALED_FILE;
	case EACCES:
		return REASON_FILE_NOT_WRITABLE;
	case ENOSPC:
		return REASON_TMPFS_FULL;
	case EAGAIN:
		return REASON_BUSY_RETRY;
	case ENODEV: /* hole.h */
		return REASON_NO_PERMISSION;
	default:
		return REASON_POPULATE_REFUSED;
	}
}

/* Who holds pages on purpose, each as soon as it is there, makes his host pay for one in each block
 * at most, a 512th of what he was to get: a page that was never written is not made twice. That is
 * less than to leave the whole VM unfilled for one page that the kernel happens to be at work on.
 */
bool populate_ends_plan(int err)
{
	switch (err) {
	case 0:
	case EEXIST:	/* data in the file: of this block only */
	case EAGAIN:	/* pages that somebody holds, likewise */
	case ECANCELED: /* filled by the guest meanwhile, or no room now: nothing was called */
		return false;
	default:
		return true;
	}
}

bool populate_is_refusal(enum reason reason)
{
	return reason == REASON_NO_PERMISSION || reason == REASON_FILE_HAS_DATA ||
	       reason == REASON_SEALED_FILE || reason == REASON_FILE_NOT_WRITABLE ||
	       reason == REASON_TMPFS_FULL || reason == REASON_POPULATE_REFUSED;
}
