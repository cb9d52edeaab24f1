/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a VM's monitor, or the library in its VMM, is asked, and what becomes of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "config_apply.h"
#include "guest.h"
#include "job.h"

#define SECOND UINT64_C(1000000000)

struct bench {
	struct guest g;
	struct job j;
	struct host host;
	struct config config;
};

static void set_monitor(struct bench *b, const char *monitor)
{
	(void)strcpy(b->config.policy.monitor, monitor);
	guest_apply_policy(&b->g, &b->config);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || config_set_defaults(&b->config) < 0)
		return -1;
	b->g.snapshot = (struct snapshot)SNAPSHOT_INIT;
	b->g.mover = (struct mover)MOVER_INIT;
	b->j.facts = (struct qemu_facts)QEMU_FACTS_INIT;
	b->host.n_nodes = 2;
	b->host.features = FEATURE_NODES;
	set_monitor(b, "/run/%n");
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	snapshot_clear(&b->g.snapshot);
	mover_clear(&b->g.mover);
	qemu_facts_clear(&b->j.facts);
	config_clear(&b->config);
	free(b);
	return 0;
}

/* Memory of guest node 1, and a vCPU of it. */
static const char *told(struct bench *b, uint64_t now_ns)
{
	const struct guest_span span = {1 << 21, 1 << 21, 1};
	const struct guest_cpu cpu = {4711, 1};

	qemu_facts_clear(&b->j.facts);
	assert_int_equal(ARRAY_APPEND(&b->j.facts.map.spans, &b->j.facts.map.n_spans, &span), 0);
	assert_int_equal(ARRAY_APPEND(&b->j.facts.map.cpus, &b->j.facts.map.n_cpus, &cpu), 0);
	b->j.want_facts = true;
	b->j.facts_err = 0;
	b->j.survey.policy = b->g.snapshot.policy;
	assert_null(guest_note_monitor(&b->g, &b->j, now_ns));
	return guest_take_facts(&b->g, &b->j, now_ns);
}

static const char *refused(struct bench *b, const char *why, uint64_t now_ns)
{
	b->j.facts_err = -ENOENT;
	b->j.facts_why = why;
	b->j.survey.policy = b->g.snapshot.policy;
	assert_null(guest_take_facts(&b->g, &b->j, now_ns));
	return guest_note_monitor(&b->g, &b->j, now_ns);
}

static bool wants(const struct bench *b, uint64_t now_ns)
{
	return guest_wants_facts(&b->g, &b->host, now_ns);
}

static void only_where_it_matters(void **state)
{
	struct bench *b = *state;

	assert_true(wants(b, 0));
	b->host.n_nodes = 1;
	assert_false(wants(b, 0));
	b->host.n_nodes = 2;
	b->host.features = 0;
	assert_false(wants(b, 0));
	b->host.features = FEATURE_NODES;
	b->config.policy.placement = PLACEMENT_OFF;
	set_monitor(b, "/run/%n");
	assert_false(wants(b, 0));
	b->config.policy.placement = PLACEMENT_REPORT;
	set_monitor(b, "");
	assert_false(wants(b, 0));
}

static void what_was_told_is_known(void **state)
{
	struct bench *b = *state;
	const struct vcpu v = {.tid = 4711, .guest_node = -1};
	struct snapshot *s = &b->g.snapshot;

	assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
	assert_null(told(b, SECOND));
	assert_int_equal(s->n_guest_spans, 1);
	assert_int_equal(s->vcpus[0].guest_node, 1);
	assert_false(wants(b, 600 * SECOND));
	assert_true(wants(b, 601 * SECOND));
}

/* A monitor that is busy does not undo a map; why is said once. */
static void what_is_not_told_now_is_kept(void **state)
{
	struct bench *b = *state;

	assert_null(told(b, SECOND));
	assert_string_equal(refused(b, "busy", 700 * SECOND), "busy");
	assert_int_equal(b->g.snapshot.n_guest_spans, 1);
	assert_false(wants(b, 759 * SECOND));
	assert_true(wants(b, 760 * SECOND));
	assert_null(refused(b, "busy", 760 * SECOND));
	assert_string_equal(refused(b, "gone", 820 * SECOND), "gone");
	assert_null(told(b, 880 * SECOND));
	assert_string_equal(refused(b, "gone", 1500 * SECOND), "gone");
}

/* By whatever it was asked: who is silent is left alone with everything else, too. */
static void a_silent_monitor_is_asked_of_nothing_for_a_minute(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	b->j.want_facts = true;
	assert_string_equal(refused(b, "busy", SECOND), "busy");
	assert_false(wants(b, 61 * SECOND - 1));
	assert_false(guest_wants_slots(&b->g, 61 * SECOND - 1));
	guest_ask_counts(&b->g, &b->j, 61 * SECOND - 1);
	assert_false(b->j.want_counts_of_monitor);
	/* Then of everything at once. */
	assert_true(wants(b, 61 * SECOND));
	assert_true(guest_wants_slots(&b->g, 61 * SECOND));
	guest_ask_counts(&b->g, &b->j, 61 * SECOND);
	assert_true(b->j.want_counts_of_monitor);
}

/* QEMU answered, but its map is not to be had. */
static void a_map_that_is_not_known_is_no_empty_one(void **state)
{
	struct bench *b = *state;

	assert_null(told(b, SECOND));
	qemu_facts_clear(&b->j.facts);
	b->j.facts.map_why = "unclear";
	b->j.facts_err = 0;
	assert_string_equal(guest_take_facts(&b->g, &b->j, 2 * SECOND), "unclear");
	assert_int_equal(b->g.snapshot.n_guest_spans, 1);
	assert_true(wants(b, 62 * SECOND));
}

static void a_guest_without_nodes_is_not_asked_every_minute(void **state)
{
	struct bench *b = *state;

	assert_null(told(b, SECOND));
	qemu_facts_clear(&b->j.facts);
	assert_null(guest_take_facts(&b->g, &b->j, 2 * SECOND));
	assert_int_equal(b->g.snapshot.n_guest_spans, 0);
	assert_false(wants(b, 601 * SECOND));
	assert_true(wants(b, 602 * SECOND));
}

static void another_monitor_begins_anew(void **state)
{
	struct bench *b = *state;

	assert_null(told(b, SECOND));
	set_monitor(b, "/run/%n");
	assert_int_equal(b->g.snapshot.n_guest_spans, 1);
	set_monitor(b, "/run/other/%n");
	assert_int_equal(b->g.snapshot.n_guest_spans, 0);
	assert_true(wants(b, 2 * SECOND));
	/* What the first one still says is not the other's word. */
	assert_null(guest_take_facts(&b->g, &b->j, 3 * SECOND));
	assert_int_equal(b->g.snapshot.n_guest_spans, 0);
	assert_true(wants(b, 3 * SECOND));
}

static const char *sampled(struct bench *b, enum kvm_source source, int err, uint64_t now_ns)
{
	guest_ask_counts(&b->g, &b->j, now_ns);
	b->j.counts = (struct kvm_counts){.source = source, .read_ns = now_ns};
	b->j.facts.is_migrating = err == 0 ? ANSWER_NO : ANSWER_UNKNOWN;
	b->j.facts_err = err;
	b->j.facts_why = "busy";
	guest_take_counts(&b->g, &b->j, now_ns);
	return guest_note_monitor(&b->g, &b->j, now_ns);
}

static void only_a_vm_has_counts(void **state)
{
	struct bench *b = *state;

	assert_false(guest_wants_counts(&b->g, SECOND));
	b->g.snapshot.vm.has_kvm = true;
	assert_true(guest_wants_counts(&b->g, SECOND));
	b->j.want_counts = false;
	guest_take_counts(&b->g, &b->j, SECOND);
	assert_true(guest_wants_counts(&b->g, SECOND));
}

/* Between surveys nothing is asked that nobody needs. */
static void two_samples_are_enough(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_null(sampled(b, KVM_SOURCE_QMP, 0, SECOND));
	assert_int_equal(b->g.snapshot.is_migrating, ANSWER_NO);
	assert_false(guest_wants_counts(&b->g, 11 * SECOND - 1));
	assert_false(guest_wants_counts_between(&b->g, 11 * SECOND - 1));
	assert_true(guest_wants_counts_between(&b->g, 11 * SECOND));
	assert_null(sampled(b, KVM_SOURCE_QMP, 0, 11 * SECOND));
	assert_int_equal(b->g.snapshot.kvm_before.read_ns, SECOND);
	assert_false(guest_wants_counts_between(&b->g, 21 * SECOND));
	assert_true(guest_wants_counts(&b->g, 21 * SECOND));
	/* When a migration ends, the finding does. */
	b->g.snapshot.is_migrating = ANSWER_YES;
	assert_true(guest_wants_counts_between(&b->g, 21 * SECOND));
	b->g.snapshot.is_migrating = ANSWER_NO;
	/* What was mapped before an action says nothing. */
	guest_forget_counts(&b->g);
	assert_int_equal(b->g.snapshot.kvm.source, KVM_SOURCE_NONE);
	assert_true(guest_wants_counts_between(&b->g, 11 * SECOND));
}

static void a_monitor_that_is_silent_is_left_for_a_minute(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_string_equal(sampled(b, KVM_SOURCE_DEBUGFS, -EBUSY, SECOND), "busy");
	assert_true(b->j.want_counts_of_monitor);
	assert_int_equal(b->g.snapshot.kvm.source, KVM_SOURCE_DEBUGFS);
	assert_int_equal(b->g.snapshot.is_migrating, ANSWER_UNKNOWN);
	assert_null(sampled(b, KVM_SOURCE_DEBUGFS, 0, 60 * SECOND));
	assert_false(b->j.want_counts_of_monitor);
	assert_null(sampled(b, KVM_SOURCE_DEBUGFS, -EBUSY, 61 * SECOND));
	assert_true(b->j.want_counts_of_monitor);
	assert_null(sampled(b, KVM_SOURCE_QMP, 0, 121 * SECOND));
	assert_string_equal(sampled(b, KVM_SOURCE_QMP, -EBUSY, 131 * SECOND), "busy");
}

static void give_slot(struct guest *g, uint32_t flags)
{
	struct memslot *slot = calloc(1, sizeof(*slot));

	*slot = (struct memslot){.bytes = 1 << 21, .hva = 1 << 21, .flags = flags};
	g->snapshot.geometry.base_shift = 12;
	guest_take_memslots(g, &slot, 1, true);
	assert_true(g->snapshot.are_memslots_known);
}

/* `error`: as of qemu_slots_read(), with `why`. */
static const char *told_slots(struct bench *b, int error, const char *why, uint64_t now_ns)
{
	const struct memslot slot = {.bytes = 1 << 21, .hva = 1 << 21};
	struct qemu_facts *facts = &b->j.facts;

	qemu_facts_clear(facts);
	b->j.survey.policy = b->g.snapshot.policy;
	b->g.snapshot.geometry.base_shift = 12;
	b->j.facts_err = 0;
	facts->slots_err = error;
	facts->slots_why = why;
	if (error == 0)
		assert_int_equal(ARRAY_APPEND(&facts->slots.items, &facts->slots.n, &slot), 0);
	return guest_take_slots(&b->g, &b->j, now_ns);
}

static void a_monitor_is_asked_of_memslots_every_ten_minutes(void **state)
{
	struct bench *b = *state;
	const struct snapshot *s = &b->g.snapshot;

	assert_false(guest_wants_slots(&b->g, SECOND)); /* no KVM */
	b->g.snapshot.vm.has_kvm = true;
	assert_true(guest_wants_slots(&b->g, SECOND));
	assert_null(told_slots(b, 0, NULL, SECOND));
	assert_int_equal(s->memslots_inferred_ns, SECOND);
	assert_int_equal(s->n_memslots, 1);
	assert_false(s->are_memslots_known);
	assert_int_equal(s->is_migrating, ANSWER_UNKNOWN); /* it does not tell of logs */
	assert_false(guest_wants_slots(&b->g, 601 * SECOND - 1));
	assert_true(guest_wants_slots(&b->g, 601 * SECOND));
	/* What it cannot tell now is kept; that there is none is not asked every minute. */
	assert_string_equal(told_slots(b, -EAGAIN, "changed", 601 * SECOND), "changed");
	assert_int_equal(s->memslots_inferred_ns, SECOND);
	assert_false(guest_wants_slots(&b->g, 661 * SECOND - 1));
	assert_true(guest_wants_slots(&b->g, 661 * SECOND));
	assert_null(told_slots(b, -EAGAIN, "changed", 661 * SECOND));
	assert_string_equal(told_slots(b, -ENODATA, "none", 721 * SECOND), "none");
	assert_false(snapshot_has_memslots(s));
	assert_false(guest_wants_slots(&b->g, 1321 * SECOND - 1));
	assert_true(guest_wants_slots(&b->g, 1321 * SECOND));
	set_monitor(b, "");
	assert_false(guest_wants_slots(&b->g, 7200 * SECOND));
}

static void what_was_inferred_grows_old(void **state)
{
	struct bench *b = *state;
	const struct snapshot *s = &b->g.snapshot;

	b->g.snapshot.vm.has_kvm = true;
	guest_age_slots(&b->g, 7200 * SECOND);
	assert_null(told_slots(b, 0, NULL, SECOND));
	guest_age_slots(&b->g, 1801 * SECOND);
	assert_true(snapshot_has_memslots(s));
	guest_age_slots(&b->g, 1801 * SECOND + 1);
	assert_false(snapshot_has_memslots(s));
	assert_null(told_slots(b, 0, NULL, SECOND));
	b->g.snapshot.vm.has_kvm = false;
	guest_age_slots(&b->g, 2 * SECOND);
	assert_false(snapshot_has_memslots(s));
	/* The library's are always as of now. */
	give_slot(&b->g, 0);
	guest_age_slots(&b->g, 7200 * SECOND);
	assert_true(s->are_memslots_known);
}

/* A library that tells and goes, and tells and goes. */
static void a_library_that_flaps_has_no_monitor_asked_more(void **state)
{
	struct bench *b = *state;
	unsigned int asked = 0;

	b->g.snapshot.vm.has_kvm = true;
	for (uint64_t t = SECOND; t < 601 * SECOND; t += SECOND) {
		if (guest_wants_slots(&b->g, t)) {
			(void)told_slots(b, -EAGAIN, "changed", t);
			asked++;
		}
		give_slot(&b->g, 0);
		guest_forget_library(&b->g);
	}
	assert_int_equal(asked, 10);
}

static void slots_that_cannot_be_are_not_taken(void **state)
{
	struct bench *b = *state;

	assert_null(told_slots(b, 0, NULL, SECOND));
	qemu_facts_clear(&b->j.facts);
	b->j.facts.slots_err = 0;
	b->j.facts.slots.items = calloc(1, sizeof(struct memslot));
	b->j.facts.slots.n = 1; /* empty */
	assert_string_equal(guest_take_slots(&b->g, &b->j, 2 * SECOND),
			    "it tells of slots that cannot be");
	assert_false(snapshot_has_memslots(&b->g.snapshot));
}

/* What another monitor told is not known of this one. */
static void memslots_of_another_monitor_are_forgotten(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_null(told_slots(b, 0, NULL, SECOND));
	set_monitor(b, "/run/other");
	assert_false(snapshot_has_memslots(&b->g.snapshot));
	assert_true(guest_wants_slots(&b->g, 2 * SECOND));
	(void)strcpy(b->j.survey.policy.monitor, "/run/%n");
	assert_null(guest_take_slots(&b->g, &b->j, 2 * SECOND));
	assert_true(guest_wants_slots(&b->g, 2 * SECOND));
	/* And what it says is news. */
	assert_string_equal(told_slots(b, -ENODATA, "none", 2 * SECOND), "none");
	assert_null(told_slots(b, -ENODATA, "none", 3 * SECOND));
	set_monitor(b, "/run/third");
	assert_string_equal(told_slots(b, -ENODATA, "none", 4 * SECOND), "none");
	/* What the library told is not the monitor's. */
	give_slot(&b->g, 0);
	set_monitor(b, "/run/%n");
	assert_true(b->g.snapshot.are_memslots_known);
}

static void of_memslots_the_library_knows_best(void **state)
{
	struct bench *b = *state;
	const struct snapshot *s = &b->g.snapshot;
	struct memslot *none = NULL;

	b->g.snapshot.vm.has_kvm = true;
	assert_null(told_slots(b, 0, NULL, SECOND));
	/* One that came too late to see them all leaves what is known. */
	guest_take_memslots(&b->g, &none, 0, false);
	assert_int_equal(s->memslots_inferred_ns, SECOND);
	give_slot(&b->g, 0);
	assert_int_equal(s->memslots_inferred_ns, 0);
	assert_false(guest_wants_slots(&b->g, 7200 * SECOND));
	assert_null(told_slots(b, 0, NULL, 7200 * SECOND)); /* was asked before */
	assert_true(s->are_memslots_known);
	/* When it goes the monitor is asked, a minute after the last time. */
	guest_forget_library(&b->g);
	assert_false(snapshot_has_memslots(s));
	assert_false(guest_wants_slots(&b->g, 61 * SECOND - 1));
	assert_true(guest_wants_slots(&b->g, 61 * SECOND));
	assert_null(told_slots(b, 0, NULL, 61 * SECOND));
	guest_forget_library(&b->g);
	assert_int_equal(s->memslots_inferred_ns, 61 * SECOND);
}

static bool told_counts(struct bench *b, uint64_t pages_2m, uint64_t now_ns)
{
	const struct kvm_counts c = {
		.source = KVM_SOURCE_VMM, .read_ns = now_ns, .pages_2m = pages_2m};

	b->g.awaits_counts = true;
	return guest_take_told_counts(&b->g, pages_2m > 0 ? &c : NULL, now_ns);
}

static void a_library_tells_as_a_monitor_does(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_false(told_counts(b, 5, SECOND));
	assert_int_equal(b->g.snapshot.kvm.source, KVM_SOURCE_VMM);
	assert_int_equal(b->g.snapshot.kvm.pages_2m, 5);
	assert_false(b->g.awaits_counts);
	assert_false(guest_wants_counts_between(&b->g, 11 * SECOND - 1));
	assert_true(guest_wants_counts_between(&b->g, 11 * SECOND));
	assert_false(told_counts(b, 6, 11 * SECOND));
	assert_int_equal(b->g.snapshot.kvm_before.pages_2m, 5);
	/* It was asked before something was done to the memory: void. */
	b->g.awaits_counts = true;
	guest_forget_counts(&b->g);
	assert_false(guest_take_told_counts(&b->g, &(struct kvm_counts){.source = KVM_SOURCE_VMM},
					    SECOND));
	assert_int_equal(b->g.snapshot.kvm.source, KVM_SOURCE_NONE);
}

/* What nobody knew a moment ago need not wait for its minute. */
static void a_library_that_comes_is_asked_at_once(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_null(sampled(b, KVM_SOURCE_NONE, 0, SECOND));
	assert_false(guest_wants_counts(&b->g, 2 * SECOND));
	give_slot(&b->g, 0);
	assert_true(guest_wants_counts(&b->g, 2 * SECOND));
	assert_null(sampled(b, KVM_SOURCE_NONE, 0, 2 * SECOND));
	give_slot(&b->g, 0);
	assert_false(guest_wants_counts(&b->g, 3 * SECOND));
}

static void a_library_that_does_not_tell_is_left_for_a_minute(void **state)
{
	struct bench *b = *state;

	assert_true(told_counts(b, 0, SECOND));
	assert_int_equal(b->g.counts_of_library_ns, 61 * SECOND);
	assert_false(told_counts(b, 0, 62 * SECOND)); /* no news */
	assert_false(told_counts(b, 1, 124 * SECOND));
	assert_int_equal(b->g.counts_of_library_ns, 0);
	assert_true(told_counts(b, 0, 134 * SECOND));
	guest_forget_library(&b->g);
	assert_int_equal(b->g.counts_of_library_ns, 0);
}

static void of_a_migration_the_monitor_knows_best(void **state)
{
	struct bench *b = *state;
	struct snapshot *s = &b->g.snapshot;

	assert_int_equal(s->is_migrating, ANSWER_UNKNOWN);
	give_slot(&b->g, MEMSLOT_LOG_DIRTY);
	assert_int_equal(s->is_migrating, ANSWER_YES);
	assert_null(sampled(b, KVM_SOURCE_QMP, 0, SECOND));
	assert_int_equal(s->is_migrating, ANSWER_NO);
	give_slot(&b->g, MEMSLOT_LOG_DIRTY);
	assert_int_equal(s->is_migrating, ANSWER_NO);
	/* It was asked before the log was switched off and on. */
	give_slot(&b->g, 0);
	give_slot(&b->g, MEMSLOT_LOG_DIRTY);
	assert_int_equal(s->is_migrating, ANSWER_YES);
	assert_null(sampled(b, KVM_SOURCE_QMP, 0, SECOND));
	/* Since the library is asked instead, nobody knows better than the slots. */
	assert_false(told_counts(b, 1, 12 * SECOND));
	assert_int_equal(s->is_migrating, ANSWER_YES);
	give_slot(&b->g, 0);
	assert_int_equal(s->is_migrating, ANSWER_NO);
	guest_forget_library(&b->g);
	assert_false(s->are_memslots_known);
	assert_int_equal(s->is_migrating, ANSWER_UNKNOWN);
}

static void without_a_monitor_none_is_asked(void **state)
{
	struct bench *b = *state;

	set_monitor(b, "");
	guest_ask_counts(&b->g, &b->j, SECOND);
	assert_true(b->j.want_counts);
	assert_false(b->j.want_counts_of_monitor);
}

static void where_nobody_knows_they_are_asked_for_less_often(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_null(sampled(b, KVM_SOURCE_NONE, 0, SECOND));
	assert_false(guest_wants_counts(&b->g, 61 * SECOND - 1));
	assert_true(guest_wants_counts_between(&b->g, 61 * SECOND));
	/* Another one may know. */
	set_monitor(b, "/run/other");
	assert_true(guest_wants_counts(&b->g, 2 * SECOND));
}

/* That nobody was asked yet, or not since thpd was at work, is no lack. */
static void that_nobody_knows_is_known_when_all_were_asked(void **state)
{
	struct bench *b = *state;

	b->g.snapshot.vm.has_kvm = true;
	assert_false(guest_is_uncounted(&b->g));
	assert_null(sampled(b, KVM_SOURCE_NONE, 0, SECOND));
	assert_true(guest_is_uncounted(&b->g));
	b->g.snapshot.vm.has_kvm = false;
	assert_false(guest_is_uncounted(&b->g));
	b->g.snapshot.vm.has_kvm = true;
	guest_forget_counts(&b->g);
	assert_false(guest_is_uncounted(&b->g));
	assert_null(sampled(b, KVM_SOURCE_DEBUGFS, 0, 2 * SECOND));
	assert_false(guest_is_uncounted(&b->g));
	guest_forget_counts(&b->g);
	assert_false(guest_is_uncounted(&b->g));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_where_it_matters),
		TEST(what_was_told_is_known),
		TEST(what_is_not_told_now_is_kept),
		TEST(a_silent_monitor_is_asked_of_nothing_for_a_minute),
		TEST(a_map_that_is_not_known_is_no_empty_one),
		TEST(a_guest_without_nodes_is_not_asked_every_minute),
		TEST(another_monitor_begins_anew),
		TEST(only_a_vm_has_counts),
		TEST(two_samples_are_enough),
		TEST(a_monitor_that_is_silent_is_left_for_a_minute),
		TEST(a_monitor_is_asked_of_memslots_every_ten_minutes),
		TEST(what_was_inferred_grows_old),
		TEST(a_library_that_flaps_has_no_monitor_asked_more),
		TEST(slots_that_cannot_be_are_not_taken),
		TEST(memslots_of_another_monitor_are_forgotten),
		TEST(of_memslots_the_library_knows_best),
		TEST(a_library_tells_as_a_monitor_does),
		TEST(a_library_that_comes_is_asked_at_once),
		TEST(a_library_that_does_not_tell_is_left_for_a_minute),
		TEST(of_a_migration_the_monitor_knows_best),
		TEST(without_a_monitor_none_is_asked),
		TEST(where_nobody_knows_they_are_asked_for_less_often),
		TEST(that_nobody_knows_is_known_when_all_were_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
