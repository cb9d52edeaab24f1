/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <stdlib.h>

#include "bits.h"

/* Each call drains the page lists of every CPU (lru_cache_disable()): so not page by page; and a
 * guest that touches a page on the move waits for it. */
#define CALL_BYTES_MAX (UINT64_C(64) << 20)

/* Where the kernel gave up it is asked to go on behind that place, so often at most: a VMM chooses
 * how many such places there are. */
enum { CALLS_MAX = 8 };

/* In the status of a page of which the kernel wrote nothing. */
enum { UNWRITTEN = INT_MIN };

/* Pages of one call; each array has room for all that a call may have. */
struct batch {
	hva_t *pages;
	int *nodes, *status;
	size_t n;
};

static bool batch_init(struct batch *b, size_t max)
{
	*b = (struct batch){.pages = calloc(max, sizeof(hva_t)),
			    .nodes = calloc(max, sizeof(int)),
			    .status = calloc(max, sizeof(int))};
	return b->pages && b->nodes && b->status;
}

static void batch_clear(struct batch *b)
{
	free(b->pages);
	free(b->nodes);
	free(b->status);
}

static void batch_add(struct batch *b, hva_t page, int node)
{
	b->pages[b->n] = page;
	b->nodes[b->n++] = node;
}

static void add_block(struct batch *b, const struct action *a, const struct sight *s, hva_t block,
		      const struct mmu_geometry *g)
{
	bool is_folio = s->seen == SEEN_HUGE || s->seen == SEEN_FOLIO;
	uint64_t pages = is_folio ? 1 : block_pages(g);

	for (uint64_t i = 0; i < pages; i++)
		batch_add(b, block + i * page_bytes(g), a->node);
}

static bool is_elsewhere(const struct sight *s, int node)
{
	return s->node >= 0 && s->node != node;
}

static void fill(struct batch *b, const struct action *a, const struct sight *sights, size_t n,
		 const struct mmu_geometry *g)
{
	hva_t end = a->target.start + a->target.bytes;

	for (size_t i = 0; i < n; i++) {
		hva_t stop = min_u64(sights[i].start + sights[i].blocks * block_bytes(g), end);

		if (!is_elsewhere(&sights[i], a->node))
			continue;
		for (hva_t at = max_u64(sights[i].start, a->target.start); at < stop;
		     at += block_bytes(g))
			add_block(b, a, &sights[i], at, g);
	}
}

/* Keeps the pages that the kernel did not move because others map them, too. */
static void keep_shared(struct batch *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->status[i] == -EACCES)
			b->pages[kept++] = b->pages[i];
	b->n = kept;
}

/* The kernel collects pages, moves them when one comes that has an answer of its own, and gives up
 * if any of them stays, a pinned one for instance: then it has written nothing of those that it had
 * collected, and tried nothing behind the one that came (tests/expect/expect_move_pages.c). The
 * first page that it did not try; the end if there is none. */
static size_t find_untried(const struct batch *b, size_t from)
{
	size_t end = b->n;

	while (end > from && b->status[end - 1] == UNWRITTEN)
		end--;
	for (size_t i = from; i < end; i++)
		if (b->status[i] == UNWRITTEN)
			return end;
	return b->n;
}

static int errno_of(int status)
{
	return status == UNWRITTEN ? EBUSY : status < 0 ? -status : 0;
}

/* Of all that went wrong what matters most: no room, then anything. What is not there (ENOENT,
 * EFAULT) needs no move. */
static int worst(const struct batch *b)
{
	int err = 0;

	for (size_t i = 0; i < b->n; i++) {
		int e = errno_of(b->status[i]);

		if (e == ENOMEM)
			return ENOMEM;
		if (e != 0 && e != ENOENT && e != EFAULT && e != EACCES)
			err = e;
	}
	return err;
}

/* One call for the pages from `from` on. 0 or an errno. */
static int call(struct sys *sys, const struct process *p, struct batch *b, size_t from, int flags,
		struct outcome *o)
{
	uint64_t before_ns = sys->ops->now_ns(sys), took_ns;
	long r;

	if (!process_is_alive(sys, p))
		return ESRCH;
	r = sys->ops->move_pages(sys, p->pid, b->n - from, b->pages + from, b->nodes + from,
				 b->status + from, flags);
	took_ns = sys->ops->now_ns(sys) - before_ns;
	o->took_ns += took_ns;
	o->worst_call_ns = max_u64(o->worst_call_ns, took_ns);
	return r < 0 ? (int)-r : 0;
}

static int move(struct sys *sys, const struct process *p, struct batch *b, int flags,
		struct outcome *o)
{
	size_t from = 0;

	for (size_t i = 0; i < b->n; i++)
		b->status[i] = UNWRITTEN;
	for (int i = 0; i < CALLS_MAX && from < b->n; i++) {
		int err = call(sys, p, b, from, flags, o);

		if (err)
			return err;
		from = find_untried(b, from);
	}
	return worst(b);
}

static int move_all(struct sys *sys, const struct process *p, struct batch *b, struct outcome *o)
{
	int err = move(sys, p, b, MPOL_MF_MOVE, o), shared_err;

	if (err == ENOMEM || err == ESRCH || err == EPERM)
		return err;
	keep_shared(b);
	shared_err = move(sys, p, b, MPOL_MF_MOVE_ALL, o);
	return shared_err ? shared_err : err;
}

static bool is_acceptable(const struct process *p, const struct target *t,
			  const struct mmu_geometry *g)
{
	return t->pid == p->pid && t->starttime == p->starttime && t->bytes > 0 &&
	       is_aligned(t->start | t->bytes, block_bytes(g)) &&
	       t->bytes <= max_u64(CALL_BYTES_MAX, block_bytes(g)) &&
	       t->bytes <= UINT64_MAX - t->start;
}

struct outcome place_act(struct sys *sys, const struct process *p, const struct action *a,
			 const struct sight *sights, size_t n, const struct mmu_geometry *g)
{
	struct outcome o = {.action = a->id, .err = EINVAL};
	struct batch b;

	if (!is_acceptable(p, &a->target, g))
		return o;
	if (batch_init(&b, a->target.bytes / page_bytes(g))) {
		fill(&b, a, sights, n, g);
		o.err = move_all(sys, p, &b, &o);
	} else {
		o.err = ECANCELED;
	}
	batch_clear(&b);
	return o;
}
