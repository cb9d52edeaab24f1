/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving pages to another node: on a kernel that answers by a script, and on the real one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "look.h"
#include "memnode.h"
#include "memstate.h"
#include "place.h"

#define BLOCK UINT64_C(2097152)
#define PAGE  UINT64_C(4096)

enum { PAGES = 512, CALLS_MAX = 40, ASKED_MAX = 32 * PAGES };

struct call {
	size_t n;
	int flags;
};

/* A kernel that notes the calls. Each page is `answer_of` it; like Linux it collects those that can
 * move, and writes nothing of them if one does not: then it does not go on behind the next page
 * that has an answer of its own (tests/expect/expect_move_pages.c). */
struct script {
	int (*answer_of)(hva_t page, int flags); /* STUCK, MOVES, or a status */
	long result;				 /* of the call itself, if negative */
	struct call calls[CALLS_MAX];
	size_t n_calls;
	hva_t pages[ASKED_MAX]; /* of all calls */
	size_t n_pages;
	int node;
	bool is_dead;
	uint64_t now_ns;
};

enum { MOVES = 100000, STUCK };

static int all_move(hva_t page, int flags)
{
	(void)page, (void)flags;
	return MOVES;
}

/* Writes the status of those collected, unless one of them is stuck; how many those are. */
static long flush(const int *answers, int *status, const int *nodes, size_t from, size_t to)
{
	long stuck = 0;

	for (size_t i = from; i < to; i++)
		stuck += answers[i] == STUCK;
	for (size_t i = from; stuck == 0 && i < to; i++)
		status[i] = nodes[i];
	return stuck;
}

static long run(struct script *s, size_t n, const hva_t *pages, const int *nodes, int *status,
		int flags)
{
	int *answers = calloc(n, sizeof(*answers));
	size_t from = 0;
	long stuck = 0;

	assert_non_null(answers);
	for (size_t i = 0; i < n; i++)
		answers[i] = s->answer_of(pages[i], flags);
	for (size_t i = 0; stuck == 0 && i <= n; i++) {
		if (i < n && answers[i] >= MOVES)
			continue;
		if (i < n)
			status[i] = answers[i];
		stuck = flush(answers, status, nodes, from, i);
		if (stuck > 0 && i < n)
			stuck += (long)(n - i - 1);
		from = i + 1;
	}
	free(answers);
	return stuck;
}

static long scripted_move(struct sys *sys, pid_t pid, size_t n, const hva_t *pages,
			  const int *nodes, int *status, int flags)
{
	struct script *s = sys->userdata;

	assert_int_equal(pid, 7);
	assert_non_null(nodes);
	assert_true(n > 0);
	assert_true(s->n_calls < CALLS_MAX);
	assert_true(s->n_pages + n <= ASKED_MAX);
	s->calls[s->n_calls++] = (struct call){.n = n, .flags = flags};
	memcpy(&s->pages[s->n_pages], pages, n * sizeof(*pages));
	s->n_pages += n;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(nodes[i], s->node);
	s->now_ns += 700 * s->n_calls;
	return s->result < 0 ? s->result : run(s, n, pages, nodes, status, flags);
}

static int scripted_is_alive(struct sys *sys, int pidfd)
{
	assert_int_equal(pidfd, 33);
	return !((struct script *)sys->userdata)->is_dead;
}

static uint64_t scripted_now(struct sys *sys)
{
	struct script *s = sys->userdata;

	return s->now_ns += 10;
}

static const struct sys_ops ops = {
	.move_pages = scripted_move,
	.pidfd_is_alive = scripted_is_alive,
	.now_ns = scripted_now,
};
static const struct mmu_geometry geometry = {12, 9, 18};
static const struct process process = {.pid = 7, .starttime = 42, .pidfd = 33};

static int start(void **state)
{
	struct script *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	s->answer_of = all_move;
	s->node = 1;
	*state = s;
	return 0;
}

static int stop(void **state)
{
	free(*state);
	return 0;
}

static struct action action_at(hva_t start, uint64_t bytes)
{
	return (struct action){
		.id = 5,
		.kind = ACTION_PLACE,
		.node = 1,
		.target = {.pid = 7, .starttime = 42, .start = start, .bytes = bytes},
	};
}

static struct sight sight_at(uint64_t block, uint32_t blocks, enum seen seen, int16_t node)
{
	return (struct sight){.start = block * BLOCK,
			      .blocks = blocks,
			      .seen = (uint8_t)seen,
			      .fill = FILL_UNKNOWN,
			      .node = node};
}

static struct outcome act(struct script *s, const struct action *a, const struct sight *sights,
			  size_t n)
{
	struct sys sys = {.ops = &ops, .userdata = s};

	return place_act(&sys, &process, a, sights, n, &geometry);
}

static void folios_take_one_address(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 4 * BLOCK);
	struct sight sights[] = {sight_at(8, 3, SEEN_HUGE, 0), sight_at(11, 1, SEEN_FOLIO, 0)};
	struct outcome o = act(s, &a, sights, 2);

	assert_int_equal(o.action, 5);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.took_ns, 710);
	assert_int_equal(o.worst_call_ns, 710);
	assert_int_equal(s->n_calls, 1);
	assert_int_equal(s->calls[0].flags, MPOL_MF_MOVE);
	assert_int_equal(s->n_pages, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(s->pages[i], (8 + i) * BLOCK);
}

static void small_blocks_take_every_page(void **state)
{
	static const enum seen kinds[] = {SEEN_SMALL, SEEN_PAGES, SEEN_SWAPPED};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct script *s = *state;
		struct action a = action_at(8 * BLOCK, 3 * BLOCK);
		struct sight sights[] = {sight_at(8, 1, SEEN_HUGE, 0), sight_at(9, 1, kinds[k], 2),
					 sight_at(10, 1, SEEN_FOLIO, 0)};

		s->n_pages = s->n_calls = 0;
		assert_int_equal(act(s, &a, sights, 3).err, 0);
		assert_int_equal(s->n_pages, PAGES + 2);
		assert_int_equal(s->pages[0], 8 * BLOCK);
		for (size_t i = 0; i < PAGES; i++)
			assert_int_equal(s->pages[1 + i], 9 * BLOCK + i * PAGE);
		assert_int_equal(s->pages[PAGES + 1], 10 * BLOCK);
	}
}

static void what_is_there_or_unknown_is_left_alone(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 4 * BLOCK);
	struct sight sights[] = {sight_at(8, 1, SEEN_HUGE, 1), sight_at(9, 1, SEEN_SMALL, -1),
				 sight_at(10, 1, SEEN_NOTHING, -1)}; /* and nothing of 11 */
	struct outcome o = act(s, &a, sights, 3);

	assert_int_equal(o.err, 0);
	assert_int_equal(o.took_ns, 0);
	assert_int_equal(s->n_calls, 0);
	assert_int_equal(act(s, &a, NULL, 0).err, 0);
	assert_int_equal(s->n_calls, 0);
}

static void sights_are_cut_by_the_target(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 2 * BLOCK);
	struct sight sights[] = {sight_at(2, 4, SEEN_HUGE, 0), sight_at(6, 3, SEEN_HUGE, 0),
				 sight_at(9, UINT32_MAX, SEEN_FOLIO, 0),
				 sight_at(9 + (uint64_t)UINT32_MAX, 4, SEEN_SMALL, 0)};

	assert_int_equal(act(s, &a, sights, 4).err, 0);
	assert_int_equal(s->n_pages, 2);
	assert_int_equal(s->pages[0], 8 * BLOCK);
	assert_int_equal(s->pages[1], 9 * BLOCK);
}

static void what_must_not_be_done_is_not_done(void **state)
{
	struct script *s = *state;
	struct sight sight = sight_at(0, 4096, SEEN_HUGE, 0);
	struct action bad[] = {
		action_at(8 * BLOCK + PAGE, BLOCK),
		action_at(8 * BLOCK, BLOCK - PAGE),
		action_at(8 * BLOCK, BLOCK / 2),
		action_at(8 * BLOCK, 0),
		action_at(8 * BLOCK, 33 * BLOCK),
		action_at(8 * BLOCK, UINT64_MAX - BLOCK + 1),
		action_at(UINT64_MAX - BLOCK + 1, 2 * BLOCK),
		action_at(8 * BLOCK, BLOCK),
		action_at(8 * BLOCK, BLOCK),
	};

	bad[7].target.pid = 8;
	bad[8].target.starttime = 43;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(act(s, &bad[i], &sight, 1).err, EINVAL);
	assert_int_equal(s->n_calls, 0);
	bad[4].target.bytes = 32 * BLOCK;
	assert_int_equal(act(s, &bad[4], &sight, 1).err, 0);
	assert_int_equal(s->n_pages, 32);
}

static void who_is_gone_is_not_called(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_HUGE, 0);

	s->is_dead = true;
	assert_int_equal(act(s, &a, &sight, 1).err, ESRCH);
	assert_int_equal(s->n_calls, 0);
}

/* Every third page is mapped by another process, too. */
static int third_is_shared(hva_t page, int flags)
{
	return page / PAGE % 3 == 0 && flags == MPOL_MF_MOVE ? -EACCES : MOVES;
}

static void shared_pages_are_asked_again(void **state)
{
	struct script *s = *state;
	struct action a = action_at(9 * BLOCK, BLOCK);
	struct sight sight = sight_at(9, 1, SEEN_SMALL, 0);
	struct outcome o;

	s->answer_of = third_is_shared;
	o = act(s, &a, &sight, 1);
	assert_int_equal(o.err, 0);
	assert_int_equal(s->n_calls, 2);
	assert_int_equal(s->calls[0].flags, MPOL_MF_MOVE);
	assert_int_equal(s->calls[1].flags, MPOL_MF_MOVE_ALL);
	assert_int_equal(s->calls[1].n, 171);
	for (size_t i = 0; i < s->calls[1].n; i++)
		assert_int_equal(s->pages[PAGES + i], 9 * BLOCK + i * 3 * PAGE);
	assert_int_equal(o.took_ns, 710 + 1410);
	assert_int_equal(o.worst_call_ns, 1410);
}

/* By the page within its block. */
static int of_every_kind(hva_t page, int flags)
{
	uint64_t i = page / PAGE % PAGES;

	(void)flags;
	return i == 3 || i == 9 ? -EBUSY
	       : i == 5		? -ENOENT
	       : i == 6		? -EFAULT
	       : i == 7		? -ENOMEM
				: MOVES;
}

static int busy_or_absent(hva_t page, int flags)
{
	int answer = of_every_kind(page, flags);

	return answer == -ENOMEM ? MOVES : answer;
}

static int absent(hva_t page, int flags)
{
	int answer = busy_or_absent(page, flags);

	return answer == -EBUSY ? MOVES : answer;
}

static void what_matters_most_is_told(void **state)
{
	static const struct {
		int (*answer_of)(hva_t page, int flags);
		int err;
	} cases[] = {{of_every_kind, ENOMEM}, {busy_or_absent, EBUSY}, {absent, 0}};
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_SMALL, 0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		s->answer_of = cases[i].answer_of;
		s->n_calls = s->n_pages = 0;
		assert_int_equal(act(s, &a, &sight, 1).err, cases[i].err);
		assert_int_equal(s->n_calls, 1);
	}
}

static int second_is_shared_and_none_has_room(hva_t page, int flags)
{
	uint64_t i = page / PAGE % PAGES;

	if (flags == MPOL_MF_MOVE_ALL)
		return MOVES;
	return i == 2 ? -EACCES : i == 4 ? -ENOMEM : MOVES;
}

/* A node that is full is not asked to take more. */
static void no_room_ends_it(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_SMALL, 0);

	s->answer_of = second_is_shared_and_none_has_room;
	assert_int_equal(act(s, &a, &sight, 1).err, ENOMEM);
	assert_int_equal(s->n_calls, 1);
}

static int shared_and_busy(hva_t page, int flags)
{
	return flags == MPOL_MF_MOVE_ALL ? -EBUSY : page / PAGE % 2 ? -EACCES : MOVES;
}

static int shared_for_ever(hva_t page, int flags)
{
	(void)page, (void)flags;
	return -EACCES;
}

static void the_second_call_is_judged_too(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_SMALL, 0);

	s->answer_of = shared_and_busy;
	assert_int_equal(act(s, &a, &sight, 1).err, EBUSY);
	assert_int_equal(s->n_calls, 2);
	s->answer_of = shared_for_ever;
	s->n_calls = s->n_pages = 0;
	(void)act(s, &a, &sight, 1);
	assert_int_equal(s->n_calls, 2);
}

static void refusal_of_the_call_is_an_outcome(void **state)
{
	static const int errors[] = {EPERM, ESRCH, ENOMEM, ENODEV, EACCES, EINVAL, ENOSYS};
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 2 * BLOCK);
	struct sight sight = sight_at(8, 2, SEEN_HUGE, 0);

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		s->result = -errors[i];
		s->n_calls = s->n_pages = 0;
		assert_int_equal(act(s, &a, &sight, 1).err, errors[i]);
		assert_int_equal(s->n_calls, 1);
	}
}

static int first_is_stuck(hva_t page, int flags)
{
	(void)flags;
	return page == 8 * BLOCK ? STUCK : MOVES;
}

/* What is pinned has no status: the call only says how many did not move. */
static void pinned_pages_are_told(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 3 * BLOCK);
	struct sight sight = sight_at(8, 3, SEEN_HUGE, 0);

	s->answer_of = first_is_stuck;
	assert_int_equal(act(s, &a, &sight, 1).err, EBUSY);
	assert_int_equal(s->n_calls, 1); /* all of one batch: each was tried */
}

static int stuck_before_a_hole(hva_t page, int flags)
{
	uint64_t i = page / PAGE % PAGES;

	(void)flags;
	return i == 3 ? STUCK : i == 10 ? -ENOENT : MOVES;
}

/* Behind the first answer after a pinned page nothing was tried. */
static void what_was_not_tried_is_tried_again(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, 2 * BLOCK);
	struct sight sight = sight_at(8, 2, SEEN_SMALL, 0);

	s->answer_of = stuck_before_a_hole;
	assert_int_equal(act(s, &a, &sight, 1).err, EBUSY);
	assert_int_equal(s->n_calls, 3);
	assert_int_equal(s->calls[0].n, 2 * PAGES);
	assert_int_equal(s->calls[1].n, 2 * PAGES - 11);
	assert_int_equal(s->pages[2 * PAGES], 8 * BLOCK + 11 * PAGE);
	assert_int_equal(s->calls[2].n, PAGES - 11);
	assert_int_equal(s->calls[2].flags, MPOL_MF_MOVE);
}

static int stuck_and_shared(hva_t page, int flags)
{
	uint64_t i = page / PAGE % PAGES;

	if (flags == MPOL_MF_MOVE_ALL)
		return MOVES;
	return i == 3 ? STUCK : i == 10 || i == 20 ? -EACCES : MOVES;
}

static void shared_pages_of_all_tries_are_asked_again(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_SMALL, 0);

	s->answer_of = stuck_and_shared;
	assert_int_equal(act(s, &a, &sight, 1).err, EBUSY);
	assert_int_equal(s->n_calls, 3);
	assert_int_equal(s->calls[2].flags, MPOL_MF_MOVE_ALL);
	assert_int_equal(s->calls[2].n, 2);
	assert_int_equal(s->pages[s->n_pages - 2], 8 * BLOCK + 10 * PAGE);
	assert_int_equal(s->pages[s->n_pages - 1], 8 * BLOCK + 20 * PAGE);
}

static int stuck_and_holes(hva_t page, int flags)
{
	(void)flags;
	return page / PAGE % 2 ? -ENOENT : STUCK;
}

/* A VMM that pins every second page does not make thpd call for each. */
static void tries_are_bounded(void **state)
{
	struct script *s = *state;
	struct action a = action_at(8 * BLOCK, BLOCK);
	struct sight sight = sight_at(8, 1, SEEN_SMALL, 0);

	s->answer_of = stuck_and_holes;
	assert_int_equal(act(s, &a, &sight, 1).err, EBUSY);
	assert_true(s->n_calls > 1 && s->n_calls <= 8);
}

/* On whatever node this memory is: nothing is to be done there, and nothing is done. */
static void real_memory_stays_where_it_is(void **state)
{
	const uint64_t block = memstate_block_bytes();
	memstate_map m = MEMSTATE_MAP_INIT;
	struct sys sys;
	struct process p = PROCESS_INIT;
	struct mmu_geometry g = {12, 9, 18};
	struct action a = {.id = 1, .kind = ACTION_PLACE};
	struct sight sight = {.blocks = 1, .seen = SEEN_SMALL, .fill = FILL_UNKNOWN};
	struct outcome o;
	int64_t node;

	(void)state;
	if (block != BLOCK || memstate_page_bytes() != PAGE)
		skip();
	assert_int_equal(sys_open_host(&sys), 0);
	assert_int_equal(process_open(&sys, getpid(), &p), 0);
	assert_int_equal(memstate_map_memfd(&m, block, 0), 0);
	assert_int_equal(memstate_fill_small(m.addr, block, 1), 0);
	node = memnode_of(0, m.addr);
	assert_true(node >= 0);
	sight.start = (hva_t)(uintptr_t)m.addr;
	sight.node = (int16_t)node;
	a.node = (int16_t)node;
	a.target = (struct target){
		.pid = getpid(), .starttime = p.starttime, .start = sight.start, .bytes = block};
	o = place_act(&sys, &p, &a, &sight, 1, &g);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.took_ns, 0);
	/* Believed to be elsewhere, it is asked for: the kernel has nothing to do. */
	sight.node = (int16_t)(node + 1);
	o = place_act(&sys, &p, &a, &sight, 1, &g);
	assert_int_equal(o.err, 0);
	assert_true(o.took_ns > 0);
	assert_int_equal(memnode_of(0, m.addr), node);
	assert_int_equal(memstate_check_filled(m.addr, block, 1), 0);
	/* A node that does not exist. */
	a.node = 1023;
	assert_int_equal(place_act(&sys, &p, &a, &sight, 1, &g).err, ENODEV);
	process_close(&p);
	sys_close(&sys);
	memstate_unmap(&m);
}

static void real_call_answers_for_each_page(void **state)
{
	const uint64_t page = memstate_page_bytes();
	memstate_map m = MEMSTATE_MAP_INIT;
	struct sys sys;
	hva_t pages[2];
	int status[2] = {-1, -1}, nodes[2];

	(void)state;
	assert_int_equal(sys_open_host(&sys), 0);
	assert_int_equal(memstate_map_memfd(&m, memstate_block_bytes(), 0), 0);
	assert_int_equal(memstate_fill_small(m.addr, page, 1), 0);
	pages[0] = (hva_t)(uintptr_t)m.addr;
	pages[1] = pages[0] + page;
	assert_int_equal(sys.ops->move_pages(&sys, getpid(), 2, pages, NULL, status, 0), 0);
	assert_true(status[0] >= 0);
	assert_int_equal(status[1], -ENOENT);
	nodes[0] = nodes[1] = status[0];
	assert_int_equal(sys.ops->move_pages(&sys, getpid(), 2, pages, nodes, status, MPOL_MF_MOVE),
			 0);
	assert_int_equal(status[0], nodes[0]);
	assert_int_equal(sys.ops->move_pages(&sys, getpid(), 2, pages, nodes, status, 1 << 30),
			 -EINVAL);
	assert_int_equal(sys.ops->move_pages(&sys, INT32_MAX, 1, pages, NULL, status, 0), -ESRCH);
	sys_close(&sys);
	memstate_unmap(&m);
}

int main(void)
{
#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		PLACE_TEST(folios_take_one_address),
		PLACE_TEST(small_blocks_take_every_page),
		PLACE_TEST(what_is_there_or_unknown_is_left_alone),
		PLACE_TEST(sights_are_cut_by_the_target),
		PLACE_TEST(what_must_not_be_done_is_not_done),
		PLACE_TEST(who_is_gone_is_not_called),
		PLACE_TEST(shared_pages_are_asked_again),
		PLACE_TEST(what_matters_most_is_told),
		PLACE_TEST(no_room_ends_it),
		PLACE_TEST(the_second_call_is_judged_too),
		PLACE_TEST(refusal_of_the_call_is_an_outcome),
		PLACE_TEST(pinned_pages_are_told),
		PLACE_TEST(what_was_not_tried_is_tried_again),
		PLACE_TEST(shared_pages_of_all_tries_are_asked_again),
		PLACE_TEST(tries_are_bounded),
		PLACE_TEST(real_memory_stays_where_it_is),
		PLACE_TEST(real_call_answers_for_each_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
