/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void rest_us(long us)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Two ends of a pass from now on: whatever the guest had before it has touched again. */
static int await_pass(const struct machine *m)
{
	const uint64_t deadline = now_us() + 60 * 1000000;
	const uint32_t before = __atomic_load_n(&m->page->passes, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&m->page->passes, __ATOMIC_ACQUIRE) - before < 2) {
		if (now_us() > deadline)
			return -ETIMEDOUT;
		rest_us(200);
	}
	return 0;
}

/* --- what the guest feels --------------------------------------------------------------------- */

enum { ROUNDS = 256, AFTER_US = 10000 };

static int order(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), order);
	return values[n / 2];
}

/* The guest may be writing there as well: what it then puts back is of before, and no slower. */
static void forget_slowest(const struct machine *m)
{
	__atomic_store_n(&m->page->slowest, 0, __ATOMIC_RELEASE);
}

static uint64_t half_of_steps_ns(const struct machine *m)
{
	uint64_t all = 0, seen = 0;
	int i = 0;

	for (int k = 0; k < GUEST_TIMES; k++)
		all += m->page->took[k];
	while (i < GUEST_TIMES - 1 && (seen += m->page->took[i]) * 2 < all)
		i++;
	return (UINT64_C(2) << i) * 1000000 / m->khz;
}

int rounds_stall(struct slot *s, struct machine *m, int rounds,
		 int (*call)(struct slot *s, struct machine *m), struct stall *ret)
{
	uint64_t calls[ROUNDS], worst[ROUNDS];
	int r = rounds > 0 && rounds <= ROUNDS ? 0 : -ERANGE;

	memset(m->page->took, 0, sizeof(m->page->took));
	for (int i = 0; r == 0 && i < rounds; i++) {
		uint64_t began;

		r = await_pass(m);
		forget_slowest(m);
		began = now_us();
		r = r < 0 || !call ? r : call(s, m);
		calls[i] = now_us() - began;
		rest_us(AFTER_US);
		worst[i] = __atomic_load_n(&m->page->slowest, __ATOMIC_ACQUIRE) * 1000 / m->khz;
	}
	if (r < 0)
		return r;
	ret->call_us = median(calls, rounds);
	ret->worst_us = median(worst, rounds);
	ret->most_us = worst[rounds - 1];
	ret->step_ns = half_of_steps_ns(m);
	return 0;
}

/* --- races ------------------------------------------------------------------------------------ */

static int count_small(const struct machine *m, uint64_t *ret)
{
	uint64_t n[3];
	int r = machine_count_pages(m, n);

	*ret = n[0] < GUEST_HOME_PAGES ? 0 : n[0] - GUEST_HOME_PAGES;
	return r;
}

int rounds_churn(struct slot *s, struct machine *m, int rounds, struct churn *ret)
{
	*ret = (struct churn){0};
	for (int i = 0; i < rounds; i++) {
		uint64_t small = 0;
		int r = slot_split(s);

		r = r < 0 ? r : slot_collapse(s);
		if (r == -EAGAIN) {
			ret->refused++;
			continue;
		}
		r = r < 0 ? r : await_pass(m);
		r = r < 0 ? r : count_small(m, &small);
		if (r < 0)
			return r;
		ret->left_over += small > 0;
		ret->most_left = small > ret->most_left ? small : ret->most_left;
	}
	return 0;
}
