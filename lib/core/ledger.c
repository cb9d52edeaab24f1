/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "holds.h"
#include "populate.h"
#include "sights.h"

#define NS_PER_MIN (UINT64_C(60) * 1000000000)
#define REFUSED_NS (60 * NS_PER_MIN)
/* How long a hold that is over is remembered for its strikes: longer than any VM goes without a
 * look, so that the next failure counts as the next strike. */
#define STRIKE_MEMORY_NS (64 * NS_PER_MIN)

enum { PINNED_STRIKES = 4 };

/* A failed copy unmaps the whole block from the guest (KERNEL B22). */
static uint64_t backoff_ns(uint8_t strikes)
{
	static const uint8_t minutes[] = {1, 4, 16, 64};
	size_t step = strikes == 0 ? 0 : strikes - 1u;

	return minutes[step < ARRAY_SIZE(minutes) ? step : ARRAY_SIZE(minutes) - 1] * NS_PER_MIN;
}

static uint8_t one_more(uint8_t strikes)
{
	return strikes < UINT8_MAX ? (uint8_t)(strikes + 1) : strikes;
}

void ledger_clear(struct ledger *l)
{
	interval_set_clear(&l->made);
	free(l->holds);
	*l = (struct ledger)LEDGER_INIT;
}

static bool counts_strikes(enum reason reason)
{
	return reason == REASON_BUSY_RETRY || reason == REASON_PINNED_SUSPECTED;
}

/* One strike more on every block of [start, end), each from what it had before. */
static int strike(struct ledger *l, hva_t start, hva_t end, uint64_t now_ns)
{
	while (start < end) {
		size_t i = hold_list_find(l->holds, l->n_holds, start);
		bool is_inside = i < l->n_holds && l->holds[i].start <= start;
		struct hold h = {.start = start, .end = end, .strikes = 1};
		int r;

		if (i < l->n_holds)
			h.end = min_u64(end, is_inside ? l->holds[i].end : l->holds[i].start);
		if (is_inside && counts_strikes(l->holds[i].reason))
			h.strikes = one_more(l->holds[i].strikes);
		h.until_ns = sat_add_u64(now_ns, backoff_ns(h.strikes));
		h.reason =
			h.strikes >= PINNED_STRIKES ? REASON_PINNED_SUSPECTED : REASON_BUSY_RETRY;
		r = hold_list_set(&l->holds, &l->n_holds, &h);
		if (r < 0)
			return r;
		start = h.end;
	}
	return 0;
}

static int refuse(struct ledger *l, hva_t start, uint64_t block, uint64_t now_ns)
{
	const struct hold h = {
		.start = start,
		.end = start + block,
		.until_ns = sat_add_u64(now_ns, REFUSED_NS),
		.strikes = 1,
		.reason = REASON_KERNEL_REFUSED,
	};

	return hold_list_set(&l->holds, &l->n_holds, &h);
}

static int succeed(struct ledger *l, hva_t start, hva_t end)
{
	int r = interval_set_add(&l->made, start, end);

	return r < 0 ? r : hold_list_cut(&l->holds, &l->n_holds, start, end);
}

/* What the second look says of one part of the target. */
struct part {
	hva_t start, end;
	enum seen seen; /* SEEN_UNKNOWN: the look says nothing */
};

static bool is_candidate(enum seen seen)
{
	return seen == SEEN_FOLIO || seen == SEEN_SMALL || seen == SEEN_PAGES;
}

struct lesson {
	struct ledger *ledger;
	enum action_kind kind;
	int err;
	uint64_t block, now_ns;
	bool is_culprit_found; /* EINVAL: the block at which the kernel gave up */
};

static int learn_refusal(struct lesson *lesson, const struct part *p)
{
	if (lesson->is_culprit_found)
		return 0;
	lesson->is_culprit_found = true;
	/* A block that became empty meanwhile explains the refusal by itself (KERNEL 1.4). */
	if (p->seen == SEEN_NOTHING || p->seen == SEEN_SWAPPED)
		return 0;
	return refuse(lesson->ledger, p->start, lesson->block, lesson->now_ns);
}

/* What is still empty after it was to be populated would be asked for again at once. */
static int learn_populate(struct lesson *lesson, const struct part *p)
{
	const struct hold h = {
		.start = p->start,
		.end = p->end,
		.until_ns = sat_add_u64(lesson->now_ns, REFUSED_NS),
		.strikes = 1,
		.reason = populate_refusal(lesson->err),
	};

	if (h.reason == REASON_NONE || p->seen != SEEN_NOTHING)
		return 0;
	if (counts_strikes(h.reason))
		return strike(lesson->ledger, p->start, p->end, lesson->now_ns);
	return hold_list_set(&lesson->ledger->holds, &lesson->ledger->n_holds, &h);
}

static int learn_part(struct lesson *lesson, const struct part *p)
{
	if (p->seen == SEEN_HUGE)
		return succeed(lesson->ledger, p->start, p->end);
	if (lesson->kind == ACTION_POPULATE)
		return learn_populate(lesson, p);
	switch (lesson->err) {
	case EINVAL:
		return learn_refusal(lesson, p);
	case EAGAIN:
		if (p->seen == SEEN_NOTHING)
			return 0;
		return strike(lesson->ledger, p->start, p->end, lesson->now_ns);
	case ESRCH:
	case EPERM:
	case EACCES:
		return 0;
	case EBUSY:
	case ENOMEM:
		/* A copy's lack of memory is the cgroup's or the node's; a remap needs none, so the
		 * error says something about this place. */
		if (lesson->kind == ACTION_COPY)
			return 0;
		break;
	default:
		/* Also 0, said to be done, yet it is not: something takes it apart again. Trying at
		 * once would go round in circles. */
		break;
	}
	return is_candidate(p->seen) ? strike(lesson->ledger, p->start, p->end, lesson->now_ns) : 0;
}

static void learn_memcg(struct ledger *l, const struct action *a, int err, uint64_t now_ns)
{
	if (err == EBUSY) {
		l->memcg_strikes = one_more(l->memcg_strikes);
		l->memcg_until_ns = sat_add_u64(now_ns, backoff_ns(l->memcg_strikes));
	} else if (err == 0 && (a->kind == ACTION_COPY || a->kind == ACTION_POPULATE)) {
		l->memcg_strikes = 0;
		l->memcg_until_ns = 0;
	}
}

int ledger_learn(struct ledger *l, const struct action *a, const struct outcome *o,
		 const struct sight *after, size_t n_after, const struct mmu_geometry *g,
		 uint64_t now_ns)
{
	struct lesson lesson = {.ledger = l,
				.kind = a->kind,
				.err = o->err,
				.block = block_bytes(g),
				.now_ns = now_ns};
	hva_t at = a->target.start, end = at + a->target.bytes;
	int r = 0;

	learn_memcg(l, a, o->err, now_ns);
	for (size_t i = 0; r == 0 && i <= n_after && at < end; i++) {
		hva_t start = i < n_after ? min_u64(max_u64(after[i].start, at), end) : end;
		hva_t stop = i < n_after ? min_u64(sight_end(&after[i], g), end) : end;

		if (start > at)
			r = learn_part(&lesson, &(struct part){at, start, SEEN_UNKNOWN});
		if (r == 0 && stop > start)
			r = learn_part(&lesson, &(struct part){start, stop, after[i].seen});
		at = max_u64(start, stop);
	}
	return r;
}

/* The guest gave back memory of every block of the sight: it is neither there nor in swap. */
static bool is_given_back(const struct sight *s, const struct mmu_geometry *g)
{
	if (s->seen == SEEN_NOTHING)
		return true;
	if (s->seen == SEEN_UNKNOWN || s->seen == SEEN_HUGE || s->fill >= FILL_FULL)
		return false; /* FILL_UNKNOWN among them */
	return sat_add_u64(s->present_pages, s->swapped_pages) < s->blocks * block_pages(g);
}

static int lose(struct ledger *l, hva_t start, hva_t end, uint64_t until_ns)
{
	const struct hold h = {.start = start,
			       .end = end,
			       .until_ns = until_ns,
			       .strikes = 1,
			       .reason = REASON_LOST_PAGES};
	int r = hold_list_set(&l->holds, &l->n_holds, &h);

	return r < 0 ? r : interval_set_remove(&l->made, start, end);
}

static size_t find_made(const struct ledger *l, hva_t address)
{
	size_t low = 0, high = l->made.n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->made.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Takes [start, end) out of `made`, wherever it holds a part of it, with a hold in its place. */
static int lose_made(struct ledger *l, hva_t start, hva_t end, uint64_t until_ns)
{
	for (;;) {
		size_t i = find_made(l, start);
		int r;

		if (i == l->made.n_items || l->made.items[i].start >= end)
			return 0;
		r = lose(l, max_u64(l->made.items[i].start, start),
			 min_u64(l->made.items[i].end, end), until_ns);
		if (r < 0)
			return r;
	}
}

/* Memory that is no guest RAM any more was not given back by the guest; its address may be used
 * again for something new. */
static int forget_unmapped(struct ledger *l, const struct snapshot *s)
{
	hva_t at = 0;

	for (size_t i = 0; i <= s->n_regions; i++) {
		hva_t end = i < s->n_regions ? s->regions[i].start : UINT64_MAX;
		int r = interval_set_remove(&l->made, at, end);

		if (r < 0)
			return r;
		at = i < s->n_regions ? s->regions[i].end : end;
	}
	return 0;
}

static bool is_over(const struct hold *h, uint64_t now_ns)
{
	if (hold_is_active(h, now_ns))
		return false;
	return !counts_strikes(h->reason) || now_ns - h->until_ns >= STRIKE_MEMORY_NS;
}

static void drop_holds_that_are_over(struct ledger *l, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_holds; i++)
		if (!is_over(&l->holds[i], now_ns))
			l->holds[kept++] = l->holds[i];
	l->n_holds = kept;
}

int ledger_observe(struct ledger *l, const struct snapshot *s, uint64_t now_ns)
{
	uint64_t until_ns = sat_add_u64(now_ns, s->policy.hold_lost_ns);
	int r = s->is_truncated ? 0 : forget_unmapped(l, s);

	drop_holds_that_are_over(l, now_ns);
	for (size_t i = 0; r == 0 && i < s->n_sights && l->made.n_items > 0; i++)
		if (is_given_back(&s->sights[i], &s->geometry))
			r = lose_made(l, s->sights[i].start, sight_end(&s->sights[i], &s->geometry),
				      until_ns);
	return r;
}

int ledger_export(const struct ledger *l, struct snapshot *s)
{
	struct hold *holds = NULL;
	size_t n = 0;

	for (size_t i = 0; i < l->n_holds; i++) {
		int r;

		if (!hold_is_active(&l->holds[i], s->taken_ns))
			continue;
		r = ARRAY_APPEND(&holds, &n, &l->holds[i]);
		if (r < 0) {
			free(holds);
			return r;
		}
	}
	free(s->holds);
	s->holds = holds;
	s->n_holds = n;
	if (s->taken_ns < l->memcg_until_ns)
		s->vm.memcg_headroom_bytes = 0;
	return 0;
}
