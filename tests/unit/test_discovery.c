/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is looked at sooner because it connected, and how often anybody can bring that about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <systemd/sd-event.h>

#include "state.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN  (1000 * SECOND)

enum { KNOWN = 7, OTHER = 8, UNKNOWN = 9 };

static uint64_t now_ns;

static uint64_t fake_now_ns(struct sys *sys)
{
	(void)sys;
	return now_ns;
}

static const struct sys_ops ops = {.now_ns = fake_now_ns};

struct bench {
	struct manager m;
	struct sys sys;
	struct stranger strangers[2];
};

/* Two that have been strangers for long, and a tick that is far away. */
static struct bench begin(void)
{
	now_ns = BEGIN;
	return (struct bench){
		.sys = {.ops = &ops},
		.strangers = {{.pid = KNOWN, .first_ns = SECOND, .seen_ns = BEGIN - SECOND},
			      {.pid = OTHER, .first_ns = SECOND, .seen_ns = BEGIN - SECOND}},
	};
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec, (void)userdata;
	return 0;
}

static void put_tick_off(struct bench *b)
{
	assert_true(sd_event_source_set_time(b->m.tick, UINT64_MAX - 1) >= 0);
}

static void open_bench(struct bench *b)
{
	b->m.sys = &b->sys;
	b->m.discovery.strangers = b->strangers;
	b->m.discovery.n_strangers = 2;
	assert_true(sd_event_new(&b->m.event) >= 0);
	assert_true(sd_event_add_time(b->m.event, &b->m.tick, CLOCK_MONOTONIC, UINT64_MAX - 1, 0,
				      on_tick, NULL) >= 0);
}

static void close_bench(struct bench *b)
{
	sd_event_source_unref(b->m.tick);
	sd_event_unref(b->m.event);
}

/* Since it was asked last: whether a pass is wanted; whether the tick was brought forward to now.
 */
static bool wants(struct bench *b)
{
	bool is_wanted = b->m.discovery.is_wanted;

	b->m.discovery.is_wanted = false;
	return is_wanted;
}

static bool wakes(struct bench *b)
{
	uint64_t usec = 0;

	assert_true(sd_event_source_get_time(b->m.tick, &usec) >= 0);
	put_tick_off(b);
	return usec <= now_ns / 1000 + 1;
}

static void who_connects_is_as_new(void **state)
{
	struct bench b = begin();

	(void)state;
	open_bench(&b);
	discovery_suspect(&b.m, KNOWN);
	assert_true(wants(&b));
	assert_true(wakes(&b));
	assert_int_equal(b.strangers[0].first_ns, BEGIN);
	assert_int_equal(b.strangers[1].first_ns, SECOND);
	close_bench(&b);
}

static void once_a_minute(void **state)
{
	struct bench b = begin();
	unsigned int passes = 0, wakings = 0;

	(void)state;
	open_bench(&b);
	for (unsigned int i = 0; i < 60000; i++) {
		discovery_suspect(&b.m, KNOWN);
		passes += wants(&b);
		wakings += wakes(&b);
		now_ns += SECOND / 1000;
	}
	assert_int_equal(passes, 1);
	assert_int_equal(wakings, 1);
	assert_int_equal(b.strangers[0].first_ns, BEGIN);
	discovery_suspect(&b.m, KNOWN);
	assert_true(wants(&b));
	assert_int_equal(b.strangers[0].first_ns, BEGIN + 60 * SECOND);
	close_bench(&b);
}

/* Children that live for a moment: they are new anyway, and a pass comes with the tick. */
static void many_wake_nobody_more_than_once_a_second(void **state)
{
	struct bench b = begin();
	unsigned int wakings = 0;

	(void)state;
	open_bench(&b);
	for (unsigned int i = 0; i < 10000; i++) {
		discovery_suspect(&b.m, (pid_t)(UNKNOWN + i));
		assert_true(wants(&b));
		wakings += wakes(&b);
		now_ns += SECOND / 1000;
	}
	assert_int_equal(wakings, 10);
	assert_int_equal(b.strangers[0].first_ns, SECOND);
	close_bench(&b);
}

/* Nobody can take the place of another who connects: he waits for the tick at the longest. */
static void others_are_not_kept_from_it(void **state)
{
	struct bench b = begin();

	(void)state;
	open_bench(&b);
	discovery_suspect(&b.m, KNOWN);
	assert_true(wants(&b));
	discovery_suspect(&b.m, OTHER);
	assert_true(wants(&b));
	assert_int_equal(b.strangers[1].first_ns, BEGIN);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_connects_is_as_new),
		cmocka_unit_test(once_a_minute),
		cmocka_unit_test(many_wake_nobody_more_than_once_a_second),
		cmocka_unit_test(others_are_not_kept_from_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
